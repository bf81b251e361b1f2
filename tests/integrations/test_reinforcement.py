from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

gym = pytest.importorskip("gymnasium")
sb3 = pytest.importorskip("stable_baselines3")
callbacks = pytest.importorskip("stable_baselines3.common.callbacks")

from monitor.integrations.stable_baselines3 import MonitorCallback  # noqa: E402  # after what may be missing
from monitor.run.start import Run  # noqa: E402
from monitor.shipping.sinks import MemorySink  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Walk(gym.Env):  # type: ignore[misc]
    action_space = gym.spaces.Discrete(2)
    observation_space = gym.spaces.Box(-9, 9, (1,))

    def reset(self, *, seed: int | None = None, options: object = None) -> Any:
        self.at = 0
        return np.zeros(1, "f4"), {}

    def step(self, action: int) -> Any:
        self.at += 1
        return np.full(1, self.at, "f4"), float(action), self.at == 8, False, {}


@pytest.mark.parametrize("kind", ["DQN", "A2C"])
def test_rewards_and_evaluations_are_logged_and_the_loss_is_a_game(
    kind: str, runs: list[Run], sink: MemorySink, tmp_path: Path
) -> None:
    more = {"learning_starts": 8} if kind == "DQN" else {"n_steps": 8}
    model = getattr(sb3, kind)("MlpPolicy", Walk(), device="cpu", **more)
    evaluating = callbacks.EvalCallback(Walk(), eval_freq=32, best_model_save_path=str(tmp_path), verbose=0)
    model.learn(96, callback=[MonitorCallback(name="mine"), evaluating], log_interval=1)
    (run,) = runs
    assert run.name == "mine"
    assert [step for step, _ in sink.points(run.id, "eval/mean_reward")] == [32, 64, 96]
    assert sink.points(run.id, "rollout/ep_rew_mean")
    assert [value for key in ("train/loss", "train/value_loss") for _, value in sink.points(run.id, key)]
    assert sink.events(run.id, "loss")[0].data["loss"]["comparable"] is False  # type: ignore[index]
    saved = [event.data for event in sink.events(run.id, "checkpoint")]
    assert {Path(str(data["path"])).name for data in saved} == {"best_model.zip"}
    assert len(model.logger.output_formats) == 0 or all(
        type(each).__module__ != "monitor.integrations.stable_baselines3" for each in model.logger.output_formats
    )


def test_a_model_that_goes_on_counts_on(run: Run, sink: MemorySink) -> None:
    model = sb3.A2C("MlpPolicy", Walk(), device="cpu", n_steps=8)
    for again in (False, True):
        model.learn(64, callback=MonitorCallback(run), log_interval=1, reset_num_timesteps=not again)
    run.finish()
    steps = [step for step, _ in sink.points(run.id, "rollout/ep_rew_mean")]
    assert steps == sorted(set(steps))
    assert steps[-1] == 128
