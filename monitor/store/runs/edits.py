"""Edits that a person makes to a run: its name, note and tags, within the limits of a run."""

from __future__ import annotations

from typing import Final

from monitor.domain import RunEdit
from monitor.errors import WireError
from monitor.limits import MAX_NAME, MAX_TAG, MAX_TEXT, text

MAX_NOTE: Final = MAX_TEXT
"""Most characters in a note."""


def checked(edit: RunEdit) -> RunEdit:
    """Validate an edit. Unlike logged data, which is cut, a person's input is refused.

    Raises:
        WireError: a text is too long, or empty where it must not be; the message names it.
    """
    name = None if edit.name is None else _text("name", edit.name.strip(), MAX_NAME)
    if name == "":
        raise WireError("name", "a run needs a name; write one of 1 to 250 characters")
    note = None if edit.note is None else _text("note", edit.note, MAX_NOTE)
    tags: dict[str, str | None] = {}
    for tag, value in edit.tags.items():
        known = _text("tags", tag.strip(), MAX_NAME)
        if not known:
            raise WireError("tags", "a tag needs a name; write one of 1 to 250 characters")
        tags[known] = None if value is None else _text(f"tags.{known[:50]}", value, MAX_TAG)
    return RunEdit(name=name, note=note, tags=tags)


def _text(what: str, value: str, most: int) -> str:
    found = text(value)
    if len(found) > most:
        raise WireError(what, f"has {len(found)} characters, at most {most} are kept")
    return found
