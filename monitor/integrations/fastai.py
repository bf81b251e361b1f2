"""fastai: a callback for `Learner.fit`, `fit_one_cycle`, `fine_tune` and the like."""

from __future__ import annotations

from typing import Any, Unpack

from fastai.callback.core import CancelFitException
from fastai.learner import Callback, Learner, Recorder

from monitor.distributed import agreed
from monitor.integrations import _losses
from monitor.integrations._owned import Checkpoints, OwnedRun, RunOptions, next_step, patience_s, watch
from monitor.run.start import Run


class MonitorCallback(Callback):  # type: ignore[misc]  # fastai is seen as untyped
    """Logs batches and epochs, records saved models, and stops training when the run should stop.

    `fine_tune`, which fits twice, is one run. The learning rate finder and predictions start none.

    Args:
        monitor_run: a run that the caller ends; None: start one for each training. (fastai uses `run` for a flag.)
        project: the project of a run started here.
        every: batches between points of the training loss, >= 1.
        **options: as in `monitor.init`, for a run started here.
    """

    order = Recorder.order + 1  # after metrics are computed, before `EarlyStoppingCallback` raises
    remove_on_fetch = True

    def __init__(
        self, monitor_run: Run | None = None, *, project: str = "fastai", every: int = 1, **options: Unpack[RunOptions]
    ) -> None:
        super().__init__()
        self._held = OwnedRun(monitor_run, project=project, **options)
        self._every = max(1, every)
        self._batches = 0
        self._epochs = 0
        self._checkpoints = Checkpoints()

    @property
    def monitor_run(self) -> Run | None:
        """The run; None outside a training, unless the caller passed one."""
        return self._held.run

    def before_fit(self) -> None:
        """Start the run."""
        self.run = not hasattr(self.learn, "lr_finder") and not hasattr(self.learn, "gather_preds")
        if not self.run:
            return
        before = self.monitor_run
        run = self._held.start(_config(self.learn))
        if run is not before or not self._batches:
            self._checkpoints.clear()
            self._batches, self._epochs = next_step(run), 0
        _losses.tell(run, lambda: _losses.of_torch(getattr(self.learn.loss_func, "func", None) or self.learn.loss_func,
                                                   self.learn.model))  # fmt: skip

    def after_batch(self) -> None:
        """Log the training loss of a batch."""
        run = self.monitor_run
        if run is None or not self.learn.training:
            return
        if self._batches % self._every == 0:
            run.log({"train/loss": self.learn.loss.detach(), "lr": self.learn.opt.hypers[-1]["lr"]}, step=self._batches)
        self._batches += 1
        if agreed(run.should_stop(), self._batches):
            raise CancelFitException

    def after_epoch(self) -> None:
        """Log the validation metrics of an epoch."""
        run = self.monitor_run
        if run is None:
            return
        self._epochs += 1
        recorder, row = self.learn.recorder, {}
        for name, value in zip(recorder.metric_names[1:], recorder.log[1:], strict=False):
            if name not in ("time", "train_loss") and value is not None:
                row[f"val/{name.removeprefix('valid_')}"] = value
        run.log(row, step=max(0, self._batches - 1), epoch=self._epochs)
        if agreed(run.should_stop(patience_s(run))):
            raise CancelFitException

    def before_epoch(self) -> None:
        """Record models saved after the last epoch."""
        self._note_saved()

    def after_fit(self) -> None:
        """Record models saved last. The run ends with the call that trains."""
        self._note_saved()
        self.run = True

    def _note_saved(self) -> None:
        saved = [getattr(callback, "last_saved_path", None) for callback in self.learn.cbs]
        self._checkpoints.saved(self.monitor_run, max(0, self._batches - 1), *saved)


def _config(learn: Any) -> dict[str, object]:
    """The parts of a learner by name, and the arguments of `fit`."""
    loss = learn.loss_func
    return {
        "n_epoch": learn.n_epoch,
        "batch_size": getattr(learn.dls, "bs", None),
        "model": type(learn.model).__name__,
        "loss_func": getattr(loss, "__name__", None) or type(loss).__name__,
        "opt_func": getattr(learn.opt_func, "__name__", None) or str(learn.opt_func),
        "lr": learn.lr,
        "wd": learn.wd,
    }


for _method in ("fine_tune", "fit"):
    watch(Learner, _method)
