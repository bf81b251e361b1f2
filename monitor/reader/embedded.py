"""Reading from the store of this machine, in this process."""

# ruff: noqa: D102  # the methods are documented once, in `Source`

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Final, NoReturn, cast

from monitor.domain import (
    AlertPage,
    AlertState,
    Checkpoint,
    Curve,
    CurveOf,
    Diagnosis,
    Finding,
    Output,
    Points,
    RunInfo,
    RunPage,
    RunQuery,
    RunSnapshot,
    SeriesInfo,
)
from monitor.errors import AlertNotFound, RunNotFound, StoreError
from monitor.reader.embedded_alerts import EmbeddedAlerts
from monitor.reader.source import Query
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.store import Store
    from monitor.wire import Event

_READ_ONLY: Final = (
    "{} cannot be written to, which SQLite needs for reading too; copy its folder and set MONITOR_DIR to the copy, or "
    "read through a server of its owner, with MONITOR_SERVER_URL"
)


def _writable(file: Path) -> bool:
    """True if a database can be opened: its locks are files next to it."""
    ours = os.access in os.supports_effective_ids
    return all(os.access(path, os.W_OK, effective_ids=ours) for path in (file, file.parent))


class _NoRuns:
    """Stands for the store of this machine before the first run makes it."""

    def runs(self, wanted: RunQuery) -> RunPage:
        from monitor.store.runs.query import parse

        if wanted.query is not None:
            parse(wanted.query)  # wrong is wrong, with no run as with many
        return RunPage(items=(), total=0, sparklines={}, order=wanted.order)

    def curves(self, wanted: Sequence[CurveOf], **_: object) -> tuple[Curve, ...]:
        for each in wanted:
            raise RunNotFound(each.run_id)
        return ()

    def projects(self) -> tuple[tuple[str, int], ...]:
        return ()

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        return ()

    def alerts(self, *_: object) -> tuple[()]:
        return ()

    silences = dead_letters = channel_settings = alerts

    def alert_page(self, *_: object) -> AlertPage:
        return AlertPage(items=(), cursor=None, counts={str(state): 0 for state in AlertState})

    def alert(self, alert_id: str, *_: object, **__: object) -> NoReturn:
        raise AlertNotFound(alert_id)

    acknowledge = mark_alert = alert

    def unsilence(self, silence_id: str, **_: object) -> NoReturn:
        raise AlertNotFound(silence_id, what="silence")

    def alert_marks(self, *_: object) -> dict[str, dict[str, int]]:
        return {}

    def retry_deliveries(self, *_: object, **__: object) -> int:
        return 0

    def remove_channel(self, *_: object) -> bool:
        return False

    def restore(self, ref: str, **_: object) -> NoReturn:
        raise RunNotFound(ref, deleted=True)

    def run(self, ref: str, *_: object, **__: object) -> NoReturn:
        raise RunNotFound(ref)

    snapshot = series = history = history_batches = curve = positions = run
    findings = diagnosis = checkpoints = events = output = delete = request_stop = run


class EmbeddedSource(EmbeddedAlerts):
    """The store of this machine, opened when first asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Store | None = None
        self._lock = threading.Lock()

    @property
    def _store(self) -> Store:
        """The store; reading never makes one."""
        with self._lock:
            if self._opened is None:
                from monitor.store import Store

                if self._settings.database_url is None and not self._settings.store_file.exists():
                    folder = self._settings.dir
                    if not next(path for path in (folder, *folder.parents) if path.exists()).is_dir():
                        self._settings.make_dir()  # says why it cannot be
                    return cast("Store", _NoRuns())
                try:
                    self._opened = Store.open(self._settings.store_url)
                except StoreError:
                    if self._settings.database_url is None and not _writable(self._settings.store_file):
                        raise StoreError(_READ_ONLY.format(self._settings.store_file)) from None
                    raise
            return self._opened

    @property
    def _made(self) -> Store:
        from monitor.store import Store

        if self._settings.database_url is None and not self._settings.store_file.exists():
            self._settings.make_dir()
            Store.open(self._settings.store_url).close()
        return self._store

    def runs(self, wanted: RunQuery) -> RunPage:
        return self._store.runs(wanted)

    def snapshot(self, ref: str) -> RunSnapshot:
        return self._store.snapshot(ref)

    def curves(self, wanted: Sequence[CurveOf], query: Query) -> tuple[Curve, ...]:
        return self._store.curves(wanted, **dict(query))  # type: ignore[arg-type]  # `Api.curves` gives them by name and type

    def positions(self, run_id: str, keys: Sequence[str], steps: Sequence[int], x: str) -> tuple[float | None, ...]:
        return self._store.positions(run_id, keys, steps, x=x)

    def run(self, ref: str) -> RunInfo:
        return self._store.run(ref)

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        return self._store.series(run_id)

    def history(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Points:
        return self._store.history(run_id, key, lo=lo, hi=hi, attempt=attempt)

    def batches(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Iterator[Points]:
        return self._store.history_batches(run_id, key, lo=lo, hi=hi, attempt=attempt)

    def curve(self, run_id: str, key: str, query: Query) -> Curve:
        return self._store.curve(run_id, key, **dict(query))  # type: ignore[arg-type]  # as in `curves`

    def findings(self, run_id: str) -> tuple[Finding, ...]:
        return self._store.findings(run_id)

    def diagnosis(self, run_id: str) -> Diagnosis:
        return self._store.diagnosis(run_id)

    def checkpoints(self, run_id: str) -> tuple[Checkpoint, ...]:
        return self._store.checkpoints(run_id)

    def events(self, run_id: str) -> tuple[Event, ...]:
        return self._store.events(run_id)

    def output(self, run_id: str, search: str | None, after: int, limit: int) -> tuple[Output, ...]:
        return self._store.output(run_id, search, after, limit)

    def request_stop(self, run_id: str, who: str) -> None:
        self._store.request_stop(run_id, who, now_ms=time_ns() // 1_000_000)

    def projects(self) -> tuple[tuple[str, int], ...]:
        return self._store.projects()

    def keeping(self) -> Mapping[str, tuple[float | None, float | None]]:
        from monitor.store.retention import Policy

        policy = Policy.of(self._settings)
        return {name: (policy.kept_for(name), policy.thinned_after(name)) for name, _ in self._store.projects()}

    def delete(self, run_id: str) -> None:
        self._store.delete(run_id, now_ms=time_ns() // 1_000_000)

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        return self._store.deleted()

    def restore(self, ref: str) -> RunInfo:
        return self._store.restore(ref, now_ms=time_ns() // 1_000_000)

    def purge_days(self) -> float:
        return self._settings.purge_days

    def health(self) -> Mapping[str, object]:
        self._store.runs(RunQuery(limit=1))
        return {"status": "ok", "store": self._settings.store_url.partition(":")[0], "embedded": True}

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None
