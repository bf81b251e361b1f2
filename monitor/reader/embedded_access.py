"""Tokens, audit log and rules of the embedded store, in this process."""

# ruff: noqa: D102  # the methods are documented once, in `Source`

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import TYPE_CHECKING

from monitor.domain import Access, AuditEntry, Caller, TokenInfo
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.domain.rules_version import RulesVersion, SavedRule
    from monitor.ingest.engines import Engines
    from monitor.store import Store


class OverStore:
    """What the parts of an embedded source need of the whole."""

    _settings: Settings

    def me(self) -> Caller:
        raise NotImplementedError

    @property
    def _store(self) -> Store:
        raise NotImplementedError

    @property
    def _made(self) -> Store:
        """The store, created if necessary: a silence, a channel or a token may be added before the first run."""
        raise NotImplementedError


class EmbeddedAccess(OverStore):
    """The tokens, the audit log and the rules of an embedded store."""

    def tokens(self) -> tuple[TokenInfo, ...]:
        return self._store.tokens()

    def create_token(
        self, name: str, role: Access, project: str | None, expires_ms: int | None
    ) -> tuple[TokenInfo, str]:
        # A server's first token may be created before its first start.
        return self._made.create_token(name, role, project=project, expires_ms=expires_ms, now_ms=_now(), by=self.me())

    def revoke_token(self, ref: str) -> TokenInfo:
        return self._store.revoke_token(ref, now_ms=_now(), by=self.me())

    def audit(self, limit: int, offset: int) -> tuple[int, tuple[AuditEntry, ...]]:
        total, entries = self._store.audit(limit=limit, offset=offset)
        return total, tuple(entries)

    def rules(self, project: str | None) -> Mapping[str, object]:
        from monitor.ingest.saved_rules import rules_of

        return rules_of(self._engines(), project).overrides

    def saved_rules(self, project: str | None) -> tuple[SavedRule, ...]:
        from monitor.ingest.saved_rules import concerning

        return concerning(self._engines(), project)

    def save_rule(self, rule: str, settings: Mapping[str, object], project: str | None, basis: str | None) -> None:
        from monitor.ingest.saved_rules import save_rule

        save_rule(
            self._made, self._engines(), rule, settings, project=project, basis=basis, by=self.me(), now_ms=_now()
        )

    def _engines(self) -> Engines:
        from monitor.ingest.engines import open_engines

        engines = open_engines(self._settings)
        engines.follow(self._store.saved_rules)
        return engines

    def rules_history(self, project: str | None) -> tuple[RulesVersion, ...]:
        return self._store.rules_history(project)


def _now() -> int:
    return time_ns() // 1_000_000
