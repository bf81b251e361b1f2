"""Lightning: a logger, and a callback that stops the trainer.

`Trainer(logger=MonitorLogger("mine"), callbacks=[MonitorCallback()])`. Works with both `lightning` and
`pytorch_lightning`.
"""

# ruff: noqa: ARG002  # the framework defines the arguments of its hooks

from __future__ import annotations

import sys
import weakref
from argparse import Namespace
from collections.abc import Mapping
from typing import Any, Unpack

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.loggers import Logger
    from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
except ImportError:
    from pytorch_lightning import Callback, LightningModule, Trainer
    from pytorch_lightning.loggers import Logger
    from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn

from monitor.integrations import _losses
from monitor.integrations._owned import Checkpoints, OwnedRun, RunOptions, next_step, obey, patience_s
from monitor.run.start import Run, ending


class MonitorLogger(Logger):  # type: ignore[misc]  # lightning is seen as untyped
    """Logs what `self.log` reports.

    A run started here begins with the first record and ends with `fit`. Validation before it and tests after it belong
    to the same run; another `fit` starts a new one.

    Args:
        project: the project of a run started here.
        run: a run that the caller ends; None: start one.
        **options: as in `monitor.init`, for a run started here.
    """

    def __init__(self, project: str = "lightning", run: Run | None = None, **options: Unpack[RunOptions]) -> None:
        super().__init__()
        self._project = project
        self._held = OwnedRun(run, project=project, **options)
        self._checkpoints = Checkpoints()
        self._hparams: Mapping[str, object] = {}
        self._trainer: weakref.ref[Any] | None = None
        self._first = 0

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_trainer": None}

    @property
    def name(self) -> str:
        """The project."""
        return self._project

    @property
    def version(self) -> str:
        """The run's name."""
        return self.experiment.name

    @property
    def experiment(self) -> Run:
        """The run. After `fit` has ended it, it stays available until the next one starts."""
        return self._held.rejoin() or self._held.begin()

    @rank_zero_only  # type: ignore[untyped-decorator]  # as above
    def log_hyperparams(self, params: Mapping[str, object] | Namespace, *_: object, **__: object) -> None:
        """Add to the run's configuration."""
        found = dict(vars(params) if isinstance(params, Namespace) else params)
        if self._held.run is None or not self._held.ended:
            self._held.begin(found)
        else:
            self._hparams = found  # for the training that may follow

    @rank_zero_only  # type: ignore[untyped-decorator]  # as above
    def log_graph(self, model: LightningModule, *_: object) -> None:
        """Lightning calls this at the start of a fit, a validation or a test. A further fit starts a new run."""
        self._trainer = weakref.ref(model.trainer)
        if self._held.ended and _fits(model.trainer):
            self._held.start(self._hparams)
            self._checkpoints.clear()
        self._hparams = {}
        if _fits(model.trainer) and model.trainer.global_step == 0 and model.trainer.ckpt_path is None:
            self._first = next_step(self.experiment)  # a resumed trainer keeps its own count

    @rank_zero_only  # type: ignore[untyped-decorator]  # as above
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics at a step."""
        row: dict[str, object] = dict(metrics)
        epoch = row.pop("epoch", None)
        at = None if step is None else self._first + step
        self.experiment.log(row, step=at, epoch=epoch if isinstance(epoch, int | float) else None)

    @rank_zero_only  # type: ignore[untyped-decorator]  # as above
    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Record the checkpoints that the trainer saved."""
        found = {str(checkpoint_callback.best_model_path), str(checkpoint_callback.last_model_path)}
        found |= {str(path) for path in getattr(checkpoint_callback, "best_k_models", {})}
        step = self._first + int(getattr(checkpoint_callback, "_last_global_step_saved", 0))
        self._checkpoints.saved(self.experiment, step, *sorted(found))

    @rank_zero_only  # type: ignore[untyped-decorator]  # as above
    def finalize(self, status: str) -> None:
        """End the run if it was started here, after a fit or a failure."""
        if not self._held.ended:
            self._checkpoints.saved(self._held.run, 0)  # Lightning deletes a checkpoint after reporting the next one
        if status not in ("success", "finished"):
            error = sys.exception()  # Lightning calls this while handling the exception
            self._held.end(*(("failed", None) if error is None else ending(error)))
        elif self._held.ended or self._trainer is None or _fits(self._trainer()):
            self._held.end()


class MonitorCallback(Callback):  # type: ignore[misc]  # as above
    """Stops the trainer on all ranks when the run of its `MonitorLogger`, or a given run, should stop.

    The stop is set only when the trainer allows it (`min_epochs`, `min_steps`), and cleared if the advice is withdrawn.

    Args:
        run: the run to ask; None: that of the trainer's `MonitorLogger`.
    """

    def __init__(self, run: Run | None = None) -> None:
        self._run = run
        self._others: list[object] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Describe the module's loss, such as `self.criterion`, to the run."""
        if self._run is None and _logger(trainer) is None:
            rank_zero_warn(
                "MonitorCallback has no run to ask and does nothing: give the Trainer logger=MonitorLogger('mine'), or "
                "the callback a run, MonitorCallback(run)"
            )
        _losses.tell(self._found(trainer), lambda: _losses.of_torch_model(pl_module))

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Check after each batch."""
        self._obey(trainer, 0.0)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check after each epoch, when `min_epochs` may be met."""
        self._obey(trainer, 0.0)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check after each validation, which may have changed the diagnosis."""
        if _fits(trainer) and not trainer.sanity_checking:
            self._obey(trainer, patience_s(self._found(trainer)))

    def _obey(self, trainer: Trainer, wait_s: float) -> None:
        run = self._found(trainer)
        stop = run is not None and run.should_stop(wait_s)
        if trainer.world_size > 1:
            stop = bool(trainer.strategy.broadcast(stop))
        if stop and not getattr(trainer.fit_loop, "_can_stop_early", True):
            stop = False
        # Lightning's early stopping does not touch a flag that is already set, and records the epoch in which it set
        # it.
        others = [getattr(callback, "stopped_epoch", 0) for callback in trainer.callbacks]
        if stop and not trainer.should_stop:
            self._others = others
        if stop or others == self._others:
            obey(trainer, "should_stop", stop)

    def _found(self, trainer: Trainer) -> Run | None:
        if self._run is not None:
            return self._run
        logger = _logger(trainer)
        return logger._held.run if logger is not None and trainer.is_global_zero else None


def _logger(trainer: Trainer) -> MonitorLogger | None:
    return next((logger for logger in trainer.loggers if isinstance(logger, MonitorLogger)), None)


def _fits(trainer: Any) -> bool:
    """True if a trainer is in `fit`, not in a stand-alone validation, test or prediction."""
    return trainer is None or trainer.state.fn is None or str(getattr(trainer.state.fn, "value", "")) == "fit"
