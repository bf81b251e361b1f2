"""skorch: a callback, `NeuralNet(..., callbacks=[MonitorCallback(project="mine")])`.

To stop early, skorch callbacks raise a `KeyboardInterrupt` that `fit` catches. `fit` also catches the user's Ctrl-C, so
a run is `failed` if the interrupt did not come from a callback.
"""

# ruff: noqa: ARG002  # the framework defines the arguments of its hooks

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from skorch import NeuralNet
from skorch.callbacks import Callback, Checkpoint

from monitor.distributed import agreed
from monitor.integrations import _losses
from monitor.integrations._owned import Checkpoints, HoldsRun, OwnedRun, RunOptions, next_step, patience_s, watch, wrap
from monitor.run.start import Run, ending


class MonitorCallback(HoldsRun, Callback):  # type: ignore[misc]  # skorch is seen as untyped
    """Logs batches and epochs, records checkpoints, and stops training when the run should stop.

    Args:
        run: a run that the caller ends; None: start one for each `fit`.
        project: the project of a run started here.
        every: batches between points of the training loss, >= 1.
        **options: as in `monitor.init`, for a run started here.
    """

    def __init__(
        self, run: Run | None = None, *, project: str = "skorch", every: int = 1, **options: Unpack[RunOptions]
    ) -> None:
        self._given = {"run": run, "project": project, "every": every, **options}
        self._held = OwnedRun(run, project=project, **options)
        self._every = max(1, every)
        self._batches = 0
        self._checkpoints = Checkpoints()

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """The constructor's arguments: a grid search creates new callbacks for each candidate."""
        return dict(self._given)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_given": {**self._given, "run": None}}

    def on_train_begin(self, net: NeuralNet, X: object = None, y: object = None, **kwargs: object) -> None:  # noqa: N803
        """Start the run."""
        self._checkpoints.clear()
        run = self._held.start(_config(net))
        self._batches = next_step(run)
        _losses.tell(run, lambda: _losses.of_torch(net.criterion_, net.module_))

    def on_batch_end(self, net: NeuralNet, batch: object = None, training: bool = False, **kwargs: object) -> None:
        """Log the training loss of a batch."""
        run = self.run
        if run is None or not training:
            return
        if self._batches % self._every == 0:
            loss = kwargs.get("loss")
            run.log({"train/loss": loss if loss is not None else net.history[-1, "batches", -1, "train_loss"]},
                    step=self._batches)  # fmt: skip
        self._batches += 1
        if agreed(run.should_stop(), self._batches):
            raise KeyboardInterrupt  # skorch's way to end a training

    def on_epoch_end(self, net: NeuralNet, **kwargs: object) -> None:
        """Log the scores of an epoch."""
        run = self.run
        if run is None:
            return
        last, row = net.history[-1], {}
        for key, value in last.items():
            if isinstance(value, int | float) and not key.endswith(("_best", "_batch_count")) and key not in _OTHERS:
                row[f"val/{key.removeprefix('valid_')}" if key.startswith("valid_") else key] = value
        row |= _losses.learning_rates(getattr(net, "optimizer_", None))
        step = max(0, self._batches - 1)
        run.log(row, step=step, epoch=last["epoch"])
        self._checkpoints.saved(run, step, *_files(net))
        if agreed(run.should_stop(patience_s(run))):
            raise KeyboardInterrupt

    def on_train_end(self, net: NeuralNet, **kwargs: object) -> None:
        """End the run if it was started here."""
        self._checkpoints.saved(self.run, max(0, self._batches - 1), *_files(net))
        self._held.end(*getattr(net, "_monitor_ending", ("finished", None)))


_OTHERS = ("epoch", "dur", "train_loss")


def _files(net: NeuralNet) -> list[str]:
    """The parameter files of the net's checkpoint callbacks at this epoch."""
    callbacks = [callback for _, callback in net.callbacks_ if isinstance(callback, Checkpoint)]
    return [path for one in callbacks if isinstance(path := one.get_formatted_files(net).get("f_params"), str)]


def _config(net: NeuralNet) -> dict[str, object]:
    """The parameters of a net, without its callbacks."""
    return {k: v for k, v in net.get_params(deep=False).items() if not k.startswith(("_", "callbacks"))}


def _fit_loop(original: Callable[..., Any], net: Any, *args: Any, **kwargs: Any) -> Any:
    """Remember how the training loop ended, because `partial_fit` swallows interrupts."""
    net._monitor_ending = ("finished", None)
    try:
        return original(net, *args, **kwargs)
    except KeyboardInterrupt as error:
        if not _of_a_callback(error):
            net._monitor_ending = ending(error)
        raise


def _of_a_callback(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and isinstance(trace.tb_frame.f_locals.get("self"), Callback)


wrap(NeuralNet, "fit_loop", _fit_loop)
watch(NeuralNet, "partial_fit")
