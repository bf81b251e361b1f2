"""Keras 3, on any backend: a callback for `model.fit`."""

# ruff: noqa: ARG002  # the framework defines the arguments of its hooks

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Unpack

import keras

from monitor.integrations import _losses
from monitor.integrations._owned import Checkpoints, HoldsRun, OwnedRun, RunOptions, next_step, obey, patience_s, watch
from monitor.losses import LossSpec
from monitor.run.start import Run


class MonitorCallback(HoldsRun, keras.callbacks.Callback):  # type: ignore[misc]  # keras is seen as untyped
    """Logs batches and epochs, and stops training when the run should stop. Withdrawn advice clears the stop.

    Args:
        run: a run that the caller ends; None: start one for each `fit`.
        project: the project of a run started here.
        every: batches between points of the training loss, >= 1. Keras reports the mean since the start of the epoch.
        **options: as in `monitor.init`, for a run started here.
    """

    def __init__(
        self, run: Run | None = None, *, project: str = "keras", every: int = 1, **options: Unpack[RunOptions]
    ) -> None:
        super().__init__()
        self._held = OwnedRun(run, project=project, **options)
        self._every = max(1, every)
        self._batches = 0
        self._checkpoints = Checkpoints()
        self._savers: list[Any] = []
        self._files: list[str] = []

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_model": None, "_savers": []}

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Start the run."""
        config: dict[str, object] = dict(self.params or {})
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None:
            config["optimizer"] = {**optimizer.get_config(), "name": type(optimizer).__name__}
        self._checkpoints.clear()
        self._files = []
        run = self._held.start(config)
        if self._held.owned or not self._batches:  # another `fit` with the caller's run continues the count
            self._batches = next_step(run)
        _losses.tell(run, lambda: _loss(self.model))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Log the training loss of a batch."""
        run = self.run
        if run is not None and logs and self._batches % self._every == 0:
            run.log({f"train/{key}": value for key, value in logs.items()}, step=self._batches)
        self._batches += 1
        if run is not None:
            obey(self.model, "stop_training", run.should_stop())

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Record what a `ModelCheckpoint` saved after the last epoch."""
        self._checkpoints.saved(self.run, max(0, self._batches - 1), *self._files)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Log the validation metrics of an epoch."""
        run = self.run
        if run is None:
            return
        found = {key: value for key, value in (logs or {}).items() if key.startswith("val_")}
        row: dict[str, object] = {f"val/{key.removeprefix('val_')}": value for key, value in found.items()}
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        if rate is not None:
            row["lr"] = float(keras.ops.convert_to_numpy(rate))
        run.log(row, step=max(0, self._batches - 1), epoch=epoch + 1)
        self._files = [str(path) for one in self._savers if (path := _path(one, epoch, logs)) is not None]
        self.on_epoch_begin(epoch)
        obey(self.model, "stop_training", run.should_stop(wait_s=patience_s(run)))

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """End the run if it was started here."""
        self.on_epoch_begin(0)
        self._held.end()


def _loss(model: keras.Model) -> LossSpec | None:
    """The loss that a model with one output was compiled with."""
    loss = model.loss
    if not isinstance(loss, str):
        loss = getattr(loss, "__name__", None) or type(loss).__name__
    shape = model.output_shape
    classes = shape[-1] if isinstance(shape, tuple) and isinstance(shape[-1], int) else None
    return _losses.named(loss, classes)


def _path(saver: Any, epoch: int, logs: Mapping[str, float] | None) -> str | None:
    """The file of a `ModelCheckpoint` after an epoch; None if its name needs more than the epoch and metrics."""
    try:
        return str(saver._get_file_path(epoch, None, logs))
    except Exception:  # a name such as "{batch}.keras": the batch is not known here
        return None


_FIT = inspect.signature(keras.Model.fit)


def _told(*args: Any, **kwargs: Any) -> None:
    """Called before a training: show our callbacks the `ModelCheckpoint`s."""
    given = _FIT.bind_partial(*args, **kwargs).arguments.get("callbacks")
    found = given if isinstance(given, list | tuple) else getattr(given, "callbacks", None) or [given]
    for callback in found:
        if isinstance(callback, MonitorCallback):
            callback._savers = [each for each in found if isinstance(each, keras.callbacks.ModelCheckpoint)]


watch(keras.Model, "fit", before=_told)
