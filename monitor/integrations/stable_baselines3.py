"""Stable-Baselines3: a callback for `model.learn` of all its algorithms.

What the algorithm records is logged under its own names, such as `rollout/ep_rew_mean`, `train/loss`, and
`eval/mean_reward` of an `EvalCallback`. Steps are time steps. The run is marked as a game: a lower loss does not mean a
better policy, only the reward shows that.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, Unpack

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from monitor.integrations._owned import Checkpoints, HoldsRun, OwnedRun, RunOptions, next_step, watch, wrap
from monitor.losses import Custom
from monitor.run.start import Run


class MonitorCallback(HoldsRun, BaseCallback):  # type: ignore[misc]  # stable_baselines3 is seen as untyped
    """Logs what the algorithm records, records saved models, and ends training when the run should stop.

    Args:
        run: a run that the caller ends; None: start one for each `learn`.
        project: the project of a run started here.
        verbose: as in the library's own callbacks.
        **options: as in `monitor.init`, for a run started here.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        project: str = "stable-baselines3",
        verbose: int = 0,
        **options: Unpack[RunOptions],
    ) -> None:
        super().__init__(verbose)
        self._held = OwnedRun(run, project=project, **options)
        self._writer = _Writer(self)
        self._checkpoints = Checkpoints()
        self._first = 0

    def _on_training_start(self) -> None:
        self._checkpoints.clear()
        algorithm = type(self.model).__name__
        run = self._held.start(_config(self.model), name=self._name())
        if not run.loss_known:
            run.update_loss(Custom(algorithm, game=True))
        self._first = next_step(run) if self.num_timesteps == 0 else 0  # a model that continues keeps its own count
        self.logger.output_formats.append(self._writer)
        _learning.setdefault(self.model, weakref.WeakSet()).add(self)

    def _name(self) -> str | None:
        """The name given to `learn`; None if it is only the algorithm's name."""
        name = self.locals.get("tb_log_name")
        plain = {type(self.model).__name__.lower(), "run", "onpolicyalgorithm", "offpolicyalgorithm"}
        return name if isinstance(name, str) and name.lower() not in plain else None

    def _on_step(self) -> bool:
        return self.run is None or not self.run.should_stop()

    def _on_training_end(self) -> None:
        self._leave()
        self._held.end()

    def _leave(self) -> None:
        if self._writer in self.logger.output_formats:
            self.logger.output_formats.remove(self._writer)
        _learning.get(self.model, weakref.WeakSet()).discard(self)

    def _note(self, row: Mapping[str, object], step: int) -> None:
        if self.run is not None:
            self.run.log({k: v for k, v in row.items() if not isinstance(v, str)}, step=self._first + step)

    def _saved(self, path: str) -> None:
        self._checkpoints.saved(self.run, self._first + self.num_timesteps, path)


class _Writer(KVWriter):  # type: ignore[misc]  # as above
    """Passes the records of the library's logger to a callback."""

    def __init__(self, callback: MonitorCallback) -> None:
        self._callback = weakref.ref(callback)

    def write(self, key_values: Mapping[str, object], key_excluded: object, step: int = 0) -> None:  # noqa: ARG002
        """Called with each record of the logger."""
        callback = self._callback()
        if callback is not None:
            callback._note({k: v for k, v in key_values.items() if not k.startswith("time/")}, step)

    def close(self) -> None:
        """Do nothing."""


_learning: weakref.WeakKeyDictionary[Any, weakref.WeakSet[MonitorCallback]] = weakref.WeakKeyDictionary()
"""The callbacks of each model that is learning."""


def _config(model: Any) -> dict[str, object]:
    """The settings of an algorithm: its public attributes with plain values."""
    plain = bool | int | float | str
    kept: dict[str, object] = {k: v for k, v in vars(model).items() if k[:1] != "_" and isinstance(v, plain)}
    kept["algorithm"] = type(model).__name__
    kept["policy"] = type(getattr(model, "policy", None)).__name__
    kept["policy_kwargs"] = getattr(model, "policy_kwargs", None)
    return kept


def _save(original: Callable[..., None], model: Any, path: Any, *args: Any, **kwargs: Any) -> None:
    """Tell callbacks about every `model.save`, including calls from the library's own callbacks."""
    original(model, path, *args, **kwargs)
    for callback in list(_learning.get(model, ())):
        if isinstance(path, str) or hasattr(path, "__fspath__"):
            callback._saved(str(path) if str(path).endswith(".zip") else f"{path}.zip")


wrap(BaseAlgorithm, "save", _save)
for _algorithm in (OnPolicyAlgorithm, OffPolicyAlgorithm):
    watch(_algorithm, "learn")
