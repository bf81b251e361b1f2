"""Makes text from users safe to display."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LINE_ENDS: Final = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")
_JOINERS: Final = "\u200c\u200d"
"""Invisible, but needed to compose letters and emoji."""
_CANDIDATES: Final = re.compile(r"[^ -~\n]")
_FORMULA: Final = re.compile(r"(?:^|(?<=[;\t\r\n]))(?=[\s\"]*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])")
"""Where a spreadsheet starts to read a formula, with ASCII or full-width signs."""


def inert(text: str, *, lines: bool = False) -> str:
    r"""Text with control characters shown as escapes, so that it cannot control a terminal or disguise itself.

    Escape sequences, bidirectional marks, invisible marks, lone surrogates and noncharacters are escaped. Letters of
    every script stay as they are.

    Args:
        lines: True to keep line breaks; otherwise they are escaped too.

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
    """A text for a CSV file that no spreadsheet takes for a formula: an apostrophe precedes what would start one.

    Spreadsheets that separate columns by semicolons or tabs also split the text there, and at line ends.

    >>> cell("=HYPERLINK(1)"), cell("a;=1+1"), cell("val/loss-1")
    ("'=HYPERLINK(1)", "a;'=1+1", 'val/loss-1')
    """
    return _FORMULA.sub("'", text)


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS
    no_character = ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
    return ascii(character)[1:-1] if hidden or no_character else character
