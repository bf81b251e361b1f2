"""The one wire format: batches of points and events from a writer's journal, and series on the way back.

A *batch* is what a writer sends: records `first` up to `first + count` of its journal, as columns of points in the
order in which they were logged, and events (a run's start, its checkpoints, its end). `docs/formats/wire.md` draws the
bytes.

There are two spellings of the same content: packed (`encode_batch`, media type `application/x-monitor-batch`), in
which float64 travels as it is, and JSON for people with curl (`batch_from_json`), in which NaN, +inf and -inf are
"NaN", "Infinity" and "-Infinity". Both are lossless and both are checked in full before anything is stored.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.domain import Curve, Points
from monitor.errors import WireError

VERSION: Final = 1
MEDIA_TYPE: Final = "application/x-monitor-batch"
POINTS_MEDIA_TYPE: Final = "application/x-monitor-points"
MAX_KEY: Final = 250
"""Characters of a metric name, at most."""
MAX_POINTS: Final = 1_000_000
"""Points of one batch, at most."""
MAX_RECORD: Final = 2**62
EVENT_KINDS: Final = frozenset(
    {"alert", "run", "config", "tags", "checkpoint", "finish", "warning", "weights", "capture"}
)

_MAGIC: Final = b"LMB1"
_POINTS_MAGIC: Final = b"LMP1"
_HEAD: Final = struct.Struct("<4sI")
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
_WRITER: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Points in the order in which they were logged; all arrays have shape (n,).

    Attributes:
        key: uint16, index into the batch's `keys`.
        step: int64.
        value: float64, NaN and infinities as they are.
        time_ms: int64, milliseconds since the epoch.
        epoch: float64, NaN where none was given; None where no point has one.
    """

    key: NDArray[np.uint16]
    step: NDArray[np.int64]
    value: NDArray[np.float64]
    time_ms: NDArray[np.int64]
    epoch: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.step)

    @classmethod
    def empty(cls) -> Columns:
        """No points."""
        return cls(np.empty(0, "u2"), np.empty(0, "i8"), np.empty(0, "f8"), np.empty(0, "i8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a run besides a point.

    Attributes:
        kind: one of `EVENT_KINDS`. `run` starts or joins a run: project, name, group, config, tags, loss, resume,
            heartbeat_s, join (True: an extra writer of the current attempt). `config` and `tags` are merged.
            `checkpoint`: step, path. `finish`: status, error. `warning`: name, key, count, example. `capture`: what was
            recorded of the environment. `weights`: step, weights. `alert`: title, body, severity.
        record: index of the event's record in the writer's journal.
        time_ms: milliseconds since the epoch.
        data: strict JSON data, as `jsonable` makes it.
    """

    kind: str
    record: int
    time_ms: int
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records `first` up to `first + count` of one writer of one run; count 0 is a heartbeat.

    Attributes:
        run_id: 32 hex digits.
        writer: unique for every process that writes to the run; letters, digits, `_`, `.`, `-`, at most 64.
        first: index of the first record, >= 0.
        count: records, >= 0; a record holds the points of one `log()` call, or one event.
        keys: metric names that `points.key` refers to.
    """

    run_id: str
    writer: str
    first: int
    count: int
    keys: tuple[str, ...] = ()
    points: Columns = field(default_factory=Columns.empty)
    events: tuple[Event, ...] = ()

    @property
    def end(self) -> int:
        """Index of the record after the last one."""
        return self.first + self.count


def jsonable(value: object) -> object:
    """Turn a value into strict JSON data: non-finite floats become strings, unknown types their `str`.

    >>> jsonable({"lr": float("nan"), "shape": (3, 4), 5: None})
    {'lr': 'NaN', 'shape': [3, 4], '5': None}
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return number_to_json(value)
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v) for v in value]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        return jsonable(item())
    return str(value)


def number_to_json(value: float) -> float | str:
    """A float as JSON has it: what is not finite as "NaN", "Infinity" or "-Infinity"."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def number_from_json(value: object, place: str) -> float:
    """The inverse of `number_to_json`.

    Raises:
        WireError: it is neither a number nor one of the three words.
    """
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError(place, f'must be a number, "NaN", "Infinity" or "-Infinity", got {value!r}')
    try:
        return float(value)
    except OverflowError:
        raise WireError(place, "does not fit a float64") from None


def encode_batch(batch: Batch) -> bytes:
    """Pack a batch: magic, header length, header as JSON, then the columns, each padded to 8 bytes."""
    n, columns = len(batch.points), batch.points
    header = {
        "run_id": batch.run_id,
        "writer": batch.writer,
        "first": batch.first,
        "count": batch.count,
        "keys": list(batch.keys),
        "n": n,
        "epoch": columns.epoch is not None,
        "events": [{"kind": e.kind, "record": e.record, "time_ms": e.time_ms, "data": e.data} for e in batch.events],
    }
    parts = [
        _pack_header(_MAGIC, header),
        _bytes(columns.step, "<i8"),
        _bytes(columns.value, "<f8"),
        _bytes(columns.time_ms, "<i8"),
    ]
    if columns.epoch is not None:
        parts.append(_bytes(columns.epoch, "<f8"))
    parts.append(_bytes(columns.key, "<u2"))
    return b"".join(parts)


def decode_batch(body: bytes) -> Batch:
    """Unpack and check a batch.

    Raises:
        WireError: the body does not follow the format; `field` names the place.
    """
    header, offset = _unpack_header(_MAGIC, body)
    n = _integer(header, "n", 0, MAX_POINTS)
    reader = _Reader(body, offset, n)
    step, value, time_ms = (
        reader.column(name, d) for name, d in (("step", "<i8"), ("value", "<f8"), ("time_ms", "<i8"))
    )
    epoch = reader.column("epoch", "<f8") if header.get("epoch") else None
    key = reader.column("key", "<u2")
    reader.end()
    return _checked(header, Columns(key, step, value, time_ms, epoch))


def batch_from_json(data: object) -> Batch:
    """Read the JSON spelling: `points` is a list of `{"key", "step", "value", "time_ms", "epoch"?}`.

    Raises:
        WireError: the data does not follow the format; `field` names the place, such as `points[3].value`.
    """
    if not isinstance(data, Mapping):
        raise WireError("body", f"must be a JSON object, got {type(data).__name__}")
    rows = data.get("points", [])
    if not isinstance(rows, list):
        raise WireError("points", "must be a list of objects")
    if len(rows) > MAX_POINTS:
        raise WireError("points", f"holds {len(rows)} points, at most {MAX_POINTS} are taken at once")
    keys: dict[str, int] = {}
    columns: list[tuple[int, int, float, int, float]] = []
    for i, row in enumerate(rows):
        place = f"points[{i}]"
        if not isinstance(row, Mapping):
            raise WireError(place, "must be an object")
        name = row.get("key")
        if not isinstance(name, str):
            raise WireError(f"{place}.key", f"must be a string, got {name!r}")
        epoch = row.get("epoch")
        columns.append(
            (
                keys.setdefault(name, len(keys)),
                _integer(row, "step", -(2**63), 2**63 - 1, place),
                number_from_json(row.get("value"), f"{place}.value"),
                _integer(row, "time_ms", 0, 2**62, place),
                math.nan if epoch is None else number_from_json(epoch, f"{place}.epoch"),
            )
        )
    if len(keys) > 65_536:
        raise WireError("points", f"hold {len(keys)} different keys, at most 65536 fit a batch")
    key, step, value, time_ms, epochs = zip(*columns, strict=True) if columns else ((), (), (), (), ())
    points = Columns(
        np.array(key, "u2"),
        np.array(step, "i8"),
        np.array(value, "f8"),
        np.array(time_ms, "i8"),
        np.array(epochs, "f8") if not all(math.isnan(e) for e in epochs) else None,
    )
    return _checked({**data, "keys": list(keys)}, points)


def batch_to_json(batch: Batch) -> dict[str, object]:
    """The JSON spelling of a batch; see `batch_from_json`."""
    p = batch.points
    epochs: Sequence[float] = p.epoch.tolist() if p.epoch is not None else [math.nan] * len(p)
    rows = [
        {
            "key": batch.keys[k],
            "step": s,
            "value": number_to_json(v),
            "time_ms": t,
            **({} if math.isnan(e) else {"epoch": number_to_json(e)}),
        }
        for k, s, v, t, e in zip(
            p.key.tolist(), p.step.tolist(), p.value.tolist(), p.time_ms.tolist(), epochs, strict=True
        )
    ]
    return {
        "run_id": batch.run_id,
        "writer": batch.writer,
        "first": batch.first,
        "count": batch.count,
        "points": rows,
        "events": [
            {"kind": e.kind, "record": e.record, "time_ms": e.time_ms, "data": dict(e.data)} for e in batch.events
        ],
    }


def encode_points(points: Points) -> bytes:
    """Pack a series for a reader: steps, values, times, and epochs where there are any."""
    header = {"n": len(points), "epoch": points.epochs is not None}
    parts = [
        _pack_header(_POINTS_MAGIC, header),
        _bytes(points.steps, "<i8"),
        _bytes(points.values, "<f8"),
        _bytes(points.times, "<i8"),
    ]
    if points.epochs is not None:
        parts.append(_bytes(points.epochs, "<f8"))
    return b"".join(parts)


def decode_points(body: bytes) -> Points:
    """The inverse of `encode_points`.

    Raises:
        WireError: the body does not follow the format.
    """
    header, offset = _unpack_header(_POINTS_MAGIC, body)
    reader = _Reader(body, offset, _integer(header, "n", 0, 2**40))
    steps, values, times = (
        reader.column(name, d) for name, d in (("step", "<i8"), ("value", "<f8"), ("time_ms", "<i8"))
    )
    epochs = reader.column("epoch", "<f8") if header.get("epoch") else None
    reader.end()
    return Points(steps, values, times, epochs)


def curve_to_json(curve: Curve) -> dict[str, object]:
    """A reduced curve as strict JSON data."""
    return {
        "key": curve.key,
        "x_axis": curve.x_axis,
        "x": [number_to_json(v) for v in curve.x.tolist()],
        "y": [number_to_json(v) for v in curve.y.tolist()],
        "shown": curve.shown,
        "total": curve.total,
        "smoothed": None if curve.smoothed is None else [number_to_json(v) for v in curve.smoothed.tolist()],
    }


def curve_from_json(data: Mapping[str, object]) -> Curve:
    """The inverse of `curve_to_json`."""

    def column(name: str) -> NDArray[np.float64]:
        values = data[name]
        assert isinstance(values, list)
        return np.array([number_from_json(v, name) for v in values], "f8")

    return Curve(
        str(data["key"]),
        str(data["x_axis"]),
        column("x"),
        column("y"),
        int(str(data["shown"])),
        int(str(data["total"])),
        None if data.get("smoothed") is None else column("smoothed"),
    )


class _Reader:
    """Takes one padded column after the other from a packed body."""

    def __init__(self, body: bytes, offset: int, n: int) -> None:
        self.body, self.offset, self.n = body, offset, n

    def column(self, name: str, dtype: str) -> Any:
        size = self.n * np.dtype(dtype).itemsize
        if self.offset + size > len(self.body):
            raise WireError(f"points.{name}", f"{size} bytes announced, {max(0, len(self.body) - self.offset)} there")
        values = np.frombuffer(self.body, dtype, self.n, self.offset)
        self.offset += size + (-size) % 8
        return values

    def end(self) -> None:
        if self.offset != len(self.body):
            raise WireError("body", f"{len(self.body)} bytes long, {self.offset} announced")


def _pack_header(magic: bytes, header: Mapping[str, object]) -> bytes:
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    return _HEAD.pack(magic, len(text)) + text


def _unpack_header(magic: bytes, body: bytes) -> tuple[Mapping[str, object], int]:
    if len(body) < _HEAD.size:
        raise WireError("body", f"{len(body)} bytes long, too short for a header")
    found, length = _HEAD.unpack_from(body)
    if found != magic:
        raise WireError("body", f"starts with {found!r}, not {magic!r}: another format, or a newer version of it")
    try:
        header = json.loads(body[_HEAD.size : _HEAD.size + length])
    except ValueError as error:
        raise WireError("header", f"is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise WireError("header", "must be a JSON object")
    return header, _HEAD.size + length


def _bytes(values: NDArray[Any], dtype: str) -> bytes:
    data = np.ascontiguousarray(values, dtype).tobytes()
    return data + b"\0" * (-len(data) % 8)


def _integer(data: Mapping[str, object], name: str, low: int, high: int, place: str = "") -> int:
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


def _checked(header: Mapping[str, object], points: Columns) -> Batch:
    run_id = _string(header, "run_id", _RUN_ID, "32 lower-case hex digits")
    writer = _string(header, "writer", _WRITER, "1 to 64 letters, digits, '_', '.' or '-'")
    first = _integer(header, "first", 0, MAX_RECORD)
    count = _integer(header, "count", 0, MAX_RECORD)
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
                record=_integer(row, "record", first, first + count - 1, place),
                time_ms=_integer(row, "time_ms", 0, 2**62, place),
                data=data,
            )
        )
    return tuple(events)
