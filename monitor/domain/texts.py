"""Text from users, made harmless to show."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LINE_ENDS: Final = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")
_JOINERS: Final = "\u200c\u200d"
"""Invisible, but letters and emoji are put together with them."""
_CANDIDATES: Final = re.compile(r"[^ -~\n]")
_FORMULA: Final = re.compile(r"(?:^|(?<=[;\t\r\n]))(?=[\s\"]*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])")
"""Where a spreadsheet begins to read a formula, in signs of either width."""


def inert(text: str, *, lines: bool = False) -> str:
    r"""Text whose control characters are shown as escapes: it commands no terminal and poses as no other text.

    Escape sequences, marks that turn the reading direction, invisible marks, lone surrogates and codes that are no
    character are shown; letters of every script stay as they are.

    Args:
        text: any text.
        lines: True where it may have several lines; else a line end is shown as an escape too.

    >>> print(inert("a\x1b[31mb\u202ec\nd"))
    a\x1b[31mb\u202ec\nd
    >>> inert("two\r\nlines", lines=True)
    'two\nlines'
    """
    if lines:
        text = _LINE_ENDS.sub("\n", text)
    shown = _CANDIDATES.sub(lambda found: _shown(found[0]), text)
    return shown if lines else shown.replace("\n", r"\n")


def cell(text: str) -> str:
    """A text for a CSV file that no spreadsheet takes for a formula: an apostrophe comes before what would begin one.

    Where lists are separated by semicolons or tabs, a spreadsheet splits the text there too, and at a line end.

    >>> cell("=HYPERLINK(1)"), cell("a;=1+1"), cell("val/loss-1")
    ("'=HYPERLINK(1)", "a;'=1+1", 'val/loss-1')
    """
    return _FORMULA.sub("'", text)


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS
    no_character = ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
    return ascii(character)[1:-1] if hidden or no_character else character
