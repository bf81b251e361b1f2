"""A Plotly figure as plain data, in the form that Plotly.js reads.

Plotly's Python classes validate every property when it is set, which would take most of the time of a page that redraws
every second. The tests validate every figure with them instead.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.domain import inert

Spec = dict[str, object]
"""A part of a figure: names and values as Plotly's reference has them; arrays may be numpy's float64."""
NEAR: Final = 1e-3
"""How far a value may be moved, as a share of what usually lies between it and its neighbours."""
EXACT: Final = 1e-6
"""And as a share of the value itself: six digits, where the chart shows five."""


@dataclass(slots=True, eq=False)
class Figure:
    """Traces, shapes and annotations are added in the order in which they are drawn."""

    layout: Spec
    traces: list[Spec] = field(default_factory=list)
    shapes: list[Spec] = field(default_factory=list)
    annotations: list[Spec] = field(default_factory=list)

    def scatter(self, **spec: object) -> None:
        """Add points or lines."""
        self.traces.append({"type": "scatter", **spec})

    def shape(self, **spec: object) -> None:
        """Add a line or a rectangle."""
        self.shapes.append(spec)

    def edge(
        self, xs: Sequence[float] | NDArray[np.float64], height: float, name: str, marker: Spec, **more: object
    ) -> None:
        """Add marks at a height of the frame, 0 to 1, whatever the y axis; none where there is no x."""
        if len(xs):
            at = [height] * len(xs)
            self.scatter(x=xs, y=at, yaxis="y2", mode="markers", name=name, marker=marker, **more)

    def across(
        self, *, x: float | None = None, y: float | None = None, color: str, dash: str, width: float = 1, name: str = ""
    ) -> None:
        """Add a line from edge to edge of the upper panel: upright at `x`, or level at `y`."""
        upright = {"x0": x, "x1": x, "y0": 0, "y1": 1, "xref": "x", "yref": "y domain"}
        level = {"x0": 0, "x1": 1, "y0": y, "y1": y, "xref": "x domain", "yref": "y"}
        ends = upright if y is None else level
        self.shape(type="line", **ends, line={"color": color, "dash": dash, "width": width}, name=name)

    def note(self, **spec: object) -> None:
        """Add a text without an arrow."""
        self.annotations.append({"showarrow": False, **spec})

    def update(self, **parts: object) -> None:
        """Change the layout; a part that is a mapping on both sides is merged."""
        for name, part in parts.items():
            old = self.layout.get(name)
            self.layout[name] = {**old, **part} if isinstance(old, dict) and isinstance(part, dict) else part

    @property
    def height(self) -> int:
        """Pixels."""
        return int(str(self.layout["height"]))

    def to_dict(self) -> dict[str, Any]:
        """The figure as a dictionary, with texts escaped for Plotly and without numbers that JSON cannot hold."""
        layout = {**self.layout, "shapes": self.shapes, "annotations": self.annotations}
        return {"data": [_shown(trace) for trace in self.traces], "layout": _shown(layout)}

    def to_json(self) -> str:
        """The figure as JSON; arrays are packed, and `{"of": n}` stands for an x axis that trace n has too."""
        made = self.to_dict()
        first: dict[int, int] = {}
        for n, (trace, shown) in enumerate(zip(self.traces, made["data"], strict=True)):
            x = trace.get("x")
            if isinstance(x, np.ndarray) and first.setdefault(id(x), n) != n:
                shown["x"] = {"of": first[id(x)]}
        return json.dumps(made, default=_packed, allow_nan=False, separators=(",", ":"))


_TEXTS: Final = frozenset({"text", "name", "legendgroup", "customdata", "ticktext"})
"""Properties that may hold user text. Plotly interprets some HTML tags in them, links included."""


def _shown(part: object, key: str = "") -> object:
    if isinstance(part, dict):
        return {name: _shown(value, name) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [_shown(value, key) for value in part]
    if isinstance(part, float) and not math.isfinite(part):
        return None
    return plotly_text(part) if isinstance(part, str) and key in _TEXTS else part


def plotly_text(text: str) -> str:
    """Escape a text so that Plotly shows it as written.

    >>> plotly_text('<a href="x">a & b</a>')
    '&lt;a href="x"&gt;a &amp; b&lt;/a&gt;'
    """
    return escape(inert(text), quote=False)


def _packed(value: object) -> object:
    if isinstance(value, np.ndarray):
        return packed(value)
    raise TypeError(f"{type(value).__name__} is no part of a figure")


def packed(values: NDArray[np.float64]) -> dict[str, str]:
    """Numbers in the form that Plotly.js reads too: `dtype` (i4, f4 or f8) and `bdata`.

    Whole numbers stay what they are, such as steps. NaN and infinities stay, too.

    >>> packed(np.array([1.0, 2.0]))
    {'dtype': 'i4', 'bdata': 'AQAAAAIAAAA='}
    """
    kind = _kind(np.asarray(values, np.float64))
    data = np.ascontiguousarray(values, f"<{kind}").tobytes()
    return {"dtype": kind, "bdata": base64.b64encode(data).decode("ascii")}


def _kind(values: NDArray[np.float64]) -> str:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if len(values) and np.all(np.abs(values) < 2**31) and np.array_equal(values, np.trunc(values)):
            return "i4"
        finite = values[np.isfinite(values)]
        moved = np.abs(finite.astype(np.float32) - finite)
        between = np.abs(np.diff(finite))
        usual = float(np.median(between[between > 0])) if np.any(between > 0) else np.inf
        near = bool(np.all(moved <= NEAR * usual) and np.all(moved <= EXACT * np.abs(finite)))
    return "f4" if near else "f8"
