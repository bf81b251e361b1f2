"""A small picture of curves, for agents that can see."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from monitor.domain.formats import number, step

WIDTH: Final = 480
HEIGHT: Final = 280
_EDGE: Final = 36
_FINE: Final = 2
COLOURS: Final = ("#0969da", "#bc4c00", "#8250df")
_INK, _BEST, _ONSET = "#1f2328", "#1a7f37", "#b3261e"

Line = tuple[str, Any, Any]


def curve_png(title: str, lines: Sequence[Line], *, onset: float | None = None, best: float | None = None) -> bytes:
    """A PNG of curves over steps; what is not finite leaves a gap.

    Args:
        title: above the curves.
        lines: name, steps (n,) and values (n,) of up to three curves.
        onset: the step of a dashed red line.
        best: the step of a green line.
    """
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (WIDTH * _FINE, HEIGHT * _FINE), "#ffffff")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(11 * _FINE)
    finite = [(x[np.isfinite(y)], y[np.isfinite(y)]) for _, x, y in lines]
    xs, ys = (np.concatenate([np.empty(0), *parts]) for parts in ([x for x, _ in finite], [y for _, y in finite]))
    left, right = (float(xs.min()), float(xs.max())) if len(xs) else (0.0, 1.0)
    low, high = (float(ys.min()), float(ys.max())) if len(ys) else (0.0, 1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - left) / ((right - left) or 1.0)
        up = (y / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)
        return (_FINE * (_EDGE + across * (WIDTH - 2 * _EDGE)), _FINE * (HEIGHT - _EDGE - up * (HEIGHT - 2 * _EDGE)))

    for at, colour, dash in ((onset, _ONSET, 4), (best, _BEST, 0)):
        if at is not None and left <= at <= right:
            (x, bottom), (_, top) = place(at, low), place(at, high)
            for y in np.arange(top, bottom, _FINE * 8 if dash else bottom - top or 1.0):
                pen.line((x, y, x, min(bottom, y + (_FINE * dash or bottom - top))), colour, _FINE)
    for (_, x, y), colour in zip(lines, COLOURS, strict=False):
        _draw(pen, [place(a, b) if math.isfinite(b) else None for a, b in zip(x, y, strict=True)], colour)
    names = "   ".join(name for name, _, _ in lines[: len(COLOURS)])
    pen.text((_FINE * _EDGE, _FINE * 6), f"{title}: {names}"[:80], _INK, font)
    for text, x, y in (
        (number(high), 2, _EDGE - 6), (number(low), 2, HEIGHT - _EDGE - 6),
        (step(left), _EDGE, HEIGHT - 20), (step(right), WIDTH - 2 * _EDGE, HEIGHT - 20),
    ):  # fmt: skip
        pen.text((_FINE * x, _FINE * y), text, _INK, font)
    out = io.BytesIO()
    image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(out, "PNG")
    return out.getvalue()


def _draw(pen: Any, places: Sequence[tuple[float, float] | None], colour: str) -> None:
    """A curve, with gaps."""
    part: list[tuple[float, float]] = []
    for at in [*places, None]:
        if at is not None:
            part.append(at)
        elif len(part) > 1:
            pen.line(part, colour, _FINE * 2, joint="curve")
            part = []
        elif part:
            (x, y), part = part[0], []
            pen.ellipse((x - _FINE, y - _FINE, x + _FINE, y + _FINE), colour)
