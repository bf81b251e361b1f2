"""Draws a small picture of curves with Pillow, without a browser: three times as large, then scaled down.

Matplotlib's pictures are prettier, but it takes a second and 60 MiB on first use, which is too much for a server that
sends one alert a day.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from monitor.domain.formats import number, step

WIDTH: Final = 640
HEIGHT: Final = 320
"""Size of the picture in pixels."""
_FINE: Final = 3  # drawn this many times larger and reduced, for smooth lines
_SHADES: Final = 128
_BACK, _INK, _GRID, _MARK, _BEST = "#ffffff", "#1f2328", "#d8dee4", "#b3261e", "#1a7f37"
COLOURS: Final = ("#0969da", "#bc4c00", "#8250df")
_DIGITS: Final = 300  # float64 overflows just above 1e308
_MOST: Final = 10.0**_DIGITS
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 34

Array = NDArray[np.float64]
_Where = TypeVar("_Where", float, Array)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One curve.

    Attributes:
        name: its name in the legend.
        x, y: steps and values, (n,); values that are not finite leave a gap.
    """

    name: str
    x: Array
    y: Array


def draw(title: str, lines: Sequence[Line], *, onset: float | None = None, best: float | None = None) -> bytes | None:
    """Draw curves over steps as a PNG.

    Args:
        title: a line above the curves; cut if it does not fit.
        lines: up to three curves.
        onset: step for a dashed line where the problem starts.
        best: step for a dashed line at the best loss.

    Returns:
        The PNG; None if no curve has two finite points.
    """
    from PIL import Image, ImageDraw

    shown = [_drawable(line) for line in lines[: len(COLOURS)]]
    shown = [line for line in shown if len(line.y) and np.isfinite(line.y).sum() > 1]
    if not shown:
        return None
    image = Image.new("RGB", (WIDTH * _FINE, HEIGHT * _FINE), _BACK)
    canvas = _Canvas(ImageDraw.Draw(image), shown)
    canvas.axes()
    for line, colour in zip(shown, COLOURS, strict=False):
        canvas.curve(line, colour)
    if best is not None:
        canvas.mark(best, _BEST, "best")
    if onset is not None:
        canvas.mark(onset, _MARK, "onset")
    canvas.legend(title, [line.name for line in shown])
    small = image.reduce(_FINE).quantize(_SHADES, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    out = io.BytesIO()  # a box filter and few colours take a sixth of the time of the best filter and RGB
    small.save(out, "PNG")
    return out.getvalue()


def _drawable(line: Line) -> Line:
    """The points with a finite step; values whose differences would overflow are clipped."""
    known = np.isfinite(line.x)
    x, y = np.clip(line.x[known], -_MOST, _MOST), line.y[known]
    return Line(" ".join(line.name.split()), x, np.where(np.isfinite(y), np.clip(y, -_MOST, _MOST), np.nan))


class _Canvas:
    def __init__(self, pen: Any, lines: Sequence[Line]) -> None:
        self._pen = pen
        x = np.concatenate([line.x[np.isfinite(line.x)] for line in lines])
        y = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
        self._x0 = float(x.min())
        self._x1 = max(float(x.max()), self._x0 + max(1.0, 1e-9 * abs(self._x0)))
        low, high = float(y.min()), float(y.max())
        self._log = low > 0 and high / low > 50
        low, high = (math.log10(low), math.log10(high)) if self._log else (low, high)
        room = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
        least = 0.0 if low >= 0 and not self._log else -math.inf  # no axis below zero for values that never are
        self._y0, self._y1 = max(low - room, least), high + room

    def axes(self) -> None:
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            y = self._y0 + share * (self._y1 - self._y0)
            at = self._at(self._x0, y)[1]
            self._line([(_LEFT, at), (WIDTH - _RIGHT, at)], _GRID, 1)
            self._text((_LEFT - 8, at), number(10 ** min(y, _DIGITS) if self._log else y, 3), anchor="rm")
            x = self._x0 + share * (self._x1 - self._x0)
            self._text((self._at(x, self._y0)[0], HEIGHT - _BOTTOM + 8), step(round(x)), anchor="mt")

    def curve(self, line: Line, colour: str) -> None:
        y = line.y
        if self._log:
            with np.errstate(invalid="ignore", divide="ignore"):
                y = np.where(y > 0, np.log10(np.where(y > 0, y, 1.0)), np.nan)
        known = np.isfinite(y) & np.isfinite(line.x)
        across, up = self._at(line.x, y)
        for part in np.split(np.arange(len(y)), np.flatnonzero(~known)):
            seen = part[known[part]]
            points = list(zip(across[seen].tolist(), up[seen].tolist(), strict=True))
            if len(points) > 1:
                self._line(points, colour, 2)
            elif points:
                self._dot(points[0], colour)

    def mark(self, at: float, colour: str, name: str) -> None:
        if not self._x0 <= at <= self._x1:
            return
        x = self._at(at, self._y0)[0]
        for y in range(_TOP, HEIGHT - _BOTTOM, 9):
            self._line([(x, y), (x, min(y + 5, HEIGHT - _BOTTOM))], colour, 2)
        right = x < WIDTH - 90
        anchor = ("l" if right else "r") + ("t" if name == "onset" else "b")
        y = _TOP + 3 if name == "onset" else HEIGHT - _BOTTOM - 4
        self._text((x + (5 if right else -5), y), name, colour=colour, anchor=anchor)

    def legend(self, title: str, names: Sequence[str]) -> None:
        x, title = float(WIDTH - _RIGHT), " ".join(title.split())
        for name, colour in reversed(list(zip(names, COLOURS, strict=False))):
            shown = name if len(name) <= 28 else f"{name[:27]}…"
            self._text((x, 20), shown, anchor="rm")
            x -= self._length(shown) + 6
            self._line([(x - 16, 20), (x, 20)], colour, 3)
            x -= 30
        room = x - 12
        while title and self._length(title) > room:
            title = f"{title[:-2].rstrip('…')}…" if len(title) > 2 else ""
        self._text((12, 20), title, anchor="lm")

    def _at(self, x: _Where, y: _Where) -> tuple[_Where, _Where]:
        """Where a point, or each of several, lies in the picture."""
        across = (x - self._x0) / (self._x1 - self._x0)
        up = (y - self._y0) / (self._y1 - self._y0)
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)

    def _line(self, points: Sequence[tuple[float, float]], colour: str, width: int) -> None:
        fine = [(x * _FINE, y * _FINE) for x, y in points]
        # Pillow rounds joints one by one in Python: two thirds of the picture's time, for gaps of a third of a pixel.
        self._pen.line(fine, fill=colour, width=width * _FINE)

    def _dot(self, at: tuple[float, float], colour: str) -> None:
        x, y = at[0] * _FINE, at[1] * _FINE
        self._pen.ellipse((x - 2 * _FINE, y - 2 * _FINE, x + 2 * _FINE, y + 2 * _FINE), fill=colour)

    def _text(self, at: tuple[float, float], text: str, *, anchor: str, colour: str = _INK) -> None:
        self._pen.text((at[0] * _FINE, at[1] * _FINE), text, fill=colour, anchor=anchor, font=_font())

    def _length(self, text: str) -> float:
        return float(self._pen.textlength(text, font=_font())) / _FINE


_fonts: list[Any] = []


def _font() -> Any:
    """Pillow's own font, because the machine may have none."""
    if not _fonts:
        from PIL import ImageFont

        _fonts.append(ImageFont.load_default(12 * _FINE))
    return _fonts[0]
