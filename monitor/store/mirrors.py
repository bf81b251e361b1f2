"""The store's methods for a mirror: how far it is with each run, and what it still lacks.

A series is mirrored in the order in which its points arrived, so a count is all that must be remembered: merging chunks
changes neither order nor number. Downsampling does, and restarts the count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, and_, case, func, or_, select

from monitor.domain import Points, RunInfo
from monitor.store.database import Database
from monitor.store.points import chunks
from monitor.store.points.attempts import limits
from monitor.store.runs import rows
from monitor.store.sql.schema import CHUNKS, EXPORTED_POINTS, EXPORTS, RUNS, SERIES
from monitor.store.sql.upsert import insert_once, upsert

_GOING_ON: Final = ("running", "stalled")
_PLACES: Final = ("seq", "attempt", "n", "first_step")
_DONE: Final = EXPORTED_POINTS.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Points of one series that a mirror still lacks, in order of arrival.

    Attributes:
        key: the series' name.
        points: without those that a newer attempt hides.
        upto: int64 (n,), the mirror's count once it has that point.
        end: its count once it has them all, including hidden ones after the last.
        series, next_seq, thinned: for `mirrored`.
    """

    key: str
    points: Points
    upto: NDArray[np.int64]
    end: int
    series: int
    next_seq: int
    thinned: int


class Mirrors(Database):
    """The store's methods for mirrors, each known by its target."""

    def changed_runs(
        self, target: str, limit: int = 100, *, without: Collection[str] = ()
    ) -> tuple[tuple[RunInfo, str | None], ...]:
        """Runs whose current version a mirror has not seen, with their id there (None: not there yet).

        Unfinished ones come first.

        Args:
            without: ids of runs to leave out.
        """
        there = and_(EXPORTS.c.run_id == RUNS.c.run_id, EXPORTS.c.target == target)
        query = (
            select(*rows.INFO_COLUMNS, EXPORTS.c.external_id)
            .select_from(RUNS.outerjoin(EXPORTS, there))
            .where(RUNS.c.run_id.not_in(without), RUNS.c.deleted_ms.is_(None))
            .where(or_(EXPORTS.c.version.is_(None), RUNS.c.version > EXPORTS.c.version))
            .order_by(
                case((RUNS.c.status.in_(_GOING_ON), 0), else_=1), func.coalesce(EXPORTS.c.version, 0), RUNS.c.created_ms
            )
            .limit(limit)
        )
        with self._read() as connection:
            found = connection.execute(query).mappings()
            return tuple((rows.run_info(row), row["external_id"]) for row in found)

    def exported(self, run_id: str, target: str, version: int, external_id: str | None) -> None:
        """Record that a mirror has a run up to a version."""
        row = {"run_id": run_id, "target": target, "version": version, "external_id": external_id}
        with self._change() as connection:
            connection.execute(upsert(EXPORTS, connection.dialect.name), row)

    def mirrored_as(self, run_id: str, target: str, external_id: str, *, instead_of: str | None) -> str:
        """Record a run's id in a mirror, unless another server was first. A new id has none of the run's points yet.

        Args:
            instead_of: the previously recorded id; None for none.

        Returns:
            The id that is recorded, by this server or another.
        """
        row, known = and_(EXPORTS.c.run_id == run_id, EXPORTS.c.target == target), EXPORTS.c.external_id
        as_before = known.is_(None) if instead_of is None else known == instead_of
        fresh = {"run_id": run_id, "target": target, "version": 0, "external_id": external_id}
        with self._change() as connection:
            if connection.execute(EXPORTS.update().where(row, as_before), {"external_id": external_id}).rowcount:
                connection.execute(EXPORTED_POINTS.delete().where(_DONE.run_id == run_id, _DONE.target == target))
            connection.execute(insert_once(EXPORTS, connection.dialect.name), fresh)
            return str(connection.execute(select(known).where(row)).scalar_one())

    def mirrored_ids(self, target: str, limit: int) -> tuple[str, ...]:
        """A mirror's ids of the runs that it has, newest runs first."""
        query = select(EXPORTS.c.external_id).join(RUNS, RUNS.c.run_id == EXPORTS.c.run_id)
        query = query.where(EXPORTS.c.target == target, EXPORTS.c.external_id.is_not(None))
        with self._read() as connection:
            return tuple(connection.execute(query.order_by(RUNS.c.created_ms.desc()).limit(limit)).scalars())

    def mirror_again(self, target: str) -> None:
        """Treat every run as changed since a mirror last saw it."""
        with self._change() as connection:
            connection.execute(EXPORTS.update().where(EXPORTS.c.target == target), {"version": 0})

    def arrived(self, run_id: str, target: str, most: int) -> tuple[Arrived, ...]:
        """Points that a mirror still lacks, series by series.

        Args:
            most: about how many points, over all series. A series that is cut short continues there next time.
        """
        with self._read() as connection:
            return tuple(_arrived(connection, run_id, target, most))

    def mirrored(self, run_id: str, target: str, far: Sequence[tuple[Arrived, int]]) -> None:
        """Record how far a mirror is with series.

        Args:
            far: results of `arrived`, each with the number of its points that are now in the mirror.
        """
        found = []
        for part, sent in far:
            whole = sent == len(part.points)
            points = part.end if whole else int(part.upto[sent - 1])
            place = {"run_id": run_id, "target": target, "series": part.series}
            next_seq = part.next_seq if whole else 0
            found.append({**place, "points": points, "next_seq": next_seq, "thinned": part.thinned})
        if found:
            with self._change() as connection:
                connection.execute(upsert(EXPORTED_POINTS, connection.dialect.name), found)


