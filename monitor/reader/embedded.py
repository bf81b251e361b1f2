"""Reads from the embedded store, in this process."""

# ruff: noqa: D102  # the methods are documented once, in `Api`

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from monitor.domain import (
    Access,
    AlertPage,
    AlertState,
    Attention,
    AuditEntry,
    Caller,
    Checkpoint,
    Curve,
    CurveOf,
    Diagnosis,
    Finding,
    Happenings,
    Ledger,
    Outcome,
    Output,
    Points,
    RunEdit,
    RunInfo,
    RunPage,
    RunQuery,
    RunSnapshot,
    SavedView,
    Saving,
    SeriesInfo,
    Stop,
    TokenInfo,
)
from monitor.errors import AlertNotFound, RunNotFound, StoreError, TokenNotFound
from monitor.owner import process_owner
from monitor.reader.answers import Query
from monitor.reader.embedded_access import EmbeddedAccess
from monitor.reader.embedded_alerts import EmbeddedAlerts
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.domain.media import Media
    from monitor.domain.rules_version import RulesVersion, SavedRule
    from monitor.store import Store
    from monitor.store.overview import Fleet
    from monitor.wire import Event

_READ_ONLY: Final = (
    "{} cannot be written to, which SQLite needs for reading too; copy its folder and set MONITOR_DIR to the copy, or "
    "read through a server of its owner, with MONITOR_SERVER_URL"
)


def _writable(file: Path) -> bool:
    """True if an SQLite database can be opened: it creates lock files next to the database."""
    ours = os.access in os.supports_effective_ids
    return all(os.access(path, os.W_OK, effective_ids=ours) for path in (file, file.parent))


