"""Training curves as small SVG pictures, legible in light and dark; text, no plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
WIDTH, HEIGHT = 430, 210
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 40, 30
COLUMNS = 180
"""Columns of pixels that a long curve is reduced to: its lowest and its highest value in each."""
LOG_RATIO = 200.0
STYLE = """<style>
svg{--bg:#fbfbf9;--ink:#24262b;--dim:#63666e;--grid:#e4e4df;--c0:#2f6fd0;--c1:#d9660a;--c2:#0b8a68;--bad:#b4233c;--mark:#24262b}
@media (prefers-color-scheme:dark){svg{--bg:#14171c;--ink:#e6e8ec;--dim:#a0a4ae;--grid:#2b3038;--c0:#6fa8ff;--c1:#ffa552;--c2:#4fcf9f;--bad:#ff8a95;--mark:#e6e8ec}}
text{font:11px system-ui,sans-serif;fill:var(--dim)} .t{font-size:13px;font-weight:600;fill:var(--ink)}
.g{stroke:var(--grid)} polyline,path{fill:none;stroke-width:1.4;stroke-linejoin:round} .k0{stroke:var(--c0)} .k1{stroke:var(--c1)} .k2{stroke:var(--c2)}
.d0{fill:var(--c0)} .d1{fill:var(--c1)} .d2{fill:var(--c2)} .fire{stroke:var(--bad);stroke-width:1.6} .onset{stroke:var(--bad);stroke-dasharray:4 3}
.due{stroke:var(--mark);stroke-dasharray:1 3;stroke-width:1.6} .f{fill:var(--bad)} .w{fill:var(--ink)} .x{stroke:var(--bad);stroke-width:1.6}
.level{stroke:var(--dim);stroke-dasharray:2 3} .h{paint-order:stroke;stroke:var(--bg);stroke-width:4px;stroke-linejoin:round}
</style>"""  # noqa: E501  # a style sheet
"""Train, validation and a third series in the colours of the dashboard; what fired in red, what should have in ink."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A curve of a panel: rows of (step, value), of any length; NaN is a gap and a cross."""

    name: str
    rows: Rows
    colour: int


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A step at which something is told: `fire`, `onset`, or `due` for where it should have been."""

    step: float
    kind: str
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One frame; `levels` are horizontal lines by name, such as the chance level."""

    title: str
    note: str = ""
    lines: Sequence[Line] = field(default_factory=tuple)
    marks: Sequence[Mark] = field(default_factory=tuple)
    levels: Mapping[str, float] = field(default_factory=dict)
    unit: str = "step"


def svg(panels: Sequence[Panel], label: str) -> str:
    """Panels side by side as one picture; `label` is read to those who cannot see it."""
    width = WIDTH * len(panels)
    body = "\n".join(f'<g transform="translate({WIDTH * i} 0)">\n{_panel(p)}\n</g>' for i, p in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}" '
        f'role="img" aria-label="{escape(label, {chr(34): "&quot;"})}">\n{STYLE}\n'
        f'<rect width="{width}" height="{HEIGHT}" rx="6" fill="var(--bg)"/>\n{body}\n</svg>\n'
    )


def _panel(panel: Panel) -> str:
    finite = [line.rows[np.isfinite(line.rows[:, 1])] for line in panel.lines]
    values = np.concatenate([*(rows[:, 1] for rows in finite), list(panel.levels.values())])
    steps = [line.rows[:, 0] for line in panel.lines if len(line.rows)]
    first, last = min(float(s.min()) for s in steps), max(float(s.max()) for s in steps)
    axes = _Axes(first, last if last > first else first + 1, *_span(values))
    parts = [f'<text class="t" x="{LEFT}" y="17">{escape(_cut(panel.title, 30))}</text>']
    if panel.note:
        parts.append(f'<text x="{LEFT}" y="31">{escape(_cut(panel.note, 62))}</text>')
    parts += axes.grid(panel.unit)
    parts += _levels(panel.levels, axes)
    parts += [piece for line in panel.lines for piece in _line(line, axes)]
    parts += _marks(panel.marks, axes)
    parts += _legend(panel.lines)
    return "\n".join(parts)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


@dataclass(frozen=True)
class _Axes:
    first: float
    last: float
    low: float
    high: float
    log: bool

    def x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (step - self.first) / (self.last - self.first)

    def y(self, value: float) -> float:
        at = math.log10(value) if self.log else value
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - min(max(at, self.low), self.high)) / (self.high - self.low)

    def grid(self, unit: str) -> list[str]:
        """Lines and numbers at round values, and the name of the step axis."""
        parts = []
        for value in _ticks(self.low, self.high, whole=self.log):
            y = self.y(10**value if self.log else value)
            text = f"{10**value:.0e}".replace("e+0", "e").replace("e-0", "e-") if self.log else f"{value:g}"
            parts.append(f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
        for step in _ticks(self.first, self.last):
            end = ' text-anchor="end"' if self.x(step) > WIDTH - RIGHT - 20 else ' text-anchor="middle"'
            parts.append(f'<text x="{self.x(step):.1f}" y="{HEIGHT - 14}"{end}>{step:,.10g}</text>')
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">{unit}</text>')
        return parts


def _span(values: Rows) -> tuple[float, float, bool]:
    """The ends of the value axis, and whether it is logarithmic."""
    if not len(values):
        return 0.0, 1.0, False
    low, high = float(values.min()), float(values.max())
    log = low > 0 and high / low > LOG_RATIO
    if log:
        low, high = math.log10(low), math.log10(high)
    pad = 0.04 * (high - low) or max(abs(high), 1.0) * 0.1
    return low - pad, high + pad, log


def _ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Some four round numbers between both ends."""
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    size = next(size * k for k in (1, 2, 5, 10) if size * k >= rough)
    size = max(1.0, size) if whole else size
    return [float(f"{k * size:.10g}") for k in range(math.ceil(low / size), math.floor(high / size) + 1)]


def _line(line: Line, axes: _Axes) -> list[str]:
    rows = line.rows[np.isfinite(line.rows[:, 1]) & ((line.rows[:, 1] > 0) if axes.log else True)]
    bad = line.rows[~np.isfinite(line.rows[:, 1])]
    thin = _thinned(rows)
    points = " ".join(f"{axes.x(step):.1f},{axes.y(value):.1f}" for step, value in thin.tolist())
    parts = [f'<polyline class="k{line.colour}" points="{points}"/>'] if len(thin) > 1 else []
    if len(thin) <= 60:
        parts += [
            f'<circle class="d{line.colour}" cx="{axes.x(step):.1f}" cy="{axes.y(value):.1f}" r="2"/>'
            for step, value in thin.tolist()
        ]
    foot = HEIGHT - BOTTOM
    for step in _apart([axes.x(step) for step in bad[:, 0].tolist()]):
        parts.append(f'<path class="x" d="M{step - 3:.1f} {foot - 7}l6 6m0 -6l-6 6"/>')
    return parts


def _thinned(rows: Rows) -> Rows:
    """The lowest and the highest value of every column of pixels, in their order."""
    if len(rows) <= 2 * COLUMNS:
        return rows
    keep = {0, len(rows) - 1}
    for part in np.array_split(np.arange(len(rows)), COLUMNS):
        keep |= {int(part[rows[part, 1].argmin()]), int(part[rows[part, 1].argmax()])}
    return rows[sorted(keep)]


def _apart(places: Sequence[float], least: float = 6.0) -> list[float]:
    """Places of which no two are too close to be told apart."""
    found: list[float] = []
    for place in places:
        if not found or place - found[-1] >= least:
            found.append(place)
    return found


def _marks(marks: Sequence[Mark], axes: _Axes) -> list[str]:
    """A line for each step, its name at the top, a row lower where two are close."""
    placed = [(axes.x(min(max(mark.step, axes.first), axes.last)), mark) for mark in marks]
    placed.sort(key=lambda pair: (pair[0], pair[1].kind != "onset"))
    parts, texts, ends = [], [], [-math.inf] * 4
    for i, (x, mark) in enumerate(placed):
        parts.append(f'<line class="{mark.kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        if not mark.label:
            continue
        length = 6.0 * len(mark.label)
        right = placed[i + 1][0] if i + 1 < len(placed) else math.inf
        fits = x + 4 + length < min(WIDTH - RIGHT, right)
        before = x - 4 - length
        cramped = before < max(LEFT, ends[0]) and x + 4 + length < WIDTH - RIGHT
        left = x + 4 if fits or cramped else before
        row = next((k for k, end in enumerate(ends) if left > end), 0)
        ends[row] = left + length
        css = "w" if mark.kind == "due" else "f"
        texts.append(f'<text class="{css} h" x="{left:.1f}" y="{TOP + 11 + 13 * row}">{escape(mark.label)}</text>')
    return parts + texts


def _levels(levels: Mapping[str, float], axes: _Axes) -> list[str]:
    parts = []
    for name, value in levels.items():
        y = axes.y(value)
        parts.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="h" x="{WIDTH - RIGHT}" y="{y - 3:.1f}" text-anchor="end">{escape(name)}</text>')
    return parts


def _legend(lines: Sequence[Line]) -> list[str]:
    parts, right = [], float(WIDTH - RIGHT)
    for line in reversed(lines):
        right -= 6.2 * len(line.name)
        parts.append(f'<text x="{right:.1f}" y="17">{escape(line.name)}</text>')
        parts.append(f'<line class="k{line.colour}" x1="{right - 16:.1f}" x2="{right - 4:.1f}" y1="13" y2="13"/>')
        right -= 26
    return parts
