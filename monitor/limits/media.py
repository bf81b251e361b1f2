"""Validates images, tables and histograms: turns any input into what the store accepts."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from monitor.domain.media import JSON, KINDS, SIGNATURES
from monitor.limits.bounds import MAX_MEDIA, MAX_NAME
from monitor.limits.numbers import step
from monitor.limits.texts import Note, key, label, line, shown

FIELDS: Final = ("key", "kind", "step", "mime", "caption", "content")


def media(data: Mapping[object, object], note: Note) -> dict[str, object] | None:
    """An image, a table or a histogram. If its content does not match its type, it is dropped as a whole."""
    name, kind, mime = key(data.get("key")), data.get("kind"), data.get("mime")
    number = step(data.get("step"), note, "media.step")
    content = data.get("content")
    try:
        if kind not in KINDS or not isinstance(content, str) or number is None:
            raise ValueError(f"kind {shown(kind)}, step {shown(data.get('step'))}")
        _check(str(kind), mime, base64.b64decode(content, validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        note("media", label(name), str(error)[:200], 1)
        return None
    given = data.get("caption")
    caption = "" if given is None else line(given, MAX_NAME, "media.caption", note)
    return {"key": name, "kind": kind, "step": number, "mime": mime, "caption": caption, "content": content}


def _check(kind: str, mime: object, content: bytes) -> None:
    """Raise ValueError if the content does not match its type."""
    if len(content) > MAX_MEDIA:
        raise ValueError(f"{len(content):,} bytes, {MAX_MEDIA:,} are kept at most")
    if kind == "image":
        at, start = SIGNATURES.get(str(mime), (0, b"\0"))
        if content[at : at + len(start)] != start:
            raise ValueError(f"not an image of the type {shown(mime)}; PNG and WebP are kept")
        return
    if mime != JSON:
        raise ValueError(f"a {kind} is {JSON}, not {shown(mime)}")
    found = json.loads(content)
    if not isinstance(found, dict) or not (_is_table(found) if kind == "table" else _is_histogram(found)):
        raise ValueError(f"not the content of a {kind}")


def _is_table(found: dict[str, object]) -> bool:
    columns, rows = found.get("columns"), found.get("rows")
    return (
        isinstance(columns, list)
        and isinstance(rows, list)
        and all(isinstance(name, str) for name in columns)
        and all(isinstance(row, list) and len(row) == len(columns) and all(map(_is_cell, row)) for row in rows)
    )


def _is_cell(value: object) -> bool:
    return value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def _is_histogram(found: dict[str, object]) -> bool:
    edges, counts = found.get("edges"), found.get("counts")
    return (
        isinstance(edges, list)
        and isinstance(counts, list)
        and len(edges) == len(counts) + 1 >= 2
        and all(isinstance(x, int | float) and _is_cell(x) for x in (*edges, *counts))
        and all(a <= b for a, b in pairwise(edges))
    )
