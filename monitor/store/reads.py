"""The reads of a store: runs, series, curves, findings, events."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any, Final, Unpack

from sqlalchemy import Connection, Select, select

from monitor.domain import (
    Checkpoint,
    Counts,
    Curve,
    CurveOf,
    Diagnosis,
    Finding,
    Output,
    Points,
    Progress,
    Regime,
    RunFilters,
    RunInfo,
    RunPage,
    RunQuery,
    RunSnapshot,
    SeriesInfo,
    Stop,
)
from monitor.domain.media import Media
from monitor.errors import MediaNotFound, RulesError
from monitor.roles import Role
from monitor.rules import State
from monitor.rules.describe.features import Features
from monitor.rules.describe.progress import progress_of
from monitor.rules.describe.regimes import regimes_of
from monitor.store.database import Database
from monitor.store.points import curves, history
from monitor.store.points.chunk_reader import PORTION
from monitor.store.points.history import read_positions
from monitor.store.points.naming import JUDGED
from monitor.store.points.series import SeriesState
from monitor.store.runs import facts, outlines, run_list, sealed
from monitor.store.runs.rows import read_stops
from monitor.store.sql.schema import ENGINES, EVENTS, MEDIA, OUTPUT, RUNS
from monitor.wire import Event

_EVENTS: Final = select(*(EVENTS.c[name] for name in ("id", "kind", "record", "time_ms", "data")))


class Reads(Database):
    """The reads of a store."""

    def runs(
        self, wanted: RunQuery | None = None, *, within: str | None = None, **filters: Unpack[RunFilters]
    ) -> RunPage:
        """A page of the run list.

        Args:
            wanted: which runs, and how; None: the newest.
            **filters: fields of `RunQuery` to change in `wanted`.

        Raises:
            QueryError: the query cannot be read; it points at the character.
        """
        with self._read() as connection:
            return run_list.list_runs(connection, replace(wanted or RunQuery(), **filters), within)

    def run(self, ref: str, *, within: str | None = None) -> RunInfo:
        """A run by its id, a unique prefix of it, or a unique name."""
        with self._read() as connection:
            return run_list.find_run(connection, ref, within=within)

    def projects(self, *, within: str | None = None) -> tuple[tuple[str, int], ...]:
        """Projects by name, with their number of runs."""
        with self._read() as connection:
            return run_list.list_projects(connection, within)

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        """The series of a run, in the order in which they first appeared."""
        return tuple(state.info() for state in self._series(run_id))

    def history(
        self, run_id: str, key: str, *, lo: float | None = None, hi: float | None = None, attempt: int | None = None
    ) -> Points:
        """All points of a series, or those with lo <= step <= hi, sorted by step.

        Args:
            attempt: only the points of this attempt, hidden ones included; None for the curve, on which the newest
                attempt's points win.
        """
        with self._read() as connection:
            return history.read_history(connection, run_id, key, lo=lo, hi=hi, attempt=attempt)

    def history_batches(
        self,
        run_id: str,
        key: str,
        *,
        lo: float | None = None,
        hi: float | None = None,
        attempt: int | None = None,
        size: int = PORTION,
    ) -> Generator[Points]:
        """Like `history`, but in batches, with memory that does not grow with the series.

        One read transaction lasts until the last batch is taken or the iterator is closed.

        Args:
            size: most points in a batch; >= 1.

        Raises:
            SeriesNotFound: on the first batch: the run has no such series.
        """
        with self._read() as connection:
            yield from history.stream_history(connection, run_id, key, lo=lo, hi=hi, attempt=attempt, size=size)

    def curve(
        self,
        run_id: str,
        key: str,
        *,
        x: str = "step",
        lo: float | None = None,
        hi: float | None = None,
        width: int = 2000,
        smoothing: float = 0.0,
    ) -> Curve:
        """A series reduced to what a screen shows. Every extreme, every gap and both ends are kept.

        Args:
            x: `step`, `epoch`, `wall_time` (milliseconds since the epoch) or `relative` (seconds since the start).
            lo: left end of the window, in units of x.
            width: pixels, 1 to 100000; returns at most about 4 points per pixel.
            smoothing: weight of the past in an exponential moving average over all points, [0, 1); 0 for none.
        """
        with self._read() as connection:
            return curves.read_curve(connection, run_id, key, x=x, lo=lo, hi=hi, width=width, smoothing=smoothing)

    def curves(
        self,
        wanted: Sequence[CurveOf],
        *,
        x: str = "step",
        lo: float | None = None,
        hi: float | None = None,
        width: int = 2000,
        within: str | None = None,
    ) -> tuple[Curve, ...]:
        """Several series, of one run or many, reduced to what a screen shows, in one read transaction.

        Args:
            x: the axis; this and the rest as in `curve`.
        """
        with self._read() as connection:
            refs = {each.run_id for each in wanted}
            ids = {ref: run_list.find_run(connection, ref, within=within).id for ref in refs}
            return tuple(
                curves.read_curve(
                    connection, ids[each.run_id], each.key, x=x, lo=lo, hi=hi, width=width, smoothing=each.smoothing
                )
                for each in wanted
            )

    def positions(self, run_id: str, keys: Sequence[str], steps: Sequence[int], *, x: str) -> tuple[float | None, ...]:
        """See `RunView.positions`. The steps are int64."""
        with self._read() as connection:
            return read_positions(connection, run_id, keys, steps, x=x)

    def snapshot(self, ref: str, *, within: str | None = None) -> RunSnapshot:
        """A run by its id, a unique prefix of it, or a unique name, with everything but its points and events."""
        with self._read() as connection:
            info = run_list.find_run(connection, ref, within=within)
            regimes, progress = _described(connection, info.id)
            note = connection.execute(select(RUNS.c.note).where(RUNS.c.run_id == info.id)).scalar()
            asked = read_stops(connection, info.id)
            found = outlines.outlines(connection, [info])[info.id]
            return replace(found, regimes=regimes, progress=progress, stops=asked, note=str(note or ""))

    def outlines(self, run_ids: Sequence[str], *, within: str | None = None) -> dict[str, RunSnapshot]:
        """Runs with their series, findings and checkpoints, by id, in a fixed number of statements.

        Args:
            run_ids: full ids; what is not here is left out.
        """
        with self._read() as connection:
            found = run_list.by_ids(connection, run_ids, within)
            return outlines.outlines(connection, list(found.values()))

    def findings(self, run_id: str) -> tuple[Finding, ...]:
        """What the engine found in a run, by number."""
        with self._read() as connection:
            return outlines.findings(connection, [run_id])[run_id]

    def counts(self, run_id: str) -> Counts:
        """How many points the engine has seen, and which series it does not judge."""
        with self._read() as connection:
            run_list.find_run(connection, run_id)
            data = connection.execute(select(RUNS.c.counts).where(RUNS.c.run_id == run_id)).scalar_one()
        judged = {str(role) for role in JUDGED} | {str(Role.UNMAPPED)}
        unmapped = tuple(s.key for s in self._series(run_id) if not s.judged and s.role in judged)
        return Counts(**{**data, "unmapped": unmapped})

    def diagnosis(self, run_id: str) -> Diagnosis:
        """The complete current diagnosis of a run."""
        run = self.run(run_id)
        with self._read() as connection:
            regimes, progress = _described(connection, run.id)
        return Diagnosis(
            verdict=run.verdict,
            headline=run.headline,
            findings=self.findings(run.id),
            recommendation=run.recommendation,
            counts=self.counts(run.id),
            regimes=regimes,
            progress=progress,
        )

    def engine_state(self, run_id: str) -> State | None:
        """The engine's state of a run, not to be changed; None if there is none, or it is of another version."""
        with self._read() as connection:
            return _state(connection, run_id)

    def checkpoints(self, run_id: str) -> tuple[Checkpoint, ...]:
        """The checkpoints that the loop saved, in the order reported."""
        with self._read() as connection:
            return facts.checkpoints(connection, [run_id])[run_id]

    def stops(self, run_id: str) -> tuple[Stop, ...]:
        """The stops of a run by number: those requested, and those advised and obeyed."""
        with self._read() as connection:
            return read_stops(connection, run_id)

    def capture(self, run_id: str) -> Mapping[str, object]:
        """What was recorded about a run's environment; empty if nothing was."""
        query = select(RUNS.c.capture).where(RUNS.c.run_id == run_id)
        with self._read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return found if isinstance(found, Mapping) else {}

    def events(self, run_id: str) -> tuple[Event, ...]:
        """Everything that happened in a run besides points, in order of arrival."""
        return tuple(event for _, event in self._events(_EVENTS.where(EVENTS.c.run_id == run_id).order_by(EVENTS.c.id)))

    def newest_events(self, run_id: str, kind: str, limit: int) -> tuple[Event, ...]:
        """The newest events of one kind, newest first."""
        query = _EVENTS.where(EVENTS.c.run_id == run_id, EVENTS.c.kind == kind).order_by(EVENTS.c.id.desc())
        return tuple(event for _, event in self._events(query.limit(limit)))

    def numbered_events(self, run_id: str, after: int, limit: int) -> tuple[tuple[int, Event], ...]:
        """The events after a given one, each with its number, in order of arrival.

        Args:
            after: the number of the event before; 0 for the first.
            limit: most events returned.
        """
        query = _EVENTS.where(EVENTS.c.run_id == run_id, EVENTS.c.id > after).order_by(EVENTS.c.id)
        return self._events(query.limit(limit))

    def output(self, run_id: str, search: str | None, after: int, limit: int) -> tuple[Output, ...]:
        """What a training printed, oldest first.

        Args:
            after: only pieces after the one with this id; negative: the last ones.
            limit: most pieces returned.
        """
        columns = (OUTPUT.c.id, OUTPUT.c.time_ms, OUTPUT.c.stream, OUTPUT.c.step, OUTPUT.c.position, OUTPUT.c.text)
        query = select(*columns).where(OUTPUT.c.run_id == run_id).limit(limit)
        if search:
            query = query.where(OUTPUT.c.text.icontains(search, autoescape=True))
        query = (
            query.order_by(OUTPUT.c.id.desc()) if after < 0 else query.where(OUTPUT.c.id > after).order_by(OUTPUT.c.id)
        )
        with self._read() as connection:
            found = [Output(**row) for row in connection.execute(query).mappings()]
        return tuple(reversed(found) if after < 0 else found)

    def media(self, run_id: str, key: str | None = None) -> tuple[Media, ...]:
        """The images, tables and histograms of a run without their contents, by name and step.

        Args:
            key: only those of this name.
        """
        columns = [MEDIA.c[field.name] for field in fields(Media)]
        query = select(*columns).where(MEDIA.c.run_id == run_id).order_by(MEDIA.c.key, MEDIA.c.step, MEDIA.c.id)
        if key is not None:
            query = query.where(MEDIA.c.key == key)
        with self._read() as connection:
            return tuple(Media(**row) for row in connection.execute(query).mappings())

    def media_content(self, run_id: str, media_id: int) -> tuple[str, bytes]:
        """The MIME type and the content of an image, table or histogram.

        Raises:
            MediaNotFound: the run has none of this id, or no longer keeps it.
        """
        query = select(MEDIA.c.mime, MEDIA.c.content).where(MEDIA.c.run_id == run_id, MEDIA.c.id == media_id)
        with self._read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise MediaNotFound(run_id, media_id)
        return str(row.mime), bytes(row.content)

    def _events(self, query: Select[Any]) -> tuple[tuple[int, Event], ...]:
        """The events that a query finds, each with its number."""
        with self._read() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return tuple((row.pop("id"), Event(**row)) for row in rows)

    def _series(self, run_id: str) -> list[SeriesState]:
        with self._read() as connection:
            return outlines.series(connection, [run_id])[run_id]


def _described(connection: Connection, run_id: str) -> tuple[tuple[Regime, ...], Progress]:
    """What the curves did, and the run's progress."""
    known = _state(connection, run_id)
    return ((), Progress()) if known is None else _told(known)


def _state(connection: Connection, run_id: str) -> State | None:
    stored = connection.execute(select(ENGINES.c.state).where(ENGINES.c.run_id == run_id)).scalar()
    return None if stored is None else _unpacked(bytes(stored))


@lru_cache(256)
def _unpacked(stored: bytes) -> State | None:
    """The engine's state; None if it is of another version, which the next batch replaces."""
    try:
        return State.from_bytes(sealed.opened(stored))
    except RulesError:
        return None


@lru_cache(256)
def _told(known: State) -> tuple[tuple[Regime, ...], Progress]:
    run = Features(known, known.last_step)
    return regimes_of(run), progress_of(run)
