"""A write transaction on one run: everything that `ingest` and the jobs may change, committed together or not at all.

The first statement takes the lock. On SQLite it is the lock of the file, so that two writers never both start as
readers and then deadlock. On PostgreSQL it is the run's row only, so that runs never wait for each other. Ids within
the run come from counters in that row. Changes to the run's row are collected and written once, at the end.
"""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import bindparam, delete, select

from monitor.domain import Finding, Points, RunEdit
from monitor.errors import WireError
from monitor.limits import MAX_TAGS
from monitor.roles import NOTHING, Reading, Role, Said, said_of
from monitor.store.locked_run import LOCK
from monitor.store.points import append, compact, downsampling, history, naming
from monitor.store.points.append import Appended
from monitor.store.runs import rows, sealed
from monitor.store.sql.link import Answer, Link, Statement
from monitor.store.sql.schema import (
    CHECKPOINTS,
    ENGINES,
    EVENTS,
    FINDINGS,
    MEDIA,
    OUTPUT,
    SERIES,
    TAGS,
    THRESHOLDS,
    WRITERS,
)
from monitor.store.sql.upsert import upsert
from monitor.store.stopped_run import StoppedRun
from monitor.wire import Columns, Event

_WRITER: Final = Statement(
    select(WRITERS.c.attempt, WRITERS.c.joined, WRITERS.c.acked).where(
        WRITERS.c.run_id == bindparam("run"), WRITERS.c.writer == bindparam("name")
    )
)
_ACK: Final = Statement(
    WRITERS.update()
    .where(WRITERS.c.run_id == bindparam("run"), WRITERS.c.writer == bindparam("name"))
    .values(acked=bindparam("records"), attempt=bindparam("nth"))
)
_SAVE_STATE: Final = Statement(
    ENGINES.update()
    .where(ENGINES.c.run_id == bindparam("run"))
    .values(state=bindparam("remembered"), rules_hash=bindparam("rules"))
)
_STATE: Final = Statement(select(ENGINES.c.state).where(ENGINES.c.run_id == bindparam("run")))
_JUDGED: Final = Statement(
    select(SERIES.c.role, SERIES.c.key).where(SERIES.c.run_id == bindparam("run"), SERIES.c.judged)
)
_KEYS: Final = Statement(select(SERIES.c.key).where(SERIES.c.run_id == bindparam("run")))
_PARTS: Final = Statement(
    select(SERIES.c.key)
    .where(SERIES.c.run_id == bindparam("run"), SERIES.c.role == bindparam("of_role"))
    .order_by(SERIES.c.series)
)
_FOUND: Final = Statement(
    select(*rows.FINDING_COLUMNS).where(FINDINGS.c.run_id == bindparam("run")).order_by(FINDINGS.c.number)
)
_FORGET: Final = Statement(FINDINGS.delete().where(FINDINGS.c.run_id == bindparam("run")))
_SAVE_FINDINGS: Final = Statement(lambda dialect: upsert(FINDINGS, dialect), FINDINGS.c.keys())
_THRESHOLDS: Final = Statement(select(THRESHOLDS.c.state).where(THRESHOLDS.c.run_id == bindparam("run")))
_SAVE_THRESHOLDS: Final = Statement(lambda dialect: upsert(THRESHOLDS, dialect), THRESHOLDS.c.keys())
_SAVE_TAGS: Final = Statement(lambda dialect: upsert(TAGS, dialect), TAGS.c.keys())
_FORGET_TAG: Final = Statement(TAGS.delete().where(TAGS.c.run_id == bindparam("run"), TAGS.c.name == bindparam("tag")))
_NEW_WRITER: Final = Statement(WRITERS.insert(), WRITERS.c.keys())
_NEW_STATE: Final = Statement(ENGINES.insert(), ENGINES.c.keys())
_NEW_EVENTS: Final = Statement(EVENTS.insert(), EVENTS.c.keys())
_NEW_OUTPUT: Final = Statement(OUTPUT.insert(), OUTPUT.c.keys())
_NEW_MEDIA: Final = Statement(MEDIA.insert(), MEDIA.c.keys())
_LAST_OUTPUT, _LAST_MEDIA = (
    Statement(
        select(table.c.id, table.c.position)
        .where(table.c.run_id == bindparam("run"))
        .order_by(table.c.id.desc())
        .limit(1)
    )
    for table in (OUTPUT, MEDIA)
)
_OLD_OUTPUT, _OLD_MEDIA = (
    Statement(table.delete().where(table.c.run_id == bindparam("run"), table.c.position <= bindparam("up_to")))
    for table in (OUTPUT, MEDIA)
)
_NEW_CHECKPOINTS: Final = Statement(CHECKPOINTS.insert(), CHECKPOINTS.c.keys())
_FORGET_CHECKPOINT: Final = Statement(
    CHECKPOINTS.delete().where(CHECKPOINTS.c.run_id == bindparam("run"), CHECKPOINTS.c.path == bindparam("path"))
)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a transaction will certainly read. It is requested together with the lock, which saves a round trip.

    Attributes:
        writer: the writer's name.
        keys: the series that points will be appended to.
    """

    writer: str
    keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Writer:
    """What the store knows about a writer.

    Attributes:
        attempt: the attempt that its points belong to.
        joined: True if it is an additional writer of another writer's attempt.
        acked: how many of its records are stored.
    """

    attempt: int
    joined: bool
    acked: int


@dataclass(slots=True)
class _Asked:
    """Answers requested along with the lock; each is used once."""

    writers: dict[str, Answer] = field(default_factory=dict)
    series: Answer | None = None
    state: Answer | None = None


class Transaction(StoppedRun):
    """A write transaction on one run. Created by `Store.write`."""

    def __init__(self, link: Link, run_id: str, now_ms: int, ahead: Ahead | None = None) -> None:
        super().__init__(link, run_id, now_ms)
        self._asked = _Asked()
        locked = link.ask(LOCK, self._place)
        if ahead is not None:
            self._asked.writers[ahead.writer] = link.ask(_WRITER, {"run": run_id, "name": ahead.writer})
            if ahead.keys:
                self._asked.series = append.ask_series(link, run_id, ahead.keys)
                self._asked.state = link.ask(_STATE, self._place)
        self._row = locked.first()
        if self._row is None:
            # no row, so nothing is locked: another process may create the run, and these answers may be stale
            self._asked = _Asked()

    def writer(self, name: str) -> Writer | None:
        """A writer of the run; None if it has never written."""
        answer = self._asked.writers.pop(name, None) or self._link.ask(_WRITER, {"run": self.run_id, "name": name})
        row = answer.first()
        return None if row is None else Writer(**row)  # type: ignore[arg-type]  # the columns have these types

    def add_writer(self, name: str, attempt: int, *, joined: bool) -> Writer:
        """Add a writer that has stored nothing yet."""
        row = {"run_id": self.run_id, "writer": name, "attempt": attempt, "joined": joined, "acked": 0}
        self._link.tell(_NEW_WRITER, row)
        return Writer(attempt, joined, 0)

    def ack(self, name: str, attempt: int, records: int) -> None:
        """Set how many of a writer's records are stored."""
        self._link.tell(_ACK, {"run": self.run_id, "name": name, "records": records, "nth": attempt})

    def append(self, attempt: int, keys: Sequence[str], columns: Columns) -> Appended:
        """Store points and update their series' summaries; see `append.append_points`."""
        count, asked, self._asked.series = self.counter("series_count"), self._asked.series, None
        done = append.append_points(self._link, self.run_id, attempt, keys, columns, count, asked, self._said)
        self.set(series_count=done.series_count, compacted=False)
        if done.reading is None:
            return done
        before = self.get("reading")
        game = bool(isinstance(before, Mapping) and before.get("game"))
        self._keep(done.reading, anew=done.moved)
        return replace(done, moved=done.moved or game != done.reading.game)

    def say(self, roles: Mapping[str, str]) -> bool:
        """Store what the user says about the series' names. Returns whether it changes which series are judged."""
        self.set(roles=dict(roles))
        reading, moved = naming.reread(self._link, self.run_id, self._said())
        if reading.roles:
            self._keep(reading, anew=moved)
        return moved

    def _said(self) -> Said:
        said = self.get("roles")
        return said_of(said) if isinstance(said, Mapping) else NOTHING

    def _keep(self, reading: Reading, *, anew: bool) -> None:
        """Store the reading of the names; if the judged series have changed, their summaries in the run's row too."""
        self.set(reading=reading.to_dict(), goal_rises=reading.goal_rises)
        if anew:
            self.set(**naming.summaries(self._link, self.run_id, rises=bool(reading.goal_rises)))

    def series_keys(self) -> frozenset[str]:
        """The names of all series of the run."""
        return frozenset(str(row["key"]) for row in self._link.ask(_KEYS, self._place).all())

    def engine_state(self) -> bytes | None:
        """The engine's state of the run; None if it was never started, empty if the stored state is damaged."""
        asked, self._asked.state = self._asked.state, None
        row = (asked or self._link.ask(_STATE, self._place)).first()
        return None if row is None else sealed.opened(bytes(row["state"]))  # type: ignore[call-overload]  # a blob

    def save_engine(self, state: bytes, rules_hash: str, *, new: bool) -> None:
        """Store the engine's state.

        Args:
            new: True if no state is stored yet.
        """
        state = sealed.sealed(state)
        if new:
            self._link.tell(_NEW_STATE, {"run_id": self.run_id, "state": state, "rules_hash": rules_hash})
        else:
            self._link.tell(_SAVE_STATE, {"run": self.run_id, "remembered": state, "rules": rules_hash})

    def judged(self, since: int = 1) -> dict[str, Points]:
        """The curves that the engine judges, by role, including what this transaction has stored.

        Args:
            since: only from where this attempt, or a later one, begins.
        """
        return {role: self._curve(key, since) for role, key in self.judged_keys().items()}

    def judged_keys(self) -> dict[str, str]:
        """The series that the engine judges, by role."""
        return {str(row["role"]): str(row["key"]) for row in self._link.ask(_JUDGED, self._place).all()}

    def parts(self, since: int = 1) -> dict[str, Points]:
        """Like `judged`, for the parts of a composite loss, by series in order of first appearance."""
        found = self._link.ask(_PARTS, {**self._place, "of_role": str(Role.PART)}).all()
        return {str(row["key"]): self._curve(str(row["key"]), since) for row in found}

    def _curve(self, key: str, since: int) -> Points:
        def read(lo: float | None, attempt: int | None) -> Points:
            return history.read_history(self._link.plain, self.run_id, key, lo=lo, hi=None, attempt=attempt)

        if since <= 1:
            return read(None, None)
        own = [read(None, attempt).steps for attempt in range(since, self.run.attempt + 1)]
        return read(min((float(steps[0]) for steps in own if len(steps)), default=math.inf), None)

    def events(self, kind: str) -> tuple[Event, ...]:
        """The stored events of one kind, in order of arrival."""
        query = select(EVENTS.c.kind, EVENTS.c.record, EVENTS.c.time_ms, EVENTS.c.data).where(
            EVENTS.c.run_id == self.run_id, EVENTS.c.kind == kind
        )
        return tuple(Event(**row) for row in self._link.plain.execute(query.order_by(EVENTS.c.id)).mappings())

    def findings(self) -> tuple[Finding, ...]:
        """The findings so far, by number."""
        return tuple(rows.finding(row) for row in self._link.ask(_FOUND, self._place).all())

    def forget_findings(self) -> None:
        """Delete the findings, because the run is judged again."""
        self._link.tell(_FORGET, self._place)

    def save_findings(self, findings: Sequence[Finding]) -> None:
        """Insert findings, or update those with the same number."""
        if not findings:
            return
        found = [rows.finding_row(self.run_id, finding) for finding in findings]
        self._link.tell(_SAVE_FINDINGS, *found)

    def add_events(self, writer: str, events: Sequence[Event]) -> None:
        """Store events unchanged. Checkpoints also go into a table of their own."""
        if not events:
            return
        first = self.counter("event_count") + 1
        self.set(event_count=first - 1 + len(events))
        found = [
            {
                "run_id": self.run_id,
                "id": number,
                "writer": writer,
                "record": event.record,
                "kind": event.kind,
                "time_ms": event.time_ms,
                "data": event.data,
            }
            for number, event in enumerate(events, start=first)
        ]
        self._link.tell(_NEW_EVENTS, *found)
        checkpoints = [(n, event) for n, event in enumerate(events, start=first) if event.kind == "checkpoint"]
        # saving to the same path again overwrites the file
        newest = {str(event.data["path"]): (n, event) for n, event in checkpoints}
        for path in newest:
            self._link.tell(_FORGET_CHECKPOINT, {**self._place, "path": path})
        saved = [
            {"run_id": self.run_id, "id": n, "step": event.data["step"], "path": path, "time_ms": event.time_ms}
            for path, (n, event) in newest.items()
            if not event.data.get("deleted")
        ]
        if saved:
            self._link.tell(_NEW_CHECKPOINTS, *saved)

    def trim_events(self, kind: str, most: int) -> None:
        """Keep only the newest `most` events of one kind."""
        mine = (EVENTS.c.run_id == self.run_id) & (EVENTS.c.kind == kind)
        oldest = select(EVENTS.c.id).where(mine).order_by(EVENTS.c.id.desc()).offset(most).limit(1).scalar_subquery()
        self._link.plain.execute(delete(EVENTS).where(mine & (EVENTS.c.id <= oldest)))

    def add_output(self, events: Sequence[Event], most: int) -> None:
        """Store what the training printed. Beyond `most` characters, the oldest is dropped."""
        last = self._link.ask(_LAST_OUTPUT, self._place).first() or {"id": 0, "position": 0}
        number, position = int(str(last["id"])), int(str(last["position"]))
        found = []
        for event in events:
            text = str(event.data["text"])
            number, position = number + 1, position + len(text)
            found.append({
                "run_id": self.run_id, "id": number, "time_ms": event.time_ms, "stream": event.data["stream"],
                "step": event.data["step"], "position": position, "text": text,
            })  # fmt: skip
        self._link.tell(_NEW_OUTPUT, *found)
        if position > most:
            self._link.tell(_OLD_OUTPUT, {"run": self.run_id, "up_to": position - most})

    def add_media(self, events: Sequence[Event], most: int) -> None:
        """Store images, tables and histograms. Beyond `most` bytes, the oldest are dropped."""
        last = self._link.ask(_LAST_MEDIA, self._place).first() or {"id": 0, "position": 0}
        number, position = int(str(last["id"])), int(str(last["position"]))
        found = []
        for event in events:
            content = b64decode(str(event.data["content"]))
            number, position = number + 1, position + len(content)
            found.append({
                **{name: event.data[name] for name in ("key", "kind", "step", "mime", "caption")},
                "run_id": self.run_id, "id": number, "time_ms": event.time_ms, "size": len(content),
                "position": position, "content": content,
            })  # fmt: skip
        self._link.tell(_NEW_MEDIA, *found)
        self.touch()
        if position > most:
            self._link.tell(_OLD_MEDIA, {"run": self.run_id, "up_to": position - most})

    def edit(self, changes: RunEdit) -> None:
        """Apply an edit that `edits.checked` has validated. Raises `WireError` if the run would have too many tags."""
        if changes.name is not None:
            self.set(name=changes.name)
        if changes.note is not None:
            self.set(note=changes.note or None)
        self.remove_tags([tag for tag, value in changes.tags.items() if value is None])
        kept = {tag: value for tag, value in changes.tags.items() if value is not None}
        total = len({*self.mapping("tags"), *kept})
        if kept and total > MAX_TAGS:
            raise WireError("tags", f"a run has {MAX_TAGS} tags at most, this would make {total}; remove some")
        self.merge_tags(kept)

    def restore(self) -> None:
        """Restore the deleted run, with the alerts that were firing."""
        self.set(deleted_ms=None)
        self.revive_alerts()

    def merge_tags(self, tags: Mapping[str, str]) -> None:
        """Add or change tags of the run."""
        if not tags:
            return
        self.set(tags={**self.mapping("tags"), **tags})
        found = [{"run_id": self.run_id, "name": name, "value": value} for name, value in tags.items()]
        self._link.tell(_SAVE_TAGS, *found)

    def remove_tags(self, names: Collection[str]) -> None:
        """Remove tags from the run; tags that it does not have are ignored."""
        has = self.mapping("tags")
        gone = [name for name in names if name in has]
        if gone:
            self.set(tags={name: value for name, value in has.items() if name not in gone})
            for name in gone:
                self._link.tell(_FORGET_TAG, {**self._place, "tag": name})

    def thresholds(self) -> dict[str, dict[str, object]]:
        """Expression -> state of that threshold of the run."""
        row = self._link.ask(_THRESHOLDS, self._place).first()
        found = {} if row is None else row["state"]
        return {str(when): dict(state) for when, state in found.items()} if isinstance(found, Mapping) else {}

    def save_thresholds(self, state: Mapping[str, Mapping[str, object]]) -> None:
        """Store the state of the run's thresholds."""
        self._link.tell(_SAVE_THRESHOLDS, {"run_id": self.run_id, "state": dict(state)})

    def compact(self) -> int:
        """Merge the run's chunks as far as possible. Returns how many chunks that saved."""
        self.set(compacted=True)
        return compact.merge_all(self._link, self.run_id)

    def thin(self, points: int) -> tuple[int, int]:
        """Downsample every series to about `points` points. Returns the number of points kept and removed."""
        kept, left_out = downsampling.thin_run(self._link, self.run_id, points)
        if left_out:
            warnings = self.run.warnings
            self.set(compacted=True, warnings={**warnings, "thinned": warnings.get("thinned", 0) + left_out})
        return kept, left_out
