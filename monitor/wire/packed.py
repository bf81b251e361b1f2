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
    columns = batch.points
    header = {
        "run_id": batch.run_id,
        "writer": batch.writer,
        "first": batch.first,
        "count": batch.count,
        "keys": list(batch.keys),
        "n": len(columns),
        "epoch": columns.epoch is not None,
        "events": [event.to_dict() for event in batch.events],
    }
    parts = _columns(columns.step, columns.value, columns.time_ms, columns.epoch)
    return b"".join((_pack_header(_MAGIC, header), *parts, _bytes(columns.key, "<u2")))


def decode_batch(body: bytes) -> Batch:
    """Unpack and check a batch.

    Raises:
        WireError: the body does not follow the format; `field` names the place.
    """
    header, offset = _unpack_header(_MAGIC, body)
    n = integer(header, "n", 0, MAX_POINTS)
    reader = _Reader(body, offset, n)
    points = reader.points(header)
    key = reader.column("key", "<u2")
    reader.end()
    return checked(header, Columns(key, points.steps, points.values, points.times, points.epochs))


def encode_points(points: Points) -> bytes:
    """Pack a series for a reader: steps, values, times, and epochs if there are any."""
    header = {"n": len(points), "epoch": points.epochs is not None}
    parts = _columns(points.steps, points.values, points.times, points.epochs)
    return b"".join((_pack_header(_POINTS_MAGIC, header), *parts))


def decode_points(body: bytes) -> Points:
    """The inverse of `encode_points`."""
    header, offset = _unpack_header(_POINTS_MAGIC, body)
    reader = _Reader(body, offset, integer(header, "n", 0, 2**40))
    points = reader.points(header)
    reader.end()
    return points


class _Reader:
    """Reads the padded columns of a packed body one after another."""

    def __init__(self, body: bytes, offset: int, n: int) -> None:
        self.body, self.offset, self.n = body, offset, n

    def points(self, header: Mapping[str, object]) -> Points:
        """The columns that `_columns` packs."""
        steps, values, times = (
            self.column(name, d) for name, d in (("step", "<i8"), ("value", "<f8"), ("time_ms", "<i8"))
        )
        return Points(steps, values, times, self.column("epoch", "<f8") if header.get("epoch") else None)

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


def _columns(
    steps: NDArray[np.int64], values: NDArray[np.float64], times: NDArray[np.int64], epochs: NDArray[np.float64] | None
) -> list[bytes]:
    """Steps, values, times, and epochs if there are any."""
    parts = [_bytes(steps, "<i8"), _bytes(values, "<f8"), _bytes(times, "<i8")]
    return parts if epochs is None else [*parts, _bytes(epochs, "<f8")]


def _bytes(values: NDArray[Any], dtype: str) -> bytes:
    data = np.ascontiguousarray(values, dtype).tobytes()
    return data + b"\0" * (-len(data) % 8)
