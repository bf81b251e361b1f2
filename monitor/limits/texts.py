"""Converts text to what every store accepts."""

from __future__ import annotations

import reprlib
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from monitor.limits.bounds import MAX_NAME

if TYPE_CHECKING:
    from monitor.domain import Counter

Note = Callable[["Counter", str, str, int], None]
"""Called with what was changed or dropped: the counter, what it happened to, an example, how often."""

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def silent(counter: Counter, key: str, example: str, n: int) -> None:
    """A `Note` that reports nothing."""


def text(value: object) -> str:
    r"""Any value as text without NUL and halves of surrogate pairs. Never raises.

    >>> text("caf\udce9"), text(b"caf\xe9"), text(5), text("a\0b") == "a\ufffdb"
    ('caf\\udce9', 'caf\\xe9', '5', True)
    """
    try:
        if isinstance(value, bytes | bytearray):
            found = bytes(value).decode("utf-8", "backslashreplace")
        else:
            found = value if type(value) is str else str.__str__(str(value))
    except Exception:  # a user's type may raise anything
        found = f"<{type(value).__name__}>"
    if "\0" in found:
        found = found.replace("\0", "\ufffd")
    # Halves of surrogate pairs cannot be encoded, and become escapes.
    return found if found.isascii() else found.encode("utf-8", "backslashreplace").decode("utf-8")


def cut(found: str, most: int) -> str:
    """A text of at most `most` characters. If it was longer, it ends in an ellipsis.

    >>> cut("a sentence", 5)
    'a se…'
    """
    return found if len(found) <= most else found[: most - 1] + "…"


def label(value: object) -> str:
    """A name, stripped, of at most 250 characters; may be empty.

    Long names that differ stay different: eight hex digits follow the ellipsis.
    """
    found = text(value).strip()
    if len(found) <= MAX_NAME:
        return found
    return f"{found[: MAX_NAME - 9]}…{zlib.crc32(found.encode()):08x}"


def key(value: object) -> str:
    """A valid metric name.

    >>> key(" loss "), key(""), len(key("k" * 300))
    ('loss', 'unnamed', 250)
    """
    return label(value) or "unnamed"


def line(value: object, most: int, what: str, note: Note) -> str:
    """A text within its limit, with a note if it had to be changed.

    Args:
        most: most characters.
        what: what it is, for the note.
    """
    found = text(value)
    kept = cut(found, most)
    if kept is not found:
        note("shortened", what, f"{len(found)} characters, {most} are kept", 1)
    elif isinstance(value, str) and found != value:
        note("mended", what, shown(value), 1)
    return kept


def shown(value: object) -> str:
    """A value shortened for an error or a notice.

    >>> shown("a"), len(shown("a" * 10**6)) < 100
    ("'a'", True)
    """
    try:
        return cut(text(_SHORT.repr(value)), 80)
    except Exception:  # as above
        return f"<{type(value).__name__}>"
