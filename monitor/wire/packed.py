"""The packed encoding: a JSON header, then raw columns. `docs/formats/wire.md` draws the bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitor.domain import Points
from monitor.errors import WireError
from monitor.limits import MAX_POINTS
from monitor.wire.batch import Batch, Columns
from monitor.wire.checks import checked, integer

MEDIA_TYPE: Final = "application/x-monitor-batch"
POINTS_MEDIA_TYPE: Final = "application/x-monitor-points"
_MAGIC: Final = b"LMB1"
_POINTS_MAGIC: Final = b"LMP1"
_HEAD: Final = struct.Struct("<4sI")


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
    n = integer(header, "n", 0, MAX_POINTS)
    reader = _Reader(body, offset, n)
    step, value, time_ms = (
        reader.column(name, d) for name, d in (("step", "<i8"), ("value", "<f8"), ("time_ms", "<i8"))
    )
    epoch = reader.column("epoch", "<f8") if header.get("epoch") else None
    key = reader.column("key", "<u2")
    reader.end()
    return checked(header, Columns(key, step, value, time_ms, epoch))


def encode_points(points: Points) -> bytes:
    """Pack a series for a reader: steps, values, times, and epochs if there are any."""
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
    """The inverse of `encode_points`."""
    header, offset = _unpack_header(_POINTS_MAGIC, body)
    reader = _Reader(body, offset, integer(header, "n", 0, 2**40))
    steps, values, times = (
        reader.column(name, d) for name, d in (("step", "<i8"), ("value", "<f8"), ("time_ms", "<i8"))
    )
    epochs = reader.column("epoch", "<f8") if header.get("epoch") else None
    reader.end()
    return Points(steps, values, times, epochs)


class _Reader:
    """Reads the padded columns of a packed body one after another."""

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
    except RecursionError:
        raise WireError("header", "is nested too deeply") from None
    except ValueError as error:
        raise WireError("header", f"is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise WireError("header", "must be a JSON object")
    return header, _HEAD.size + length


def _bytes(values: NDArray[Any], dtype: str) -> bytes:
    data = np.ascontiguousarray(values, dtype).tobytes()
    return data + b"\0" * (-len(data) % 8)