def _arrived(connection: Connection, run_id: str, target: str, most: int) -> Iterator[Arrived]:
    done = and_(_DONE.run_id == SERIES.c.run_id, _DONE.series == SERIES.c.series, _DONE.target == target)
    behind = or_(_DONE.points.is_(None), _DONE.next_seq < SERIES.c.next_seq, _DONE.thinned != SERIES.c.thinned)
    query = (
        select(SERIES.c.series, SERIES.c.key, SERIES.c.next_seq, SERIES.c.thinned, _DONE.points, _DONE.thinned)
        .select_from(SERIES.outerjoin(EXPORTED_POINTS, done))
        .where(SERIES.c.run_id == run_id, behind)
        .order_by(SERIES.c.series)
    )
    for series, key, next_seq, thinned, have, thinned_then in connection.execute(query).all():
        if most <= 0:
            return
        start = have if have is not None and thinned_then == thinned else 0
        points, upto, end, whole = _after(connection, run_id, series, start, most)
        most -= len(points)
        yield Arrived(
            key=key,
            points=points,
            upto=upto,
            end=end,
            series=series,
            next_seq=next_seq if whole else 0,
            thinned=thinned,
        )


def _after(
    connection: Connection, run_id: str, series: int, start: int, most: int
) -> tuple[Points, NDArray[np.int64], int, bool]:
    """Points from number `start` on, each with its number + 1; the new count, and whether the series ends there."""
    of_series = (CHUNKS.c.run_id == run_id, CHUNKS.c.series == series)
    places = connection.execute(select(*(CHUNKS.c[c] for c in _PLACES)).where(*of_series).order_by(CHUNKS.c.seq)).all()
    hidden_from = limits((attempt, first_step) for _, attempt, _, first_step in places)
    parts, numbers = [], []
    behind, end = 0, start
    for seq, attempt, n, _ in places:
        first, behind = behind, behind + n
        if behind <= start:
            continue
        if end - start >= most:
            break
        low, high = max(start - first, 0), min(n, start + most - first)
        end = first + high
        row = connection.execute(select(CHUNKS).where(*of_series, CHUNKS.c.seq == seq)).mappings().one()
        points = chunks.take(chunks.decode([row]), slice(low, high))  # type: ignore[list-item]  # keys are strings
        limit = hidden_from[attempt]
        keep = np.ones(len(points), np.bool_) if limit is None else points.steps < limit
        parts.append(chunks.take(points, keep))
        numbers.append(np.arange(first + low + 1, end + 1)[keep])
    upto = np.concatenate([np.empty(0, np.int64), *numbers])
    return Points.join(parts), upto, end, end >= sum(n for _, _, n, _ in places)
