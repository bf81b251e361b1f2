"""Chunks: points of one series that were stored together, with a summary that answers most queries about them.

A chunk keeps its points in order of arrival. Its row holds what a reader needs to skip it: the range of steps, times
and epochs, how many values are finite, NaN or infinite, and where the extremes are. A large chunk also carries a
*sketch*: for each of up to 2,048 buckets of consecutive points, the lowest and the highest finite point and the first
point of every gap. A curve whose pixels are wider than a bucket is drawn from the sketches alone. A large sketch begins
with a coarse one of 64 buckets; for a series of very many chunks, only that is read.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.domain import Points
from monitor.errors import StoreError
from monitor.store.points import codec

SKETCH_FROM: Final = 2048
"""A chunk of at least this many points carries a sketch."""
BUCKET: Final = 48
"""Points of a sketch's bucket, unless that would make more than `MAX_BUCKETS`."""
MAX_BUCKETS: Final = 2048
"""More than the pixels of a screen, so that a chunk that fills the screen need not be unpacked."""
COARSE_BUCKETS: Final = 64
COARSE_FROM: Final = 512
"""A sketch of at least this many buckets begins with a coarse one."""
COARSE_BYTES: Final = 8192
"""The first bytes of a sketch; they contain its coarse sketch unless the chunk has many gaps."""

Row = Mapping[str, object]

_SKETCH_HEAD: Final = struct.Struct("<BIIII")
_COARSE_VERSION: Final = 2
_COARSE_HEAD: Final = struct.Struct("<BBI")
_HUGE_PAGE: Final = 2**21
_MOST: Final = 2**20
"""More points than any sketch holds. A damaged one may claim any number."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a chunk's row says about its points; `schema.py` describes the columns."""

    n: int
    ordered: bool
    first_step: int
    last_step: int
    first_time: int
    last_time: int
    first_epoch: float | None
    last_epoch: float | None
    finite: int
    nan: int
    inf: int
    min: float | None = None
    min_step: int | None = None
    max: float | None = None
    max_step: int | None = None
    first: float | None = None
    last: float | None = None
    last_finite_step: int | None = None

    @classmethod
    def of(cls, points: Points) -> Summary:
        """Summarise n >= 1 points in order of arrival."""
        n, steps, values, times = len(points), points.steps, points.values, points.times
        if n == 1:
            return _of_one(points)
        ordered = bool((steps[1:] >= steps[:-1]).all())
        good = np.isfinite(values)
        finite = int(np.count_nonzero(good))
        nan = 0 if finite == n else int(np.count_nonzero(np.isnan(values)))
        epochs = None if points.epochs is None else points.epochs[~np.isnan(points.epochs)]
        has_epoch = epochs is not None and len(epochs) > 0
        return cls(
            n=n,
            ordered=ordered,
            first_step=int(steps[0] if ordered else steps.min()),
            last_step=int(steps[-1] if ordered else steps.max()),
            first_time=int(times.min()),
            last_time=int(times.max()),
            first_epoch=float(epochs.min()) if has_epoch and epochs is not None else None,
            last_epoch=float(epochs.max()) if has_epoch and epochs is not None else None,
            finite=finite,
            nan=nan,
            inf=n - finite - nan,
            **(_extremes(steps, values, good, ordered) if finite else {}),  # type: ignore[arg-type]  # the seven fields above
        )

    @classmethod
    def from_row(cls, row: Row) -> Summary:
        """The summary in a chunk's row."""
        return cls(**{name: row[name] for name in cls.__slots__})  # type: ignore[arg-type]  # the columns have these types

    def to_row(self) -> dict[str, object]:
        """The columns of a chunk's row."""
        return {name: getattr(self, name) for name in self.__slots__}


SUMMARY_COLUMNS: Final = Summary.__slots__


def encode(points: Points) -> dict[str, object]:
    """The row of a chunk: summary and packed columns, without its key (run, series, seq, attempt)."""
    summary = Summary.of(points)
    epochs = points.epochs if summary.first_epoch is not None else None
    # Only ordered chunks have a sketch: a bucket of consecutive points must be a range on the axis.
    sketch_n, sketch = (
        _sketch(points if epochs is not None else _no_epochs(points))
        if summary.ordered and summary.n >= SKETCH_FROM
        else (0, None)
    )
    return {
        **summary.to_row(),
        "sketch_n": sketch_n,
        "steps": codec.encode_ints(points.steps),
        "vals": codec.encode_floats(points.values),
        "times": codec.encode_ints(points.times),
        "epochs": None if epochs is None else codec.encode_floats(epochs),
        "sketch": sketch,
    }


