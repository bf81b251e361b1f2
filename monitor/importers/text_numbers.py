"""Normalises numbers and signs in a log: decimal commas, thousands separators, non-finite values."""

from __future__ import annotations

import re
from typing import Final

_SIGNS: Final = str.maketrans({
    "→": "->", "⇒": "=>", "⟶": "->", "│": "|", "┃": "|", "−": "-", "–": "-",
    "：": ":", "，": ", ", "；": ";", "＝": "=", "（": "(", "）": ")", "｜": "|", "％": "%",
    "\u00a0": " ", "\u202f": " ",
})  # fmt: skip
"""Replacements for non-ASCII signs: arrows, table borders, the Unicode minus, full-width punctuation."""
_MICROSOFT: Final = re.compile(r"(?<![\w.])([-+]?)1\.#(QNAN|SNAN|IND|INF)0*", re.IGNORECASE)
"""Non-finite values as printed by Microsoft's C library: `-1.#IND`."""
_COMMAS: Final = re.compile(r"(?<![\w.,\[])[-+]?\d+(?:,\d+)+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\d,]*\d|\.\d)")
_POINTS: Final = re.compile(r"(?<![\w.,])([-+]?\d{1,3}(?:\.\d{3})+),(\d+)(?![\d,.]*\d)")
"""Points between thousands, a comma before decimals: `1.234,5`."""
GROUPS: Final = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?(?:[eE][-+]?\d+)?")
"""A number with commas between thousands."""
_INSIDE: Final = re.compile(r"\d,\d")
_DECIMAL_POINT: Final = re.compile(r"\d\.\d")


_JULIA: Final = re.compile(r"(?<![\w.])([-+]?\d+\.\d+)f(-?\d{1,3})(?!\w)")
"""Single precision as printed by Julia: `2.3f0`, `1.0f-5`."""


def plain_signs(text: str) -> str:
    """A line with non-ASCII signs replaced by their ASCII equivalents.

    >>> plain_signs("loss → −0.5 │ lr：0.1"), plain_signs("loss -1.#IND")
    ('loss -> -0.5 | lr:0.1', 'loss nan')
    """
    if not text.isascii():
        text = text.translate(_SIGNS)
    if "f" in text:
        text = _JULIA.sub(r"\1e\2", text)
    if "#" in text:
        text = _MICROSOFT.sub(lambda found: f"{found[1]}inf" if found[2].upper() == "INF" else "nan", text)
    return text


def plain_numbers(text: str) -> str:
    """A line with decimal points and without thousands separators.

    A single comma before three digits is ambiguous; it separates thousands if another number on the line has a point.

    >>> plain_numbers("loss 0,9123 acc: 98,5%"), plain_numbers("loss 12,345.6"), plain_numbers("1.234,5")
    ('loss 0.9123 acc: 98.5%', 'loss 12345.6', '1234.5')
    >>> plain_numbers("loss 2,310"), plain_numbers("loss 2,310 lr 0.1"), plain_numbers("[3,20] 1,2,3")
    ('loss 2.310', 'loss 2310 lr 0.1', '[3,20] 1,2,3')
    """
    if not _INSIDE.search(text):
        return text
    if "." in text:
        text = _POINTS.sub(lambda found: f"{found[1].replace('.', '')}.{found[2]}", text)
    pointed = _DECIMAL_POINT.search(text) is not None
    return _COMMAS.sub(lambda found: number_with_point(found[0], pointed=pointed), text)


def number_with_point(number: str, *, pointed: bool) -> str:
    """Normalise one number with commas; unchanged if the commas cannot be part of a number.

    Args:
        number: such as `0,5`.
        pointed: True if other numbers on the line have decimal points.
    """
    grouped = GROUPS.fullmatch(number) is not None
    if grouped and (pointed or "." in number or number.count(",") > 1):
        return number.replace(",", "")
    return number if "." in number or number.count(",") > 1 else number.replace(",", ".")
