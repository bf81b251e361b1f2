"""A bounded sketch of one series: the whole curve in at most `capacity` buckets, whatever its length.

A bucket covers `size` consecutive points in order of arrival. When all buckets are used, neighbours are merged and
`size` doubles. So the sketch always shows the whole run at a resolution between 1/capacity and 2/capacity of it, and
the number of buckets ever closed grows with the logarithm of the number of points. Rules run when a bucket closes,
hence O(log n) times. This bounds the false-alarm rate of a whole run and keeps the cost of a point small.

Boundaries depend only on the number of points, never on how they were batched. Everything computed in bulk is an order
statistic or a sum in order of arrival. So the same points give the same bits in any batching.

Source:
    Bifet, Gavaldà: Learning from Time-Changing Data with Adaptive Windowing (SDM 2007), for judging a stream at
    geometrically many scales; median of means: Nemirovsky, Yudin (1983).
"""

from __future__ import annotations

import math
import struct
from typing import Final

from monitor.rules.sketch.packing import (
    bucket_step,
    f32,
    pack,
    pack_bucket_steps,
    pack_steps,
    three_f32,
    unpack,
    unpack_bucket_steps,
    unpack_steps,
)

LIMIT: Final = 1e150
"""Losses are clipped to +-LIMIT before they enter a statistic, so that squares stay finite."""
_NOTHING: Final = 0
QUARTER: Final = 1
"""A quarter of the open bucket was completed."""
BUCKET: Final = 2
"""A bucket was closed."""

_HEAD: Final = struct.Struct("<Q7d5H")


