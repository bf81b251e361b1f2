"""Lightning: a logger, and a callback that stops the trainer and notes its checkpoints.

`Trainer(logger=MonitorLogger("mine"), callbacks=[MonitorCallback()])`. Either package name works.
"""

# ruff: noqa: ARG002  # the framework gives the arguments of its hooks

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.loggers import Logger
    from lightning.pytorch.utilities import rank_zero_only
except ImportError:
    from pytorch_lightning import Callback, LightningModule, Trainer
    from pytorch_lightning.loggers import Logger
    from pytorch_lightning.utilities import rank_zero_only

from monitor.client.integrations import _losses
from monitor.client.integrations._owned import OwnedRun
from monitor.client.options import Mode
from monitor.client.run import Run
from monitor.settings import Settings


class MonitorLogger(Logger):  # type: ignore[misc]  # lightning is seen as untyped
    """Logs what `self.log` reports.

    Args:
        project: the project of a run that is started here, like the rest as in `monitor.init`.
        run: a run that the caller ends; None: one is started with the first thing that is logged.
    """

    def __init__(
        self,
        project: str = "lightning",
        run: Run | None = None,
        *,
        name: str | None = None,
        mode: Mode = "auto",
        settings: Settings | None = None,
    ) -> None:
        super().__init__()
        self._project = project
        self._held = OwnedRun(run, project=project, name=name, mode=mode, settings=settings)
        self._saved: set[str] = set()

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
        """The run."""
        return self._held.begin()

    @rank_zero_only  # type: ignore[untyped-decorator]  # as above
    def log_hyperparams(self, params: Mapping[str, object] | Namespace, *_: object, **__: object) -> None:
        """Add to the run's configuration."""
        self._held.begin(dict(vars(params) if isinstance(params, Namespace) else params))

    @rank_zero_only  # type: ignore[untyped-decorator]  # as above
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics at a step."""
        row: dict[str, object] = dict(metrics)
        epoch = row.pop("epoch", None)
        self.experiment.log(row, step=step, epoch=epoch if isinstance(epoch, int | float) else None)

    @rank_zero_only  # type: ignore[untyped-decorator]  # as above
    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Note the checkpoints that the trainer saved."""
        found = {str(checkpoint_callback.best_model_path), str(checkpoint_callback.last_model_path)}
        found |= {str(path) for path in getattr(checkpoint_callback, "best_k_models", {})}
        step = int(getattr(checkpoint_callback, "_last_global_step_saved", 0))
        for path in sorted(found - self._saved - {""}):
            self.experiment.checkpoint(step, Path(path))
            self._saved.add(path)

    @rank_zero_only  # type: ignore[untyped-decorator]  # as above
    def finalize(self, status: str) -> None:
        """End a run that was started here."""
        if self._held.run is not None:
            self._held.end("finished" if status in ("success", "finished") else "failed")


class MonitorCallback(Callback):  # type: ignore[misc]  # as above
    """Stops the trainer on all ranks when the run of its `MonitorLogger`, or a given run, says so.

    Args:
        run: the run to ask; None: that of the trainer's `MonitorLogger`.
    """

    def __init__(self, run: Run | None = None) -> None:
        self._run = run

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the run know the loss that the module keeps, such as `self.criterion`."""
        _losses.tell(self._found(trainer), lambda: _losses.of_torch_model(pl_module))

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Ask after each batch."""
        self._obey(trainer, 0.0)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ask after each validation, which may have told."""
        self._obey(trainer, 1.0)

    def _obey(self, trainer: Trainer, wait_s: float) -> None:
        run = self._found(trainer)
        stop = run is not None and run.should_stop(wait_s)
        if trainer.world_size > 1:
            stop = bool(trainer.strategy.broadcast(stop))
        if stop:
            trainer.should_stop = True

    def _found(self, trainer: Trainer) -> Run | None:
        if self._run is not None:
            return self._run
        logger = next((lg for lg in trainer.loggers if isinstance(lg, MonitorLogger)), None)
        return logger._held.run if logger is not None and trainer.is_global_zero else None
