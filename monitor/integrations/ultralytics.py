"""Ultralytics (YOLO): callbacks for one model, or for all trainings of the process.

Call `attach(model, project="mine")` before `model.train(...)`, or `register(project="mine")` once. Ultralytics
minimises a sum of parts; it is logged as `train/loss` and `val/loss`, next to the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils.callbacks import default_callbacks

from monitor.integrations._owned import Checkpoints, HoldsRun, OwnedRun, RunOptions, next_step, patience_s, watch
from monitor.run.start import Run


class MonitorCallbacks(HoldsRun):
    """Logs each epoch of a trainer, records its checkpoints, and stops it when the run should stop.

    Args:
        run: a run that the caller ends; None: start one for each training.
        project: the project of a run started here; None: from the training's arguments.
        **options: as in `monitor.init`; the name defaults to that of the training's arguments.
    """

    def __init__(self, run: Run | None = None, *, project: str | None = None, **options: Unpack[RunOptions]) -> None:
        self._held = OwnedRun(run, project="ultralytics", **options)
        self._project = project
        self._checkpoints = Checkpoints()
        self._first = 0
        self._logged = -1

    @property
    def callbacks(self) -> Mapping[str, Callable[[Any], None]]:
        """The callbacks by event name."""
        names = ("on_train_start", "on_train_epoch_end", "on_fit_epoch_end", "on_model_save", "on_train_end")
        return {name: getattr(self, name) for name in names}

    def on_train_start(self, trainer: Any) -> None:
        """Start the run."""
        arguments = vars(trainer.args)
        project, name = arguments.get("project"), arguments.get("name")
        self._checkpoints.clear()
        run = self._held.start(dict(arguments), project=self._project or (str(project) if project else None), name=name)
        self._first = next_step(run) if trainer.start_epoch == 0 else 0  # a resumed training keeps its own count
        self._logged = -1

    def on_train_epoch_end(self, trainer: Any) -> None:
        """Log the training losses and learning rates of an epoch."""
        if self.run is not None:
            parts = trainer.label_loss_items(trainer.tloss, prefix="train")
            row = {**parts, "train/loss": sum(parts.values()), **trainer.lr}
            self.run.log(row, step=self._first + trainer.epoch, epoch=trainer.epoch + 1)

    def on_fit_epoch_end(self, trainer: Any) -> None:
        """Log the validation metrics, and stop if the run should stop.

        The final evaluation of the best model repeats the last epoch and is skipped.
        """
        run = self.run
        if run is None or trainer.epoch == self._logged:
            return
        self._logged = trainer.epoch
        row = dict(trainer.metrics or {})
        parts = [v for k, v in row.items() if k.startswith("val/") and k.endswith("loss")]
        if parts:
            row["val/loss"] = sum(parts)
        run.log(row, step=self._first + trainer.epoch, epoch=trainer.epoch + 1)
        if run.should_stop(patience_s(run)):
            trainer.stop = True  # the trainer reads it at once and tells the other ranks

    def on_model_save(self, trainer: Any) -> None:
        """Record the checkpoints."""
        self._checkpoints.saved(self.run, self._first + trainer.epoch, trainer.last, trainer.best)

    def on_train_end(self, trainer: Any) -> None:
        """End the run if it was started here."""
        self._checkpoints.saved(self.run, self._first + trainer.epoch)
        self._held.end()


def attach(
    model: Any, run: Run | None = None, *, project: str | None = None, **options: Unpack[RunOptions]
) -> MonitorCallbacks:
    """Log the trainings of a model, such as `YOLO("yolo11n.pt")`. The arguments are those of `MonitorCallbacks`."""
    made = MonitorCallbacks(run, project=project, **options)
    for event, callback in made.callbacks.items():
        model.add_callback(event, callback)
    return made


def register(*, project: str | None = None, **options: Unpack[RunOptions]) -> MonitorCallbacks:
    """Log every training of models created in this process from now on. The arguments are those of `init`."""
    made = MonitorCallbacks(project=project, **options)
    for event, callback in made.callbacks.items():
        default_callbacks[event].append(callback)
    return made


watch(BaseTrainer, "train")