def decode(rows: Sequence[Row]) -> Points:
    """Unpack chunks and concatenate them.

    Args:
        rows: chunk rows with their columns, in order of arrival.
    """
    total = sum(_int(row["n"]) for row in rows)
    found = room(total, epochs=any(row["epochs"] is not None for row in rows))
    at = 0
    for row in rows:
        end = at + _int(row["n"])
        decode_into(row, take(found, slice(at, end)))
        at = end
    return found


def room(total: int, *, times: bool = True, epochs: bool) -> Points:
    """Points to unpack into; times that are not requested are zeros, epochs None.

    Large ones share one block that is aligned to huge pages, because page faults are costly.
    """
    # On a virtual machine, the first access to a page costs 4 µs, more than unpacking what it holds.
    columns = 3 if times else 2
    size = 8 * columns * total
    spare = _HUGE_PAGE if size > _HUGE_PAGE else 0
    block = np.empty(size + spare, np.uint8)
    start = -block.ctypes.data % _HUGE_PAGE if spare else 0
    parts = block[start : start + size].view(np.int64).reshape(columns, total)
    return Points(
        parts[0],
        parts[1].view(np.float64),
        parts[2] if times else np.zeros(total, np.int64),
        np.full(total, np.nan) if epochs else None,
    )


def decode_into(row: Row, out: Points, *, times: bool = True) -> None:
    """Unpack one chunk into arrays of its length. Epochs that the row does not have are left unchanged.

    Args:
        row: the chunk's row with the requested columns.
        times: False to leave them unchanged.
    """
    codec.decode_into(packed(row["steps"]), out.steps)
    codec.decode_into(packed(row["vals"]), out.values)
    if times:
        codec.decode_into(packed(row["times"]), out.times)
    if out.epochs is not None and row["epochs"] is not None:
        codec.decode_into(packed(row["epochs"]), out.epochs)


def decode_sketch(data: bytes, *, times: bool, epochs: bool) -> Points:
    """Unpack a sketch. Times that are not requested are zeros, epochs None.

    Raises:
        StoreError: a newer version, or bytes that are not a sketch.
    """
    try:
        return _decode_sketch(data, times=times, epochs=epochs)
    except (struct.error, IndexError) as error:
        raise StoreError(f"sketch of {len(data)} bytes is damaged ({error})") from error


def _decode_sketch(data: bytes, *, times: bool, epochs: bool) -> Points:
    if data[0] == _COARSE_VERSION:
        _, columns, m = _COARSE_HEAD.unpack_from(data)
        data = data[_COARSE_HEAD.size + 8 * columns * m :]
    version, n, size_steps, size_values, size_times = _SKETCH_HEAD.unpack_from(data)
    if version != codec.VERSION:
        raise StoreError(f"sketch of version {version}, this code reads {codec.VERSION} and {_COARSE_VERSION}")
    if n > _MOST:
        raise StoreError(f"sketch of {len(data)} bytes is damaged (says it holds {n} points)")
    a = _SKETCH_HEAD.size
    b, c = a + size_steps, a + size_steps + size_values
    d = c + size_times
    return Points(
        codec.decode_ints(data[a:b], n),
        codec.decode_floats(data[b:c], n),
        codec.decode_ints(data[c:d], n) if times else np.zeros(n, np.int64),
        codec.decode_floats(data[d:], n) if epochs and d < len(data) else None,
    )


def decode_coarse(data: bytes, *, epochs: bool) -> Points | None:
    """The coarse sketch at the head of a sketch.

    Args:
        data: the sketch, or its first `COARSE_BYTES`.
        epochs: False to skip them; they are then None.

    Returns:
        None if the sketch has no coarse one (as in older versions), or if it is longer than the data.

    Raises:
        StoreError: these bytes are not a sketch.
    """
    if not len(data) or (data[0] == _COARSE_VERSION and len(data) < _COARSE_HEAD.size):
        raise StoreError(f"sketch of {len(data)} bytes is damaged")
    if data[0] != _COARSE_VERSION:
        return None
    _, columns, m = _COARSE_HEAD.unpack_from(data)
    if columns not in (3, 4):
        raise StoreError(f"sketch of {len(data)} bytes is damaged (says it holds {columns} columns)")
    if len(data) < _COARSE_HEAD.size + 8 * columns * m:
        return None
    block = np.frombuffer(data, "<i8", columns * m, _COARSE_HEAD.size).reshape(columns, m)
    floats = block.view("<f8")
    return Points(block[0], floats[1], block[2], floats[3] if epochs and columns > 3 else None)


