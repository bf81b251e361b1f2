"""The points of one series: complete, reduced to a screen, and summarised as a row of a list."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitor.domain.plain import Row
from monitor.roles import Role

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """The points of one series, sorted by step. All arrays have shape (n,).

    Attributes:
        steps: int64.
        values: float64; NaN and infinities as logged.
        times: int64, milliseconds since the epoch.
        epochs: float64, NaN where none was logged; None if no point has one.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.int64]
    epochs: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        ends = f" from step {self.steps[0]} to {self.steps[-1]}" if len(self) else ""
        return f"<Points {len(self)}{ends}>"

    def to_pandas(self) -> Any:
        """The points as a `pandas.DataFrame` with `step`, `value`, `time` and, where they were logged, `epoch`."""
        pandas = importlib.import_module("pandas")
        times = pandas.to_datetime(self.times, unit="ms", utc=True)
        columns = {"step": self.steps, "value": self.values, "time": times}
        return pandas.DataFrame(columns if self.epochs is None else {**columns, "epoch": self.epochs})

    @classmethod
    def join(cls, parts: Sequence[Points]) -> Points:
        """Concatenate points. If only some have epochs, those of the others are NaN."""
        import numpy as np

        if len(parts) == 1:
            return parts[0]
        epochs = None
        if any(part.epochs is not None for part in parts):
            epochs = np.concatenate([np.full(len(p), np.nan) if p.epochs is None else p.epochs for p in parts])
        return cls(
            np.concatenate([np.empty(0, np.int64), *(part.steps for part in parts)]),
            np.concatenate([np.empty(0, np.float64), *(part.values for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.times for part in parts)]),
            epochs,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A series reduced to what a screen shows.

    Attributes:
        x: float64 (m,), steps, epochs, milliseconds since the epoch, or seconds since the run's start.
        y: float64 (m,); every extreme, every gap (as a single NaN) and both ends are kept.
        shown: m.
        total: points logged in the window; an estimate if the series has been downsampled.
        smoothed: float64 (m,) or None; the debiased moving average over all points, at the points shown.
    """

    key: str
    x_axis: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    shown: int
    total: int
    smoothed: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesInfo(Row):
    """One series of a run as the series list shows it. `last` and the extremes are over finite values.

    If a later attempt logged steps again, the newest attempt's points count. `thinned` more points were logged and then
    removed by downsampling.
    """

    key: str
    role: Role
    count: int
    first_step: int | None = None
    last_step: int | None = None
    last: float | None = None
    min: float | None = None
    min_step: int | None = None
    max: float | None = None
    max_step: int | None = None
    nan_count: int = 0
    inf_count: int = 0
    last_time_ms: int | None = None
    thinned: int = 0
