"""A bounded sketch of the parts of a composite loss at common steps, with the weights in force at the time.

A *row* is what was logged at one step: the total and the parts. A bucket holds `size` rows. When all buckets are used,
neighbours are merged and `size` doubles, as in `curve.Curve`. A bucket holds every part's mean, and its share of the
sum of the absolute values of all weighted parts, so that a negative part has a share too. Everything is a sum in order
of arrival, so the same points give the same bits in any batching.

Parts beyond the first `MOST` are counted, but not judged.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Mapping
from itertools import starmap
from typing import Final

from monitor.roles import JUDGED_PARTS
from monitor.rules.sketch.packing import (
    bucket_step,
    f32,
    pack,
    pack_bucket_steps,
    pack_steps,
    unpack,
    unpack_bucket_steps,
    unpack_steps,
)

MOST: Final = JUDGED_PARTS
"""Most parts that are judged."""
FEW: Final = 4
"""Up to this many parts have the finer sketch."""
CAPACITY: Final = (16, 8)
"""Most buckets of a sketch with few parts, and with more; even."""
NAME_BYTES: Final = 20
BACK: Final = 3
"""This many consecutive rows before the last step are a resumed run; fewer are stragglers."""
SCALE: Final = 65535
"""Shares are kept as multiples of 1/65535."""
LIMIT: Final = 1e30
"""Values and weights are clipped to +-LIMIT, so that their products and sums stay finite."""

DATA: Final = 0
"""A part that the model is trained for."""
PENALTY: Final = 1
"""A part that constrains the model: it works against the data by design."""
COLLAPSIBLE: Final = 2
"""A penalty that must not fall to zero: a KL term, an entropy, the size of the weights."""
HELPER: Final = 3
"""An adversarial or auxiliary term, whose level means nothing."""

_COLLAPSIBLE: Final = frozenset({"kl", "kld", "kldiv", "entropy", "commit", "commitment", "l1", "l2", "wd", "decay"})
_PENALTIES: Final = frozenset(
    {"reg", "regularization", "regularisation", "regularizer", "penalty", "gp", "tv", "sparsity", "ortho", "ewc",
     "smooth", "smoothness", "prior", "lasso", "ridge"}
)  # fmt: skip
_HELPERS: Final = frozenset(
    {"adv", "adversarial", "gan", "disc", "discriminator", "gen", "generator", "critic", "d", "g", "aux", "auxiliary",
     "balance", "z"}
)  # fmt: skip
_OF_SPEC: Final = {"kl_divergence": COLLAPSIBLE, "adversarial": HELPER, "custom": None}

_HEAD: Final = struct.Struct("<5B3IQ5d")
_PART: Final = struct.Struct("<2BI3dI")


def kind_of(name: str, spec: str | None = None) -> int:
    """The kind of a part: by its loss function if a specification names one (not "custom"), else by its name's words.

    >>> kind_of("kl"), kind_of("weight_decay"), kind_of("task_seg"), kind_of("grad_penalty"), kind_of("l1", "mae")
    (2, 2, 0, 1, 0)
    """
    if spec is not None and _OF_SPEC.get(spec, DATA) is not None:
        return _OF_SPEC.get(spec) or DATA
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    if words & _HELPERS:
        return HELPER
    return COLLAPSIBLE if words & _COLLAPSIBLE else PENALTY if words & _PENALTIES else DATA


class Part:
    """One part: its name and kind, its current weight, and its sums in the open bucket.

    Attributes:
        mark: checksum of the full name; `name` may be cut.
        seen: True once it was logged.
        raw, weighted: sums over the open bucket, each of `count` values.
    """

    __slots__ = ("count", "kind", "mark", "name", "raw", "seen", "weight", "weighted")

    def __init__(self, name: str, kind: int, weight: float = 1.0) -> None:
        self.mark, self.kind, self.weight = zlib.crc32(name.encode()), kind, weight
        self.name = _short(name)
        self.seen, self.raw, self.weighted, self.count = False, 0.0, 0.0, 0

    def copy(self) -> Part:
        """A copy with the same values."""
        new = Part.__new__(Part)
        new.name, new.mark, new.kind, new.weight = self.name, self.mark, self.kind, self.weight
        new.seen, new.raw, new.weighted, new.count = self.seen, self.raw, self.weighted, self.count
        return new


class Parts:
    """Sketch of the parts; a value type: `fork` it before changing it.

    Attributes:
        parts: in the order in which they came.
        size: rows of a bucket; the open one has `rows` so far.
        step: step of the last row of each closed bucket.
        total: mean of the total over rows that have it; NaN if none has.
        gap: mean of the total minus the weighted parts, over rows that have all of them; NaN if there is no such row.
        mass: sum of the absolute values of the weighted parts.
        raw: mean of each part, unweighted; NaN where it was not logged.
        share: of each part in the mass, in multiples of 1/SCALE.
        beyond: number of points of parts that are not judged.
    """

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.size, self.rows, self.beyond = 1, 0, 0
        self.totals = self.gaps = 0.0
        self.with_total = self.whole = 0
        self.row_step, self.row_total, self.row_sum, self.row_mask = math.nan, math.nan, 0.0, 0
        self.seen_step, self.late_first, self.late_n, self.late = -math.inf, math.nan, 0, False
        self.step: list[float] = []
        self.total: list[float] = []
        self.gap: list[float] = []
        self.mass: list[float] = []
        self.raw: list[tuple[float, ...]] = []
        self.share: list[tuple[int, ...]] = []

    @property
    def capacity(self) -> int:
        """Most buckets."""
        return CAPACITY[len(self.parts) > FEW]

    def fork(self) -> Parts:
        """A copy that can be changed without changing this one."""
        new = Parts.__new__(Parts)
        new.__dict__.update(self.__dict__)
        new.parts = [part.copy() for part in self.parts]
        return new

    def index(self, name: str) -> int:
        """The index of a part, which is added if it is new; MOST if there is no room for it."""
        known = self.find(name)
        if known is None:
            self.enter(name, kind_of(name))
            return len(self.parts) - 1
        return known

    def find(self, name: str) -> int | None:
        """The index of a part; None if it is new, MOST if there is no room for it."""
        mark = zlib.crc32(name.encode())
        for i, part in enumerate(self.parts):
            if part.mark == mark:
                return i
        return None if len(self.parts) < MOST else MOST

    def enter(self, name: str, kind: int, weight: float = 1.0) -> None:
        """Add a part; it is NaN in the buckets that are already closed."""
        if len(self.parts) >= MOST:
            return
        self.parts.append(Part(name, kind, _clip(weight)))
        self.raw = [(*values, math.nan) for values in self.raw]
        self.share = [(*shares, 0) for shares in self.share]
        while len(self.step) >= self.capacity:
            self._merge()

    def weigh(self, i: int, weight: float) -> None:
        """Set the weight of a part from now on."""
        if i < MOST and math.isfinite(weight):
            self.parts[i].weight = _clip(weight)

    def close_row(self, step: float) -> bool:
        """End the open row and begin one at `step`. True if that closed a bucket."""
        closed = False
        if self.row_mask and not self.late:
            self.rows += 1
            self._count_row()
            if self.rows >= self.size:
                self.close(self.row_step)
                closed = True
        self.late = step < self.seen_step and not self._resumed(step)
        self.begin_row(step)
        return closed

    def begin_row(self, step: float) -> None:
        """Begin an empty row."""
        if not self.late:
            self.seen_step, self.late_n = step, 0
        self.row_step, self.row_total, self.row_sum, self.row_mask = step, math.nan, 0.0, 0

    def add_total(self, value: float) -> None:
        """Set the total of the open row."""
        self.row_total = _clip(value) if math.isfinite(value) else math.nan

    def add(self, i: int, value: float) -> None:
        """Add a part to the open row; a value that is not finite is skipped."""
        if i >= MOST:
            self.beyond += 1
            return
        if self.late or not math.isfinite(value):
            return
        part = self.parts[i]
        value = _clip(value)
        part.seen = True
        part.raw += value
        part.weighted += part.weight * value
        part.count += 1
        if not self.row_mask >> i & 1:
            self.row_sum += part.weight * value
            self.row_mask |= 1 << i

    def _resumed(self, step: float) -> bool:
        """Whether a row before the last step belongs to a resumed run; a straggler is set aside."""
        if not self.late_n or step < self.row_step:
            self.late_first, self.late_n = step, 0
        self.late_n += 1
        if self.late_n < BACK:
            return False
        least = bucket_step(self.late_first)
        keep = next((k for k, s in enumerate(self.step) if s >= least), len(self.step))
        for name in ("step", "total", "gap", "mass", "raw", "share"):
            setattr(self, name, getattr(self, name)[:keep])
        self._open()
        return True

    def _count_row(self) -> None:
        if math.isnan(self.row_total):
            return
        self.totals += self.row_total
        self.with_total += 1
        known = sum(1 << i for i, part in enumerate(self.parts) if part.seen and part.weight)
        if not self.beyond and self.row_mask & known == known:
            self.gaps += self.row_total - self.row_sum
            self.whole += 1

    def close(self, step: float) -> None:
        """Close the open bucket; `step` is its last step."""
        means = [(p.raw / p.count, p.weighted / p.count) if p.count else (math.nan, 0.0) for p in self.parts]
        mass = sum(abs(weighted) for _, weighted in means)
        self.step = [*self.step, bucket_step(step)]
        self.total = [*self.total, f32(self.totals / self.with_total) if self.with_total else math.nan]
        self.gap = [*self.gap, f32(self.gaps / self.whole) if self.whole else math.nan]
        self.mass = [*self.mass, f32(mass)]
        self.raw = [*self.raw, tuple(f32(raw) for raw, _ in means)]
        self.share = [*self.share, tuple(round(SCALE * abs(w) / mass) if mass else 0 for _, w in means)]
        self._open()
        if len(self.step) >= self.capacity:
            self._merge()

    def _open(self) -> None:
        self.rows = self.with_total = self.whole = 0
        self.totals = self.gaps = 0.0
        for part in self.parts:
            part.raw, part.weighted, part.count = 0.0, 0.0, 0

    def _merge(self) -> None:
        """Merge buckets in pairs; if their number is odd, the first one is dropped."""
        pairs = [(k, k + 1) for k in range(len(self.step) % 2, len(self.step) - 1, 2)]
        masses = [0.5 * self.mass[a] + 0.5 * self.mass[b] for a, b in pairs]
        self.share = [
            tuple(
                round((0.5 * x * self.mass[a] + 0.5 * y * self.mass[b]) / mass) if mass else 0
                for x, y in zip(self.share[a], self.share[b], strict=True)
            )
            for (a, b), mass in zip(pairs, masses, strict=True)
        ]
        self.raw = [tuple(starmap(_mean, zip(self.raw[a], self.raw[b], strict=True))) for a, b in pairs]
        self.total = [_mean(self.total[a], self.total[b]) for a, b in pairs]
        self.gap = [_mean(self.gap[a], self.gap[b]) for a, b in pairs]
        self.mass = [f32(mass) for mass in masses]
        self.step = [self.step[b] for _, b in pairs]
        self.size *= 2

    def to_bytes(self) -> bytes:
        """Packed, little-endian; `from_bytes` is the inverse."""
        k = len(self.step)
        head = _HEAD.pack(
            len(self.parts), k, self.row_mask, self.late_n, self.late, self.rows, self.with_total, self.whole,
            self.beyond, self.size, self.totals, self.gaps, self.row_total, self.row_sum,
        )  # fmt: skip
        parts = []
        for p in self.parts:
            name = p.name.encode()
            parts.append(
                _PART.pack(len(name), p.kind | p.seen << 4, p.mark, p.weight, p.raw, p.weighted, p.count) + name
            )
        steps = pack_steps([self.row_step, self.seen_step, self.late_first]) + pack_bucket_steps(self.step)
        raw = [value for values in self.raw for value in values]
        narrow = pack("f", [*self.total, *self.gap, *self.mass, *raw])
        shares = pack("H", [share for shares in self.share for share in shares])
        return b"".join([head, *parts, steps, narrow, shares])

    @classmethod
    def from_bytes(cls, data: bytes, at: int) -> tuple[Parts, int]:
        """The parts packed at offset `at`, and the offset after them."""
        new = cls()
        (n, k, new.row_mask, new.late_n, late, new.rows, new.with_total, new.whole, new.beyond, size, new.totals,
         new.gaps, new.row_total, new.row_sum) = _HEAD.unpack_from(data, at)  # fmt: skip
        at += _HEAD.size
        new.late, new.size = bool(late), int(size)
        for _ in range(n):
            length, kind, mark, *rest = _PART.unpack_from(data, at)
            at += _PART.size + length
            part = Part(data[at - length : at].decode(), kind & 15)
            part.seen, part.mark = bool(kind >> 4), mark
            part.weight, part.raw, part.weighted, part.count = rest
            new.parts.append(part)
        (new.row_step, new.seen_step, new.late_first), at = unpack_steps(data, at, 3)
        new.step, at = unpack_bucket_steps(data, at, k)
        narrow = unpack("f", data, at, (3 + n) * k)
        at += 4 * len(narrow)
        shares = unpack("H", data, at, n * k)
        new.total, new.gap, new.mass = narrow[:k], narrow[k : 2 * k], narrow[2 * k : 3 * k]
        new.raw = [tuple(narrow[3 * k + n * i : 3 * k + n * (i + 1)]) for i in range(k)]
        new.share = [tuple(shares[n * i : n * (i + 1)]) for i in range(k)]
        return new, at + 2 * len(shares)


def of_spec(loss: Mapping[str, object]) -> Parts | None:
    """The parts that the dictionary of a composite loss names, with their weights; None for any other loss."""
    params = loss.get("params")
    parts = params.get("parts") if isinstance(params, Mapping) else None
    if loss.get("kind") != "composite" or not isinstance(parts, Mapping) or not isinstance(params, Mapping):
        return None
    weights = params.get("weights")
    found = Parts()
    for name, part in parts.items():
        kind = part.get("kind") if isinstance(part, Mapping) else None
        weight = weights.get(name, 1.0) if isinstance(weights, Mapping) else 1.0
        known = isinstance(weight, int | float) and math.isfinite(weight)
        found.enter(str(name), kind_of(str(name), kind if isinstance(kind, str) else None), weight if known else 1.0)
    return found


def _mean(a: float, b: float) -> float:
    """The mean of two numbers, or one of them if the other is NaN."""
    return b if math.isnan(a) else a if math.isnan(b) else f32(0.5 * a + 0.5 * b)


def _clip(value: float) -> float:
    return min(max(float(value), -LIMIT), LIMIT)


def _short(name: str) -> str:
    """The name in at most NAME_BYTES bytes, cut between characters."""
    if len(name.encode()) <= NAME_BYTES:
        return name
    return name.encode()[: NAME_BYTES - 3].decode("utf-8", "ignore") + "\N{HORIZONTAL ELLIPSIS}"
