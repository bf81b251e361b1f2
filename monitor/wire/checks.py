"""Checks the frame of a batch before any of it is stored. `WireError` names the place.

The frame says which records a batch holds, and where. The content of a record, such as a metric's name or an event's
data, is checked record by record when it is stored, so that one odd record does not keep out the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from monitor.errors import WireError
from monitor.limits import MAX_BATCH_EVENTS, MAX_RECORD, MAX_SPARE, shown
from monitor.wire.batch import Batch, Columns, Event

_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
_WRITER: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_INT64: Final = (-(2**63), 2**63 - 1)


def checked(header: Mapping[str, object], points: Columns) -> Batch:
    """Build a batch from its parsed header and its points."""
    run_id = _string(header, "run_id", _RUN_ID, "32 lower-case hex digits")
    writer = _string(header, "writer", _WRITER, "1 to 64 letters, digits, '_', '.' or '-'")
    first = integer(header, "first", 0, MAX_RECORD)
    count = integer(header, "count", 0, MAX_RECORD - first)
    keys = header.get("keys")
    if not isinstance(keys, list):
        raise WireError("keys", "must be a list of strings")
    for i, key in enumerate(keys):
        if not isinstance(key, str):
            raise WireError(f"keys[{i}]", f"must be a string, got {shown(key)}")
    if len(set(keys)) != len(keys):
        raise WireError("keys", "names a key twice")
    if len(points) and int(points.key.max()) >= len(keys):
        raise WireError("points.key", f"refers to key {int(points.key.max())}, the batch has {len(keys)}")
    if len(points) and not count:
        raise WireError("count", "is 0, but the batch holds points")
    events = _events(header.get("events", []), first, count)
    held = len(points) + sum(_records(event) for event in events)
    # Records may be empty. But a count far beyond the content would acknowledge records that were never sent.
    if count > held + MAX_SPARE:
        raise WireError("count", f"says {count} records, but the batch holds {held} points and events")
    return Batch(run_id=run_id, writer=writer, first=first, count=count, keys=tuple(keys), points=points, events=events)


def integer(data: Mapping[str, object], name: str, low: int, high: int, place: str = "") -> int:
    """An integer between two bounds, both inclusive.

    Raises:
        WireError: it is not an integer, or out of range.
    """
    value, path = data.get(name), f"{place}.{name}" if place else name
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise WireError(path, f"must be a whole number, got {shown(value)}")
    if not low <= value <= high:
        raise WireError(path, f"must lie between {low} and {high}, got {shown(value)}")
    return value


def time(data: Mapping[str, object], place: str) -> int:
    """A time in milliseconds, from any clock. One out of range is corrected when it is stored.

    Raises:
        WireError: it is not a 64-bit integer.
    """
    return integer(data, "time_ms", *_INT64, place)


def _string(data: Mapping[str, object], name: str, pattern: re.Pattern[str], meaning: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise WireError(name, f"must be {meaning}, got {shown(value)}")
    return value


def _events(rows: object, first: int, count: int) -> tuple[Event, ...]:
    if not isinstance(rows, list):
        raise WireError("events", "must be a list of objects")
    if len(rows) > MAX_BATCH_EVENTS:
        raise WireError("events", f"holds {len(rows)} events, at most {MAX_BATCH_EVENTS} are taken at once")
    events = []
    for i, row in enumerate(rows):
        place = f"events[{i}]"
        if not isinstance(row, Mapping):
            raise WireError(place, "must be an object")
        kind, data = row.get("kind"), row.get("data", {})
        if not isinstance(kind, str):
            raise WireError(f"{place}.kind", f"must be a string, got {shown(kind)}")
        if not isinstance(data, Mapping):
            raise WireError(f"{place}.data", "must be an object")
        record = integer(row, "record", first, first + count - 1, place)
        events.append(Event(kind=kind, record=record, time_ms=time(row, place), data=data))
    return tuple(events)


def _records(event: Event) -> int:
    """How many records an event stands for: one, or all that its writer lost."""
    count = event.data.get("count")
    if event.kind == "warning" and event.data.get("name") == "lost" and isinstance(count, int):
        return max(1, count)
    return 1
