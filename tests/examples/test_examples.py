"""Each example is run as a user runs it, and earns the verdict that it is meant to earn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor import Api
from monitor._resources import ROOT
from monitor.reader.api import RunView

Runs = dict[str, RunView]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.stem != "agent_sweep")


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Runs]:
    """Runs an example in a store of its own; gives its runs by their names."""
    pytest.importorskip("sklearn")
    pytest.importorskip("torch")
    home = tmp_path / "home"
    monkeypatch.setenv("MONITOR_DIR", str(home))
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)

    def run(name: str) -> Runs:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MONITOR_")}
        done = subprocess.run(
            [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py")],
            env={**kept, "MONITOR_DIR": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return {view.info.name: view for view in Api().runs()}

    return run


def last(view: RunView, key: str) -> float:
    return float(view.history(key).values[-1])


def values(view: RunView, key: str) -> list[float]:
    return [float(value) for value in view.history(key).values]


def fired(view: RunView) -> set[str]:
    return {finding.rule for finding in view.findings()}


FALSE_ALARMS = {
    "divergence",
    "overfitting",
    "stagnation",
    "spike",
    "nan",
    "impossible_loss",
    "initial_loss",
    "low_start",
}


def healthy(view: RunView) -> None:
    """Nothing was wrong, nothing was called wrong, and the run went to its end."""
    assert view.info.status.value == "finished"
    assert not fired(view) & FALSE_ALARMS
    assert view.diagnosis().recommendation.action.value == "continue"


@pytest.mark.slow
def test_vision_learns_and_converges(train: Callable[[str], Runs]) -> None:
    view = train("vision")["vision"]
    healthy(view)
    assert view.diagnosis().verdict == "convergence"
    assert view.info.loss["kind"] == "cross_entropy"
    assert last(view, "val/accuracy") > 0.95


@pytest.mark.slow
def test_translation_improves_to_the_end_of_its_schedule(train: Callable[[str], Runs]) -> None:
    view = train("translation")["translation"]
    healthy(view)
    assert view.diagnosis().verdict == "improving"  # the last fifth takes another fifth off the loss
    assert last(view, "val/accuracy") > 0.6


@pytest.mark.slow
def test_recommendation_converges_and_neither_part_is_lost(train: Callable[[str], Runs]) -> None:
    view = train("recommendation")["recommendation"]
    healthy(view)
    assert view.diagnosis().verdict == "convergence"
    assert not fired(view) & {"dominant_part", "vanishing_part", "conflicting_parts", "parts_sum"}
    assert last(view, "val/recall") > 0.7 > 0.3 > values(view, "val/recall")[0]


@pytest.mark.slow
def test_driving_is_judged_as_a_whole_and_its_slices_tell_day_from_night(train: Callable[[str], Runs]) -> None:
    view = train("driving")["driving"]
    healthy(view)
    assert view.diagnosis().verdict == "convergence"
    assert last(view, "val/loss{scene=night}") > 2 * last(view, "val/loss{scene=day}")
    assert view.diagnosis().recommendation.best_val_loss == pytest.approx(min(values(view, "val/loss")))


@pytest.mark.slow
def test_credit_risk_costs_less_at_the_threshold_of_its_costs(train: Callable[[str], Runs]) -> None:
    view = train("credit_risk")["credit-risk"]
    healthy(view)
    assert view.diagnosis().verdict == "convergence"
    assert last(view, "val/cost") < 0.7 * last(view, "val/cost_at_half")


@pytest.mark.slow
def test_embedding_does_not_collapse(train: Callable[[str], Runs]) -> None:
    view = train("embedding")["embedding"]
    healthy(view)
    assert view.diagnosis().verdict in ("convergence", "goal_plateau")
    assert last(view, "val/retrieval") > 0.94
    assert last(view, "val/alignment") < 0.4 and last(view, "val/uniformity") < -1.5


@pytest.mark.slow
def test_a_gan_is_a_game_in_which_nothing_is_stopped(train: Callable[[str], Runs]) -> None:
    view = train("gan")["gan"]
    healthy(view)
    assert not fired(view) & {"convergence", "improving", "oscillation"}
    assert min(values(view, "val/distance")) < 0.02 < 0.2 < values(view, "val/distance")[0]
    assert view.diagnosis().recommendation.best_step is None


@pytest.mark.slow
def test_squared_error_learns_wrong_targets_by_heart_and_hubers_loss_does_not(train: Callable[[str], Runs]) -> None:
    runs = train("robust_regression")
    squared, huber = runs["squared-error"], runs["huber"]
    assert squared.diagnosis().verdict == "overfitting"
    assert squared.diagnosis().recommendation.action.value == "stop"
    assert min(values(huber, "val/mae")) < 0.95 * min(values(squared, "val/mae"))
    assert 0.03 < float(str(huber.info.config["outliers"])) < 0.08


@pytest.mark.slow
def test_balanced_tasks_both_learn(train: Callable[[str], Runs]) -> None:
    view = train("multi_task")["multi-task"]
    healthy(view)
    assert view.diagnosis().verdict == "convergence"
    assert not fired(view) & {"dominant_part", "vanishing_part", "parts_sum"}
    assert last(view, "loss/progression") < 0.7 * 5930
    assert last(view, "loss/sex") < 0.6


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_in_the_list(name: str) -> None:
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 80
    assert f"]({name}.py)" in (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert f'train("{name}")' in Path(__file__).read_text(encoding="utf-8")
