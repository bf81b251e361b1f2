"""Steps, and floats in strict JSON."""

from __future__ import annotations

import math
import re
from typing import Final

from monitor.limits.bounds import MAX_STEP, MIN_STEP
from monitor.limits.texts import Note, shown

_NUMBER: Final = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?([eE][+-]?\d{1,3})?")


def number_to_json(value: float) -> float | str:
    """A float for JSON: non-finite values become "NaN", "Infinity" or "-Infinity"."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def step(value: object, note: Note, what: str = "step") -> int | None:
    """The step as a 64-bit integer; None, with a note, if it is not a number.

    >>> step(3.0, print), step(True, print), step(10**400, lambda *told: None) == 2**63 - 1
    (3, 1, True)
    """
    try:
        item = getattr(value, "item", None)
        given = item() if callable(item) else value
        whole: int = math.floor(given)  # type: ignore[arg-type]  # it has __floor__, or it raises
        kept = min(max(whole, MIN_STEP), MAX_STEP)
        if kept != given:
            note("converted", what, shown(given) if kept == whole else f"an integer of {whole.bit_length()} bits", 1)
        return kept
    except Exception:  # a user's type may raise anything
        note("dropped", what, shown(value), 1)
        return None


def value_of(text: str) -> object:
    """A parameter stored as text, converted to a number if the text is one.

    >>> value_of("0.001"), value_of("1e-05"), value_of("64"), value_of("adam"), value_of("007")
    (0.001, 1e-05, 64, 'adam', '007')
    """
    if not _NUMBER.fullmatch(text):
        return text
    return int(text) if text.lstrip("-").isdecimal() else float(text)