class _NoRuns:
    """Stands in for the store until the first run creates it."""

    def runs(self, wanted: RunQuery) -> RunPage:
        from monitor.store.runs.query import parse

        if wanted.query is not None:
            parse(wanted.query)  # a query is checked even if there are no runs
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

    def remove_channel(self, *_: object, **__: object) -> bool:
        return False

    def views(self, page: str) -> tuple[SavedView, ...]:  # noqa: ARG002  # no page has any
        return ()

    def forget_view(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def save_view(self, view: SavedView, **_: object) -> NoReturn:
        raise StoreError(f"the view {view.name!r} cannot be saved before the first run has made a database here")

    def change_mark(self) -> str:
        return ""

    def saved_rules(self) -> tuple[SavedRule, ...]:
        return ()

    def rules_history(self, project: str | None) -> tuple[RulesVersion, ...]:  # noqa: ARG002  # no server has started
        return ()

    def tokens(self) -> tuple[TokenInfo, ...]:
        return ()

    def audit(self, **_: object) -> tuple[int, list[AuditEntry]]:
        return 0, []

    def revoke_token(self, ref: str, **_: object) -> NoReturn:
        raise TokenNotFound(ref)

    def fleet(self, *_: object, **__: object) -> Fleet:
        from monitor.store.overview import Fleet

        return Fleet((), {}, {}, {}, {}, 0, {})

    def stopped(self, *_: object) -> tuple[tuple[str, Stop], ...]:
        return ()

    def infos(self, *_: object) -> dict[str, Any]:
        return {}

    facts = saved = infos

    def restore(self, ref: str, **_: object) -> NoReturn:
        raise RunNotFound(ref, deleted=True)

    def run(self, ref: str, *_: object, **__: object) -> NoReturn:
        raise RunNotFound(ref)

    snapshot = series = history = history_batches = curve = positions = run
    findings = diagnosis = checkpoints = events = output = media = media_content = delete = request_stop = (
        withdraw_stop
    ) = stops = edit = run


class EmbeddedSource(EmbeddedAlerts, EmbeddedAccess):
    """The embedded store of this machine, opened on first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Store | None = None
        self._lock = threading.Lock()

    @property
    def _store(self) -> Store:
        """The store. Reading never creates one."""
        with self._lock:
            if self._opened is None:
                from monitor.store.opening import open_embedded

                if self._settings.database_url is None and not self._settings.store_file.exists():
                    folder = self._settings.dir
                    if not next(path for path in (folder, *folder.parents) if path.exists()).is_dir():
                        self._settings.make_dir()  # raises if the folder cannot be used
                    return cast("Store", _NoRuns())  # not kept: the first run may create the store at any time
                try:
                    self._opened = open_embedded(self._settings.store_url)
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
        from monitor import insight

        return insight.snapshot(self._store, self._settings, ref)

    def outlines(self, refs: Sequence[str]) -> Mapping[str, RunSnapshot]:
        return self._store.outlines(refs)

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

    def media(self, run_id: str, key: str | None) -> tuple[Media, ...]:
        return self._store.media(run_id, key)

    def media_content(self, run_id: str, media_id: int) -> bytes:
        return self._store.media_content(run_id, media_id)[1]

    def request_stop(self, run_id: str, who: str, reason: str) -> Stop:
        return self._store.request_stop(run_id, who, reason=reason, now_ms=_now(), by=self.me())

    def withdraw_stop(self, run_id: str, who: str) -> Stop:
        return self._store.withdraw_stop(run_id, who, now_ms=_now(), by=self.me())

    def saving(self, run_id: str) -> Saving:
        from monitor import insight

        return insight.saving_of(self._store, self._settings, run_id)

    def explain(self, ref: str) -> Mapping[str, Any]:
        from monitor import insight

        return insight.explain(self._store, self._settings, ref, now_ms=time_ns() // 1_000_000)

    def happened(self, ref: str, since: str, wait_s: float) -> Happenings:
        from monitor import insight

        return insight.wait_for_events(self._store, ref, since, wait_s)

    def outcomes(self, refs: Sequence[str], until: Sequence[str], wait_s: float) -> tuple[Outcome, ...]:
        from monitor import insight

        run_ids = list(dict.fromkeys(self._store.run(ref).id for ref in refs))
        if self._settings.database_url is None:  # without a server, nobody else reports killed runs
            from monitor.ingest import liveness

            liveness.check(self._store, self._settings, _now(), quiet=True)
            wait_s = min(wait_s, self._settings.liveness_interval_s)
        return insight.wait_for_outcomes(self._store, run_ids, insight.until_of(until), wait_s)

    def attention(self, limit: int, project: str | None, sparkline: int) -> Attention:
        from monitor import insight

        return insight.attention(
            self._store, self._settings, now_ms=_now(), limit=limit, project=project, sparkline=sparkline
        )

    def ledger(self, project: str | None, since_ms: int, until_ms: int) -> Ledger:
        from monitor import insight

        return insight.ledger(self._store, self._settings, project=project, since_ms=since_ms, until_ms=until_ms)

    def stops(self, run_id: str) -> tuple[Stop, ...]:
        return self._store.stops(run_id)

    def edit(self, run_id: str, edit: RunEdit) -> RunInfo:
        self._store.edit(run_id, edit, now_ms=_now(), by=self.me())
        return self._store.run(run_id)

    def views(self, page: str) -> tuple[SavedView, ...]:
        return self._store.views(page)

    def save_view(self, page: str, name: str, query: str) -> SavedView:
        view = SavedView(page=page, name=name, query=query, saved_ms=_now())
        return self._store.save_view(view, by=self.me())

    def forget_view(self, page: str, name: str) -> None:
        self._store.forget_view(page, name, now_ms=_now(), by=self.me())

    def projects(self) -> tuple[tuple[str, int], ...]:
        return self._store.projects()

    def keeping(self) -> Mapping[str, tuple[float | None, float | None]]:
        from monitor.store.retention import Policy

        policy = Policy.of(self._settings)
        return {name: (policy.kept_for(name), policy.thinned_after(name)) for name, _ in self._store.projects()}

    def costs(self) -> tuple[str, Mapping[str, Mapping[str, float]]]:
        prices = {name: self._settings.prices_of(name) for name, _ in self._store.projects()}
        return self._settings.cost_currency, prices

    def delete(self, run_id: str) -> None:
        self._store.delete(run_id, now_ms=_now(), by=self.me())

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        return self._store.deleted()

    def restore(self, ref: str) -> RunInfo:
        return self._store.restore(ref, now_ms=_now(), by=self.me())

    def change_mark(self) -> str:
        return self._store.change_mark()

    def purge_days(self) -> float:
        return self._settings.purge_days

    def me(self) -> Caller:
        return Caller(name=process_owner(), access=Access.ADMIN, asked=False)

    def info(self) -> Mapping[str, object]:
        from monitor import __version__

        return {"version": __version__, "store": self._settings.store_url.partition(":")[0], "jobs": {}}

    def health(self) -> Mapping[str, object]:
        self._store.runs(RunQuery(limit=1))
        return {"status": "ok", "store": self._settings.store_url.partition(":")[0], "embedded": True}

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None


def _now() -> int:
    return time_ns() // 1_000_000