class Curve:
    """Sketch of one series; a value type: `fork` it before changing it.

    Args:
        capacity: most buckets; even, >= 8.
        micro: most points of a micro-block, whose median is taken before averaging; a power of two.

    Attributes:
        n: finite points taken in.
        size: points of a bucket.
        step: step of the last point of each closed bucket, rounded by `packing.bucket_step`.
        x: centre of each closed bucket: the median of the means of its four quarters, rounded to float32.
        peak: largest value of each closed bucket, minus its centre.
        noise: median absolute first difference in each closed bucket.
        quarters: centres of the completed quarters of the open bucket.
        top, top_step: largest value of the open bucket, and its step.
        top_at: step of the largest value of the last closed bucket.
        best, best_step: lowest value, and its step.
    """

    def __init__(self, capacity: int, micro: int) -> None:
        self.capacity, self.micro_limit = capacity, micro
        self.n, self.size, self.m = 0, 1, 1
        self.first = self.first_step = self.last = self.last_step = math.nan
        self.best, self.best_step, self.top, self.top_step = math.inf, math.nan, -math.inf, math.nan
        self.seen_step, self.top_at = -math.inf, math.nan
        self.late_first, self.late_last, self.late_n = math.nan, math.nan, 0
        self.step: list[float] = []
        self.x: list[float] = []
        self.peak: list[float] = []
        self.noise: list[float] = []
        self.quarters: list[float] = []
        self.buffer: list[float] = []
        self.micros = self.sum = self.rough = 0.0

    def fork(self) -> Curve:
        """A copy that can be changed without changing this one."""
        new = Curve.__new__(Curve)
        new.__dict__.update(self.__dict__)
        new.buffer = self.buffer.copy()
        return new

    def until(self, closed: int) -> Curve:
        """A copy that has only the first `closed` buckets and no open one, to read; what else it knows is of now."""
        new = self.fork()
        for name in ("step", "x", "peak", "noise"):
            setattr(new, name, getattr(self, name)[:closed])
        new.quarters = []
        return new

    def push(self, value: float, step: float) -> int:
        """Take in one finite value. Returns what it completed: 0, QUARTER or BUCKET."""
        value = min(max(value, -LIMIT), LIMIT)
        if not self.n:
            self.first, self.first_step, self.last = value, step, value
        self.n += 1
        if value < self.best:
            self.best, self.best_step = value, step
        if value > self.top:
            self.top, self.top_step = value, step
        self.last_step = step
        buffer = self.buffer
        buffer.append(value)
        if len(buffer) < self.m:
            return _NOTHING
        if self.m == 1:
            self.sum += value
            self.rough += abs(value - self.last)
            self.last = value
            buffer.clear()
        else:
            self._close_micro()
        self.micros += 1
        return self._boundary()

    @property
    def until_merge(self) -> int:
        """Number of points until the last bucket closes and neighbours are merged; >= 1."""
        return (self.capacity - len(self.x)) * self.size - int(self.micros) * self.m - len(self.buffer)

    def add(self, medians: list[float], gaps: list[float]) -> int:
        """Add micro-blocks to the open bucket, at most up to its end. Returns what the last one completed, as `push`.

        Args:
            medians: the median of each block's values.
            gaps: the median of each block's absolute first differences.
        """
        self.rough = running(self.rough, gaps)
        n, done, completed = len(medians), 0, _NOTHING
        quarter = max(1, self.size // (4 * self.m)) if self.size >= 4 else n
        while done < n:
            until = min(n, done + quarter - int(self.micros) % quarter)
            self.sum = running(self.sum, medians[done:until])
            self.micros += until - done
            done, completed = until, self._boundary()
        return completed

    def _close_micro(self) -> None:
        m, values = self.m, self.buffer
        before = [self.last, *values[:-1]]
        gaps = sorted([abs(a - b) for a, b in zip(values, before, strict=True)])
        self.last = values[-1]
        ordered = sorted(values)
        self.sum += 0.5 * ordered[m // 2 - 1] + 0.5 * ordered[m // 2]
        self.rough += 0.5 * gaps[m // 2 - 1] + 0.5 * gaps[m // 2]
        self.buffer = []

    def _boundary(self) -> int:
        """Close the quarter or the bucket that the last micro-block completed, if any."""
        size = self.size
        quarter = max(1, size // (4 * self.m))
        if size >= 4:
            if self.micros % quarter:
                return _NOTHING
            self.quarters = [*self.quarters, self.sum / quarter]
            self.sum = 0.0
            if len(self.quarters) < 4:
                return QUARTER
            _, b, c, _ = sorted(self.quarters)
            centre = 0.5 * b + 0.5 * c
        elif self.micros * self.m < size:
            return _NOTHING
        else:
            centre = self.sum / self.micros
        self.step = [*self.step, bucket_step(self.last_step)]
        x, peak, noise = three_f32(centre, self.top - centre, self.rough / self.micros)
        self.x, self.peak, self.noise = [*self.x, x], [*self.peak, peak], [*self.noise, noise]
        self._open()
        if len(self.x) >= self.capacity:
            self._merge()
        return BUCKET

    def _open(self) -> None:
        self.top_at = self.top_step
        self.quarters = []
        self.micros = self.sum = self.rough = 0.0
        self.top = -math.inf

    def _merge(self) -> None:
        x, peak, noise = self.x, self.peak, self.noise
        pairs = range(0, len(x) - 1, 2)
        centres = [f32(0.5 * x[i] + 0.5 * x[i + 1]) for i in pairs]
        self.peak = [f32(max(x[i] + peak[i], x[i + 1] + peak[i + 1]) - c) for i, c in zip(pairs, centres, strict=True)]
        self.noise = [f32(0.5 * noise[i] + 0.5 * noise[i + 1]) for i in pairs]
        self.step = [self.step[i + 1] for i in pairs]
        self.x = centres
        self.size *= 2
        # A micro-block is no longer than a quarter, so that boundaries never cut one.
        self.m = min(self.micro_limit, max(1, self.size // 4))

    def rewind(self, step: float) -> None:
        """Forget the buckets that reach `step` or lie after it, and the open one: the run was resumed from there."""
        least = bucket_step(step)
        keep = next((i for i, s in enumerate(self.step) if s >= least), len(self.step))
        self.step, self.x = self.step[:keep], self.x[:keep]
        self.peak, self.noise = self.peak[:keep], self.noise[:keep]
        self.buffer = []
        self._open()
        if self.best_step >= step:
            low = min(range(keep), key=self.x.__getitem__, default=None)
            self.best, self.best_step = (math.inf, math.nan) if low is None else (self.x[low], self.step[low])
        if not keep:
            self.size = self.m = 1
            self.n = 0

    def to_bytes(self) -> bytes:
        """Packed, little-endian; `from_bytes` is the inverse."""
        head = _HEAD.pack(
            self.n, self.first, self.last, self.best, self.top, self.micros, self.sum, self.rough,
            self.size.bit_length() - 1, self.late_n, len(self.x), len(self.quarters), len(self.buffer),
        )  # fmt: skip
        steps = pack_steps(
            [self.first_step, self.last_step, self.best_step, self.top_step, self.seen_step, self.late_first,
             self.late_last, self.top_at]
        )  # fmt: skip
        wide, narrow = pack("d", [*self.quarters, *self.buffer]), pack("f", [*self.x, *self.peak, *self.noise])
        return b"".join((head, steps, pack_bucket_steps(self.step), wide, narrow))

    @classmethod
    def from_bytes(cls, data: bytes, at: int, capacity: int, micro: int) -> tuple[Curve, int]:
        """The curve packed at offset `at`, and the offset after it."""
        head = _HEAD.unpack_from(data, at)
        curve = cls(capacity, micro)
        curve.n, curve.first, curve.last, curve.best, curve.top, curve.micros, curve.sum, curve.rough = head[:8]
        curve.size, curve.late_n = 1 << head[8], head[9]
        curve.m = min(curve.micro_limit, max(1, curve.size // 4))
        k, q, b = head[10:]
        (curve.first_step, curve.last_step, curve.best_step, curve.top_step, curve.seen_step, curve.late_first,
         curve.late_last, curve.top_at), at = unpack_steps(data, at + _HEAD.size, 8)  # fmt: skip
        curve.step, at = unpack_bucket_steps(data, at, k)
        wide = unpack("d", data, at, q + b)
        at += 8 * len(wide)
        narrow = unpack("f", data, at, 3 * k)
        curve.quarters, curve.buffer = wide[:q], wide[q:]
        curve.x, curve.peak, curve.noise = narrow[:k], narrow[k : 2 * k], narrow[2 * k :]
        return curve, at + 12 * k


def running(total: float, values: list[float]) -> float:
    """`total` plus the values, added in order. `sum` would compensate rounding, and so differ between batchings."""
    for value in values:
        total += value
    return total
