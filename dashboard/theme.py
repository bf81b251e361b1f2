"""Colours of the charts and the style sheet.

Train and validation differ in hue (blue, orange) and in form (line; line with dots), severities in hue and in the shape
of their mark, so that nothing is shown by colour alone. The categorical colours follow Okabe and Ito's set for colour
vision deficiencies, with lightness adapted to each background.

Source:
    Okabe, Ito (2008), Color Universal Design, https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dashboard.options import DARK, LIGHT

FONT: Final = '"Source Sans", "Source Sans Pro", system-ui, sans-serif'


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """The colours of one mode, as CSS hex.

    Attributes:
        muted: text of ticks and captions, at least 4.5:1 against the background.
        grid: hairlines.
        critical, warning, info, good: severities; `good` also marks the best step.
        lines: colours of overlaid runs, in order.
    """

    background: str
    text: str
    muted: str
    grid: str
    train: str
    val: str
    critical: str
    warning: str
    info: str
    good: str
    lines: tuple[str, ...]

    def line(self, place: int) -> str:
        """The colour of a run, or a part, among others."""
        return self.lines[place % len(self.lines)]


LIGHT_PALETTE: Final = Palette(
    background=LIGHT["backgroundColor"],
    text=LIGHT["textColor"],
    muted="#63666e",
    grid="#e9e9e5",
    train="#2f6fd0",
    val="#d9660a",
    critical="#b4233c",
    warning="#a86200",
    info="#4c5a73",
    good="#0b7a5b",
    lines=("#2f6fd0", "#d9660a", "#0b8a68", "#b0508f", "#8a6d00", "#2b8ec4", "#6a4fb5", "#7a4a2a"),
)
DARK_PALETTE: Final = Palette(
    background=DARK["backgroundColor"],
    text=DARK["textColor"],
    muted="#a0a4ae",
    grid="#262a31",
    train="#6fa8ff",
    val="#ffa552",
    critical="#ff8a95",
    warning="#f0b35a",
    info="#a9b6cf",
    good="#5fd0a8",
    lines=("#6fa8ff", "#ffa552", "#4fcf9f", "#e79ac8", "#e0c95a", "#7fd4ff", "#b39cff", "#d3a184"),
)


def palette(mode: str | None) -> Palette:
    """The palette of "light" or "dark"; light where the mode is not known yet."""
    return DARK_PALETTE if mode == "dark" else LIGHT_PALETTE


def rgba(colour: str, alpha: float) -> str:
    """A hex colour made translucent.

    >>> rgba("#2f6fd0", 0.25)
    'rgba(47,111,208,0.25)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"
