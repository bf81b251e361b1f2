"""A Plotly figure as plain data, in the form that Plotly.js reads.

Plotly's Python classes validate every property when it is set, which would take most of the time of a page that redraws
every second. The tests validate every figure with them instead.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

import numpy as np

from dashboard.charts.packing import packed
from monitor.domain import inert

Spec = dict[str, object]
"""A part of a figure: names and values as Plotly's reference has them; arrays may be numpy's float64."""


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
