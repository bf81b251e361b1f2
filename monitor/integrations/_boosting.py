"""What the callbacks of boosting share: which data sets and which metric of a round are diagnosed, and logging it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, NamedTuple, Unpack

from monitor.directions import rises
from monitor.integrations import _losses
from monitor.integrations._owned import HoldsRun, OwnedRun, RunOptions
from monitor.roles import Role, role_of_set
from monitor.run.start import Run


class Value(NamedTuple):
    """One metric of one data set after a round.

    Attributes:
        name: the data set's name.
        metric: the metric's name.
        value: its value.
        rises: True if higher is better, according to the framework; None: unknown.
    """

    name: str
    metric: str
    value: float
    rises: bool | None = None


class BoostingCallback(HoldsRun):
    """Base of the callbacks. The arguments are described there; `project` is by default the framework's name."""

    _project: ClassVar[str]

    def __init__(
        self,
        run: Run | None = None,
        *,
        project: str | None = None,
        train_name: str | None = None,
        val_name: str | None = None,
        metric: str | None = None,
        higher_is_better: bool | None = None,
        wait_s: float = 0.0,
        **options: Unpack[RunOptions],
    ) -> None:
        super().__init__()
        self._held = OwnedRun(run, project=project or self._project, **options)
        self._train_name, self._val_name, self._metric = train_name, val_name, metric
        self._higher_is_better, self._wait_s = higher_is_better, wait_s
        self._first = 0

    def _log(
        self,
        run: Run,
        iteration: int,
        values: Sequence[Value],
        trained: Collection[str] = (),
        classes: Callable[[], int | None] | None = None,
    ) -> bool:
        """Log a round; True if boosting should stop.

        Args:
            iteration: the framework's number of the round; `_first` is added.
            values, trained: as in `_row`.
            classes: given in the first round; the number of classes.
        """
        row, loss = self._row(values, trained)
        if classes is not None and loss is not None and not run.loss_known:
            if self._turned(loss):
                run.update_loss({"name": f"-{loss.metric}", "comparable": True})
            else:
                _losses.tell(run, lambda: _losses.named(loss.metric, classes()))
        run.log(row, step=self._first + iteration)
        return run.should_stop(self._wait_s)

    def _row(self, values: Sequence[Value], trained: Collection[str] = ()) -> tuple[dict[str, object], Value | None]:
        """The values to log for a round, and the one used as the loss.

        Args:
            values: one for each metric and set, preferred metrics first.

        >>> values = [Value("train", "auc", 0.9), Value("train", "rmse", 0.2), Value("held out", "rmse", 0.3)]
        >>> BoostingCallback(project="docs")._row(values)[0]  # doctest: +NORMALIZE_WHITESPACE
        {'train/auc': 0.9, 'train/rmse': 0.2, 'held out/rmse': 0.3, 'train/loss': 0.2, 'val/loss': 0.3}
        >>> BoostingCallback(project="docs")._row([Value("valid_0", "auc", 0.9)])[0]
        {'valid_0/auc': 0.9, 'val/loss': -0.9}
        """
        row: dict[str, object] = {f"{value.name}/{value.metric}": value.value for value in values}
        names = list(dict.fromkeys(value.name for value in values))
        train = next((name for name in names if self._learns_from(name, trained)), None)
        held_out = [name for name in names if not self._learns_from(name, trained)]
        val = self._val_name if self._val_name is not None else next(iter(held_out), None)
        loss: Value | None = None
        for name, key in ((train, "train/loss"), (val, "val/loss")):
            chosen = self._loss([value for value in values if value.name == name])
            if chosen is not None:
                row[key] = -chosen.value if self._turned(chosen) else chosen.value
                loss = loss or chosen
        return row, loss

    def _learns_from(self, name: str, trained: Collection[str]) -> bool:
        if name == self._val_name:
            return False
        if self._train_name is not None:
            return name == self._train_name
        return name in trained or role_of_set(name) is Role.TRAIN

    def _loss(self, values: Sequence[Value]) -> Value | None:
        """The chosen metric of a set; else the first that should fall, else one of unknown direction, else any."""
        if self._metric is not None:
            return next((value for value in values if value.metric == self._metric), None)
        ranks = {False: 0, None: 1, True: 2}
        return min(values, key=lambda value: (value.metric != "loss", ranks[_rises(value)]), default=None)

    def _turned(self, value: Value) -> bool:
        if self._higher_is_better is not None and value.metric == (self._metric or value.metric):
            return self._higher_is_better
        return bool(_rises(value))


def _rises(value: Value) -> bool | None:
    return rises(value.metric) if value.rises is None else value.rises
