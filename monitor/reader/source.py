"""Where `Api` reads from: a server, or the embedded store of this machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypedDict, cast

from monitor.domain import (
    Access,
    AlertPage,
    AlertState,
    AuditEntry,
    Caller,
    Curve,
    CurveOf,
    RunInfo,
    RunPage,
    RunQuery,
    SavedView,
    Stop,
    TokenInfo,
)
from monitor.errors import AlertNotFound, RunNotFound, StoreError, TokenNotFound
from monitor.owner import process_owner
from monitor.reader.server import Server, segment
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.domain.rules_version import RulesVersion, SavedRule
    from monitor.store import Store
    from monitor.store.overview import Fleet

_READ_ONLY: Final = (
    "{} cannot be written to, which SQLite needs for reading too; copy its folder and set MONITOR_DIR to the copy, or "
    "read through a server of its owner, with MONITOR_SERVER_URL"
)


class Stamp(TypedDict):
    """When the store is changed, and by whom."""

    now_ms: int
    by: Caller


class Source:
    """Where `Api` and its runs read from.

    Attributes:
        settings: of this machine; a server has its own.
        server: None: the embedded store, which is opened on first use.
    """

    def __init__(self, settings: Settings, server: Server | None = None) -> None:
        self.settings, self.server = settings, server
        self._opened: Store | None = None
        self._lock = threading.Lock()

    @property
    def store(self) -> Store:
        """The store. Reading never creates one."""
        with self._lock:
            if self._opened is None:
                from monitor.store.opening import open_embedded

                if self.settings.database_url is None and not self.settings.store_file.exists():
                    folder = self.settings.dir
                    if not next(path for path in (folder, *folder.parents) if path.exists()).is_dir():
                        self.settings.make_dir()  # raises if the folder cannot be used
                    return cast("Store", _NoRuns())  # not kept: the first run may create the store at any time
                try:
                    self._opened = open_embedded(self.settings.store_url)
                except StoreError:
                    if self.settings.database_url is None and not _writable(self.settings.store_file):
                        raise StoreError(_READ_ONLY.format(self.settings.store_file)) from None
                    raise
            return self._opened

    @property
    def made(self) -> Store:
        """The store, created if necessary: a silence, a channel or a token may be added before the first run."""
        from monitor.store import Store

        if self.settings.database_url is None and not self.settings.store_file.exists():
            self.settings.make_dir()
            Store.open(self.settings.store_url).close()
        return self.store

    @property
    def store_kind(self) -> str:
        """The engine of the embedded store: "sqlite" or "postgresql", perhaps with the driver."""
        return self.settings.store_url.partition(":")[0]

    def run(self, ref: str) -> RunInfo:
        """One run, by its id, a unique prefix of it, or its name."""
        if self.server:
            return self.server.ask(RunInfo, f"/runs/{segment(ref)}")
        return self.store.run(ref)

    def me(self) -> Caller:
        """Who reads and changes the embedded store."""
        return Caller(name=process_owner(), access=Access.ADMIN, asked=False)

    def stamp(self) -> Stamp:
        """For a change of the embedded store."""
        return {"now_ms": now_ms(), "by": self.me()}

    def close(self) -> None:
        """Close all connections."""
        if self.server:
            self.server.close()
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None


def now_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time_ns() // 1_000_000


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
