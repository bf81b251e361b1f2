"""The panels of a grid as plain data: the metrics of each section, and the lines of each panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.charts.axes import Look, axis_values, resolve_scale
from dashboard.charts.figure import packed
from monitor.domain import Curve, SeriesInfo, inert
from monitor.domain.formats import number, step
from monitor.roles import Role

SMALL: Final = 3
"""Panels of a section of losses and goals up to which it shares a section with others."""
REST: Final = "Other"
"""The section of metrics whose names have no prefix that another one shares."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A metric's frame; `log` says that its y axis is logarithmic, `said` tells it to those who cannot see it."""

    key: str
    title: str
    last: str = ""
    said: str = ""
    log: bool = False

    def to_dict(self) -> dict[str, object]:
        """The form that the browser gets."""
        return {"key": self.key, "title": self.title, "last": self.last, "said": self.said, "log": self.log}


@dataclass(frozen=True, slots=True)
class Section:
    """Panels that stand together under a name; `large` ones take a row each."""

    name: str
    panels: tuple[Panel, ...]
    large: bool = False

    def to_dict(self) -> dict[str, object]:
        """The form that the browser gets."""
        return {"name": self.name, "large": self.large, "panels": [panel.to_dict() for panel in self.panels]}


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line of a panel; `low` and `high` add a band below it."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    colour: str
    dash: str = ""
    smoothed: NDArray[np.float64] | None = None
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None

    def to_dict(self) -> dict[str, object]:
        """The form that the browser gets."""
        found: dict[str, object] = {"x": packed(self.x), "y": packed(self.y), "c": self.colour}
        more = {"s": self.smoothed, "lo": self.low, "hi": self.high}
        found |= {name: packed(array) for name, array in more.items() if array is not None}
        return found | ({"d": self.dash} if self.dash else {})


def sections(series: Sequence[SeriesInfo]) -> tuple[Section, ...]:
    """Every series in the section of its prefix, the text before the first slash; a lone one stands in `REST`.

    Sections of judged losses and goals come first and those of the machine last; otherwise the order is that of names.
    """
    found: dict[str, list[SeriesInfo]] = {}
    for each in series:
        found.setdefault(_prefix(each.key), []).append(each)
    lone = [name for name, some in found.items() if len(some) == 1 and some[0].role in (Role.UNMAPPED, Role.LR)]
    if len(found) > 1:
        found.setdefault(REST, []).extend(each for name in lone if name != REST for each in found.pop(name))
        found = {name: some for name, some in found.items() if some}

    def rank(name: str) -> tuple[float, str]:
        roles = {each.role for each in found[name]}
        first = 0 if roles & {Role.TRAIN, Role.VAL, Role.GOAL} else 2 if roles == {Role.SYSTEM} else 1
        return (first if name != REST else 1.5, name.lower())

    small = [name for name in sorted(found, key=rank) if rank(name)[0] == 0 and len(found[name]) <= SMALL]
    if len(small) > 1:  # separate sections for train, val and eval would leave most of each row empty
        found = {" · ".join(small): [s for name in small for s in _sorted(found.pop(name))], **found}
    return tuple(
        Section(inert(name), tuple(map(panel_of, some if " · " in name else _sorted(some))))
        for name, some in sorted(found.items(), key=lambda each: rank(each[0]))
    )


def _sorted(series: Sequence[SeriesInfo]) -> list[SeriesInfo]:
    return sorted(series, key=lambda s: s.key)


def _prefix(key: str) -> str:
    head, slash, _ = key.partition("/")
    return head if slash and head else REST


def panel_of(series: SeriesInfo) -> Panel:
    """A metric's panel before its curve was read."""
    title = inert(series.key)
    said = (
        f"{title}: {number(series.last)} at step {step(series.last_step)}, between {number(series.min)} and "
        f"{number(series.max)}"
    )
    return Panel(series.key, title, number(series.last), said, _wide(series))


def _wide(series: SeriesInfo) -> bool:
    """True if a linear axis would flatten a loss or gradient norm."""
    if series.role not in (Role.TRAIN, Role.VAL, Role.GRAD_NORM, Role.PART):
        return False
    low, high = series.min, series.max
    return low is not None and high is not None and low > 0 and resolve_scale([_ends(low, high)], "auto") == "log"


def _ends(low: float, high: float) -> Curve:
    return Curve("", "step", np.array([0.0, 1.0]), np.array([low, high]), 2, 2)


def line_of(curve: Curve, colour: str, look: Look, *, dash: str = "", peers: Sequence[Curve] = ()) -> Line:
    """A curve as a line of a panel, on the axis of `peers`."""
    x = axis_values(curve.x, look, peers or [curve])
    return Line(x, curve.y, colour, dash, curve.smoothed)