def take(points: Points, index: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Points:
    """A subset of the points, by index, mask or slice."""
    return Points(
        points.steps[index],
        points.values[index],
        points.times[index],
        None if points.epochs is None else points.epochs[index],
    )


def gap_starts(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices at which a stretch of NaN, +inf or -inf begins."""
    bad = np.flatnonzero(~np.isfinite(values))
    if not len(bad):
        return bad
    here = values[bad]
    kind = np.where(np.isnan(here), 0, np.sign(here))
    starts = np.ones(len(bad), np.bool_)
    starts[1:] = (np.diff(bad) > 1) | (kind[1:] != kind[:-1])
    return bad[starts]


def ascending(indices: Sequence[NDArray[np.intp]]) -> NDArray[np.intp]:
    """Unique, sorted indices from several arrays.

    `np.unique` hashes them, which takes twenty times as long.
    """
    found = np.concatenate(indices)
    found.sort()
    keep = np.ones(len(found), np.bool_)
    np.not_equal(found[1:], found[:-1], out=keep[1:])
    return found[keep]


def _of_one(points: Points) -> Summary:
    step, value, time = int(points.steps[0]), float(points.values[0]), int(points.times[0])
    epoch = None if points.epochs is None or math.isnan(points.epochs[0]) else float(points.epochs[0])
    nan, inf = int(math.isnan(value)), int(math.isinf(value))
    v, at = (None, None) if nan or inf else (value, step)
    return Summary(1, True, step, step, time, time, epoch, epoch, 1 - nan - inf, nan, inf, v, at, v, at, v, v, at)


def _extremes(
    steps: NDArray[np.int64], values: NDArray[np.float64], good: NDArray[np.bool_], ordered: bool
) -> dict[str, float | int]:
    if not good.all():
        steps, values = steps[good], values[good]
    low, high = int(values.argmin()), int(values.argmax())
    first, last = 0, len(steps) - 1
    if not ordered:
        first, last = int(steps.argmin()), len(steps) - 1 - int(steps[::-1].argmax())
    return {
        "min": float(values[low]),
        "min_step": int(steps[low]),
        "max": float(values[high]),
        "max_step": int(steps[high]),
        "first": float(values[first]),
        "last": float(values[last]),
        "last_finite_step": int(steps[last]),
    }


def pack_sketch(fine: Points, coarse: Points | None) -> bytes:
    """A sketch as bytes.

    Args:
        fine: its m >= 1 points.
        coarse: the points of its coarse sketch; None for none. They are kept as raw columns: a curve reads many of
            them, and unpacking would take longer than reading.
    """
    blocks = [
        codec.encode_ints(fine.steps),
        codec.encode_floats(fine.values),
        codec.encode_ints(fine.times),
        b"" if fine.epochs is None else codec.encode_floats(fine.epochs),
    ]
    packed = _SKETCH_HEAD.pack(codec.VERSION, len(fine), *(len(b) for b in blocks[:3])) + b"".join(blocks)
    if coarse is None:
        return packed
    columns = [coarse.steps.astype("<i8"), coarse.values.astype("<f8"), coarse.times.astype("<i8")]
    if coarse.epochs is not None:
        columns.append(coarse.epochs.astype("<f8"))
    head = _COARSE_HEAD.pack(_COARSE_VERSION, len(columns), len(coarse))
    return head + b"".join(column.tobytes() for column in columns) + packed


def _sketch(points: Points) -> tuple[int, bytes]:
    n = len(points)
    size = max(BUCKET, -(-n // MAX_BUCKETS))
    buckets = -(-n // size)
    coarse = take(points, _candidates(points.values, -(-n // COARSE_BUCKETS))) if buckets >= COARSE_FROM else None
    return buckets, pack_sketch(take(points, _candidates(points.values, size)), coarse)


def _no_epochs(points: Points) -> Points:
    return Points(points.steps, points.values, points.times, None)


def _candidates(values: NDArray[np.float64], size: int) -> NDArray[np.intp]:
    """Both ends; of every bucket the extremes and the first gap; and the finite point after each gap."""
    n = len(values)
    whole = n // size * size
    starts = np.arange(0, whole, size)
    bad = ~np.isfinite(values)
    low, high = values, values
    if bad.any():
        low, high = np.where(bad, np.inf, values), np.where(bad, -np.inf, values)
    picked = [
        np.array([0, n - 1]),
        starts + low[:whole].reshape(-1, size).argmin(axis=1),
        starts + high[:whole].reshape(-1, size).argmax(axis=1),
    ]
    if whole < n:
        picked.append(np.array([whole + low[whole:].argmin(), whole + high[whole:].argmax()]))
    gaps = gap_starts(values)
    if len(gaps):
        kind = np.where(np.isnan(values[gaps]), 0, np.sign(values[gaps])).astype(np.int64)
        _, first = np.unique(gaps // size * 3 + kind + 1, return_index=True)
        after = np.searchsorted(good := np.flatnonzero(~bad), gaps[first])
        picked += [gaps[first], good[after[after < len(good)]]]
    return ascending(picked)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def packed(value: object) -> bytes:
    """A packed column of a row, with its type checked."""
    assert isinstance(value, bytes)
    return value
