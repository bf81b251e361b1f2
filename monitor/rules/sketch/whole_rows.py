"""Takes in rows of the parts of a loss in bulk: faster than one point at a time, with the same result.

Values are added in order of arrival, so the sums have the same bits either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.roles import Role
from monitor.rules.sketch.noise import Floats
from monitor.rules.sketch.parts import LIMIT, MOST, Parts
from monitor.rules.sketch.points import ROLE_CODES, WEIGHT

FEW: Final = 8
"""Bulk pays with more rows than this, and with at least this many rows in a bucket."""
_PART: Final = ROLE_CODES[Role.PART]


class WholeRows:
    """Complete rows without irregular points; see `of`.

    Attributes:
        begin, stop: where the first row begins, and where the row after the last begins, which may be incomplete.
        begins: where each row begins, and `stop`; (rows + 1,).
        steps: step of each row, and of the row after the last.
        sums: what each row adds to the open bucket, (rows, 2 * parts + 2): each part, each weighted part, the total,
            and the total minus the weighted parts.
        counts: number of values in these sums, integers, (rows, parts + 2): of each part, of totals, and of gaps.
        weights: weight of each part at the end of the row, (rows, parts).
        counted: number of rows up to each one that count, (rows,).
        beyond: number of points of parts that are not judged, up to each row's end, (rows,).
    """

    def __init__(
        self, parts: Parts, role: NDArray[np.uint8], value: Floats, place: NDArray[np.intp], begins: NDArray[np.intp],
        steps: Floats,
    ) -> None:  # fmt: skip
        self.begin, self.stop, self.begins, self.steps = int(begins[0]), int(begins[-1]), begins, steps
        many, n = len(begins) - 1, len(parts.parts)
        at = slice(self.begin, self.stop)
        row = np.repeat(np.arange(many), np.diff(begins))
        value = np.minimum(np.maximum(value, -LIMIT), LIMIT)
        of_part, total = (role == _PART) & (place < MOST), role == ROLE_CODES[Role.TRAIN]
        weight, self.weights = _weights(parts, role, value, place, begins)
        weighted = np.where(of_part, weight * value, 0.0)
        self.sums, self.counts = np.zeros((many, 2 * n + 2)), np.zeros((many, n + 2), np.intp)
        where = row[of_part[at]], place[at][of_part[at]]
        self.sums[where] = value[at][of_part[at]]
        self.sums[where[0], n + where[1]] = weighted[at][of_part[at]]
        self.counts[where] = 1
        counts = self.counts[:, :n].any(axis=1)
        expected = (self.weights != 0) & np.array([part.seen for part in parts.parts])
        whole = counts & ~(expected & (self.counts[:, :n] == 0)).any(axis=1)
        totals = row[total[at]]
        self.sums[totals, 2 * n] = value[at][total[at]]
        self.counts[totals, n] = 1
        self.counts[:, n] &= counts
        self.counts[:, n + 1] = self.counts[:, n] & whole if not parts.beyond else 0
        self.sums[:, 2 * n + 1] = self.sums[:, 2 * n] - _in_order(weighted, begins)
        self.sums[:, 2 * n :] *= self.counts[:, n:]
        self.counted = np.cumsum(counts)
        beyond = ((role == _PART) & (place == MOST))[at]
        self.beyond = np.cumsum(beyond)[begins[1:] - self.begin - 1]

    @classmethod
    def of(
        cls, parts: Parts, role: NDArray[np.uint8], step: Floats, value: Floats, place: NDArray[np.intp]
    ) -> WholeRows | None:
        """The complete rows among these points; None if they are few, or if a point is non-finite, late or duplicate.

        Args:
            parts: the sketch; it has already seen all parts among the points.
            role, step, value, place: (n,), for totals, parts and weights; `place` is the index of the part, or MOST.
        """
        if parts.size < FEW or parts.late or not (np.isfinite(value).all() and np.isfinite(step).all()):
            return None
        points = np.flatnonzero(role != WEIGHT)
        steps = step[points]
        if not len(points) or steps[0] < parts.seen_step or not (steps[1:] >= steps[:-1]).all():
            return None
        begins = points[1:][steps[1:] > steps[:-1]]
        if steps[0] > parts.row_step:
            begins = np.concatenate((points[:1], begins))
        if len(begins) <= FEW:
            return None
        kind = np.where(role == _PART, place, MOST + 1)[points]
        judged = kind != MOST
        row = np.searchsorted(begins, points[judged], "right")
        if (not parts.beyond and not judged.all()) or np.bincount(row * (MOST + 2) + kind[judged]).max(initial=0) > 1:
            return None
        return cls(parts, role, value, place, begins, step[begins])

    def take(self, parts: Parts) -> Iterator[int]:
        """Take in the rows; the first is already begun. Yields the start of each row before which a bucket closed."""
        at, before = 0, 0
        while at < len(self.counted):
            stop = int(self.counted.searchsorted(before + parts.size - parts.rows)) + 1
            closes = stop <= len(self.counted)
            stop = min(stop, len(self.counted))
            self._add(parts, at, stop, before)
            at, before = stop, int(self.counted[stop - 1])
            if closes:
                parts.close(float(self.steps[stop - 1]))
                yield int(self.begins[stop])

    def _add(self, parts: Parts, a: int, b: int, before: int) -> None:
        """Add rows a to b - 1 to the open bucket, and begin the row after them."""
        n = len(parts.parts)
        carried = [p.raw for p in parts.parts] + [p.weighted for p in parts.parts] + [parts.totals, parts.gaps]
        sums = np.add.accumulate(np.concatenate(((carried,), self.sums[a:b])))[-1].tolist()
        counts, weights = self.counts[a:b].sum(axis=0).tolist(), self.weights[b - 1].tolist()
        for i, part in enumerate(parts.parts):
            part.raw, part.weighted, part.weight = sums[i], sums[n + i], weights[i]
            part.count += counts[i]
        parts.totals, parts.gaps = sums[2 * n :]
        parts.with_total += counts[n]
        parts.whole += counts[n + 1]
        parts.rows += int(self.counted[b - 1]) - before
        parts.beyond += int(self.beyond[b - 1] - (self.beyond[a - 1] if a else 0))
        parts.begin_row(float(self.steps[b]))


def _weights(
    parts: Parts, role: NDArray[np.uint8], value: Floats, place: NDArray[np.intp], begins: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """The weight in force at each point, (n,), and of every part at the end of each row, (rows, parts)."""
    now = np.array([part.weight for part in parts.parts])
    at_point, at_end = np.append(now, 0.0)[np.minimum(place, len(now))], np.tile(now, (len(begins) - 1, 1))
    told = role == WEIGHT
    for i in set(place[told].tolist()) - {MOST}:
        where = np.flatnonzero(told & (place == i))
        weights = np.append(now[i], value[where])
        own = np.flatnonzero(place == i)
        at_point[own] = weights[np.searchsorted(where, own)]
        at_end[:, i] = weights[np.searchsorted(where, begins[1:])]
    return at_point, at_end


def _in_order(weighted: Floats, begins: NDArray[np.intp]) -> Floats:
    """The sum of each row, added in the order of its points."""
    length = np.diff(begins)
    total = np.zeros(len(length))
    for k in range(int(length.max())):
        longer = length > k
        total[longer] += weighted[begins[:-1][longer] + k]
    return total
