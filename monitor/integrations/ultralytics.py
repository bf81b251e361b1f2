"""Ultralytics (YOLO): callbacks for one model, or for every training of the process.

`attach(model, project="mine")` before `model.train(...)`, or `register(project="mine")` once. A loss of Ultralytics has
parts; their sum, which is what it minimises, is logged as `train/loss` and `val/loss`, next to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils.callbacks import default_callbacks

from monitor.integrations._owned import Checkpoints, OwnedRun, RunOptions, next_step, patience_s, watch
from monitor.run.start import Run


class MonitorCallbacks:
    """Logs each epoch of a trainer, notes its checkpoints, and stops it when the run says so.

    Args:
        run: a run that the caller ends; None: one is started for each training.
        project: the project of a run that is started here; None: that of the training's arguments.
        **options: as in `monitor.init`; the name is that of the training's arguments where none is given.
    """

    def __init__(self, run: Run | None = None, *, project: str | None = None, **options: Unpack[RunOptions]) -> None:
        self._held = OwnedRun(run, project="ultralytics", **options)
        self._project = project
        self._checkpoints = Checkpoints()
        self._first = 0
        self._logged = -1

    @property
    def run(self) -> Run | None:
        """The run, None outside a training where none was given."""
        return self._held.run

    @property
    def callbacks(self) -> Mapping[str, Callable[[Any], None]]:
        """The callbacks by the names of Ultralytics' events."""
        names = ("on_train_start", "on_train_epoch_end", "on_fit_epoch_end", "on_model_save", "on_train_end")
        return {name: getattr(self, name) for name in names}

    def on_train_start(self, trainer: Any) -> None:
        """Start the run."""
        arguments = vars(trainer.args)
        project, name = arguments.get("project"), arguments.get("name")
        self._checkpoints.clear()
        run = self._held.start(dict(arguments), project=self._project or (str(project) if project else None), name=name)
        self._first = next_step(run) if trainer.start_epoch == 0 else 0  # a training that is resumed counts by itself
        self._logged = -1

    def on_train_epoch_end(self, trainer: Any) -> None:
        """Log the training losses and learning rates of an epoch."""
        if self.run is not None:
            parts = trainer.label_loss_items(trainer.tloss, prefix="train")
            row = {**parts, "train/loss": sum(parts.values()), **trainer.lr}
            self.run.log(row, step=self._first + trainer.epoch, epoch=trainer.epoch + 1)

    def on_fit_epoch_end(self, trainer: Any) -> None:
        """Log what was validated, and stop where the run says so; the last evaluation, of the best model, is none."""
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
            trainer.stop = True  # read at once, and told to the other ranks, by the trainer

    def on_model_save(self, trainer: Any) -> None:
        """Note the checkpoints."""
        self._checkpoints.saved(self.run, self._first + trainer.epoch, trainer.last, trainer.best)

    def on_train_end(self, trainer: Any) -> None:
        """End a run that was started here."""
        self._checkpoints.saved(self.run, self._first + trainer.epoch)
        self._held.end()


def attach(
    model: Any, run: Run | None = None, *, project: str | None = None, **options: Unpack[RunOptions]
) -> MonitorCallbacks:
    """Log the trainings of a model, such as `YOLO("yolo11n.pt")`; the arguments are those of `MonitorCallbacks`."""
    made = MonitorCallbacks(run, project=project, **options)
    for event, callback in made.callbacks.items():
        model.add_callback(event, callback)
    return made


def register(*, project: str | None = None, **options: Unpack[RunOptions]) -> MonitorCallbacks:
    """Log every training of this process of models that are made from now on; the arguments are those of `init`."""
    made = MonitorCallbacks(project=project, **options)
    for event, callback in made.callbacks.items():
        default_callbacks[event].append(callback)
    return made


watch(BaseTrainer, "train")
