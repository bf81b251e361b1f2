"""A profile as a small SVG plot: the loss over the error, its slope, and its kinks. No plotting library is needed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from monitor.losses.profiles.report import LossProfile

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 30, 34
LOSS_COLOURS = ("#0072b2", "#d55e00")
SLOPE_COLOUR = "#999999"
"""Okabe and Ito's palette, which colour-blind readers can distinguish too."""


def svg(profile: LossProfile) -> str:
    """Draw the loss along every slice (solid) and the first slice's slope (dashed), with kinks as dots.

    Example:
        >>> import numpy as np
        >>> from monitor.losses import profile
        >>> svg(profile(lambda p, t: np.abs(p - t).mean(), name="absolute")).startswith("<svg")
        True
    """
    curves = [(name, curve["error"], curve["loss"]) for name, curve in profile.curve.items()]
    slopes = _slopes(curves[0][1], curves[0][2])
    values = [value for _, _, losses in curves for value in losses] + list(slopes)
    low, high = _limits(values)
    left, right = curves[0][1][0], curves[0][1][-1]
    parts = [_frame(profile, low, high, left, right)]
    middles = [(a + b) / 2 for a, b in pairwise(curves[0][1])]
    parts.append(_polyline(middles, slopes, (left, right, low, high), SLOPE_COLOUR, dashed=True))
    for index, (_, errors, losses) in enumerate(curves):
        colour = LOSS_COLOURS[index % len(LOSS_COLOURS)]
        parts.append(_polyline(errors, losses, (left, right, low, high), colour))
    parts += [_dot(profile, name, place, (left, right, low, high)) for name, place in _kinks(profile)]
    parts.append(_legend([name for name, _, _ in curves]))
    body = "\n".join(parts)
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    label = escape(f"{profile.name}: loss and slope over the error", {'"': "&quot;"})
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}" '
        f'font-family="sans-serif" font-size="11">\n{body}\n</svg>\n'
    )


def _kinks(profile: LossProfile) -> list[tuple[str, float]]:
    """Slice and place of every kink in the drawn range."""
    entries = profile.evidence["kinks"]["kinks"]
    assert isinstance(entries, Sequence)
    found = [(str(entry["slice"]), float(entry["error"])) for entry in entries]
    return [(name, place) for name, place in found if _nearest(profile, name, place) is not None]


def _nearest(profile: LossProfile, name: str, place: float) -> int | None:
    """The index of the curve point next to an error; None outside the drawn range."""
    errors = profile.curve[name]["error"]
    if not errors[0] <= place <= errors[-1]:
        return None
    return min(range(len(errors)), key=lambda index: abs(errors[index] - place))


def _dot(profile: LossProfile, name: str, place: float, limits: tuple[float, float, float, float]) -> str:
    index = _nearest(profile, name, place)
    assert index is not None
    x, y = _place(place, profile.curve[name]["loss"][index], limits)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#000"/>'


def _slopes(errors: Sequence[float], losses: Sequence[float]) -> list[float]:
    points = list(zip(errors, losses, strict=True))
    return [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(points)]


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """The range to draw: everything, but at most 12 units up, so that one steep side does not flatten the rest."""
    low, high = min(values), max(values)
    low, high = max(low, -6.0), min(high, 12.0)
    pad = 0.05 * max(high - low, 1e-9)
    return low - pad, high + pad


def _place(error: float, value: float, limits: tuple[float, float, float, float]) -> tuple[float, float]:
    left, right, low, high = limits
    x = LEFT + (error - left) / (right - left) * (WIDTH - LEFT - RIGHT)
    y = HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
    return x, y


def _polyline(
    errors: Sequence[float],
    values: Sequence[float],
    limits: tuple[float, float, float, float],
    colour: str,
    *,
    dashed: bool = False,
) -> str:
    low, high = limits[2], limits[3]
    inside = [(e, v) for e, v in zip(errors, values, strict=True) if low <= v <= high]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(e, v, limits) for e, v in inside))
    dash = ' stroke-dasharray="4 3" stroke-width="1.2"' if dashed else ' stroke-width="2"'
    return f'<polyline points="{points}" fill="none" stroke="{colour}"{dash}/>'


def _frame(profile: LossProfile, low: float, high: float, left: float, right: float) -> str:
    limits = (left, right, low, high)
    lines = [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{escape(profile.name)}</text>',
    ]
    for value in _ticks(low, high):
        _, y = _place(left, value, limits)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e5e5"/>')
        lines.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for error in (-4, -2, 0, 2, 4):
        x, _ = _place(float(error), low, limits)
        lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#e5e5e5"/>')
        lines.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{error}</text>')
    lines.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 5}" text-anchor="middle">error</text>')
    return "\n".join(lines)


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers within the limits."""
    span = high - low
    step = next((s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if span / s <= 6), 10.0)
    first = int(low / step) - 1
    return [round(step * k, 6) for k in range(first, first + 20) if low <= step * k <= high]


def _legend(names: Sequence[str]) -> str:
    """The label of each line, right of the title."""
    names = names if len(names) > 1 else ["loss"]
    labels = [(name, LOSS_COLOURS[i % len(LOSS_COLOURS)]) for i, name in enumerate(names)] + [("slope", SLOPE_COLOUR)]
    text, x = [], WIDTH - RIGHT
    for name, colour in reversed(labels):
        text.append(f'<text x="{x}" y="18" text-anchor="end" font-size="10" fill="{colour}">{escape(name)}</text>')
        x -= 6 * len(name) + 10
    return "\n".join(text)
