"""What a batch must be before anything of it is stored; `WireError` names the place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from monitor.errors import WireError
from monitor.wire.batch import EVENT_KINDS, MAX_KEY, Batch, Columns, Event

MAX_RECORD: Final = 2**62
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
_WRITER: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def checked(header: Mapping[str, object], points: Columns) -> Batch:
    """A batch of a header, as JSON gave it, and of points.

    Raises:
        WireError: something does not follow the format.
    """
    run_id = _string(header, "run_id", _RUN_ID, "32 lower-case hex digits")
    writer = _string(header, "writer", _WRITER, "1 to 64 letters, digits, '_', '.' or '-'")
    first = integer(header, "first", 0, MAX_RECORD)
    count = integer(header, "count", 0, MAX_RECORD)
    keys = header.get("keys")
    if not isinstance(keys, list):
        raise WireError("keys", "must be a list of strings")
    for i, key in enumerate(keys):
        if not isinstance(key, str) or not key.strip() or len(key) > MAX_KEY or "\0" in key:
            raise WireError(f"keys[{i}]", f"must be a name of 1 to {MAX_KEY} characters, got {key!r:.60}")
    if len(set(keys)) != len(keys):
        raise WireError("keys", "names a key twice")
    if len(points) and int(points.key.max()) >= len(keys):
        raise WireError("points.key", f"refers to key {int(points.key.max())}, the batch has {len(keys)}")
    if len(points) and not count:
        raise WireError("count", "is 0, but the batch holds points")
    return Batch(
        run_id=run_id,
        writer=writer,
        first=first,
        count=count,
        keys=tuple(keys),
        points=points,
        events=_events(header.get("events", []), first, count),
    )


def integer(data: Mapping[str, object], name: str, low: int, high: int, place: str = "") -> int:
    """A whole number between two bounds, both included.

    Raises:
        WireError: it is none, or lies outside.
    """
    value, path = data.get(name), f"{place}.{name}" if place else name
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise WireError(path, f"must be a whole number, got {value!r}")
    if not low <= value <= high:
        raise WireError(path, f"must lie between {low} and {high}, got {value}")
    return value


def _string(data: Mapping[str, object], name: str, pattern: re.Pattern[str], meaning: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise WireError(name, f"must be {meaning}, got {value!r}")
    return value


def _events(rows: object, first: int, count: int) -> tuple[Event, ...]:
    if not isinstance(rows, list):
        raise WireError("events", "must be a list of objects")
    events = []
    for i, row in enumerate(rows):
        place = f"events[{i}]"
        if not isinstance(row, Mapping):
            raise WireError(place, "must be an object")
        kind, data = row.get("kind"), row.get("data", {})
        if kind not in EVENT_KINDS:
            raise WireError(f"{place}.kind", f"must be one of {', '.join(sorted(EVENT_KINDS))}, got {kind!r}")
        if not isinstance(data, Mapping):
            raise WireError(f"{place}.data", "must be an object")
        events.append(
            Event(
                kind=str(kind),
                record=integer(row, "record", first, first + count - 1, place),
                time_ms=integer(row, "time_ms", 0, 2**62, place),
                data=data,
            )
        )
    return tuple(events)
