"""The part of `Api` for access and rules: the caller, tokens, the audit log, settings of rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from monitor.domain import Access, AuditEntry, Caller, TokenInfo
from monitor.domain.rules_version import RulesVersion, SavedRule
from monitor.http.answers import understood
from monitor.reader.decoding import decode, one_of
from monitor.reader.server import segment
from monitor.reader.source import Source

if TYPE_CHECKING:
    from monitor.ingest.engines import Engines
    from monitor.rules import RulesConfig


class AccessApi:
    """The part of `Api` for access and rules."""

    _source: Source

    def me(self) -> Caller:
        """The identity and role of this reader, according to the server.

        Raises:
            Unauthorized: the server requires a token and does not know this one.
        """
        if server := self._source.server:
            with understood(server.address):
                return Caller.from_dict(server.raw("/me"))
        return self._source.me()

    def tokens(self) -> tuple[TokenInfo, ...]:
        """All tokens without their secrets, newest first. Needs the admin role, as do the other calls on tokens."""
        if server := self._source.server:
            return server.ask(tuple[TokenInfo, ...], "/tokens", part="tokens")
        return self._source.store.tokens()

    def create_token(
        self, name: str, role: Access | str, *, project: str | None = None, expires_ms: int | None = None
    ) -> tuple[TokenInfo, str]:
        """Create a token.

        Args:
            role: "viewer", "logger", "editor" or "admin".
            project: the only project it can access; None: all.
            expires_ms: when it expires, in ms since the Unix epoch; None: never.

        Returns:
            Its description, and the token itself, which cannot be read again.

        Raises:
            WireError: there is no such role.
        """
        access = Access(one_of("role", role, tuple(Access)))
        wanted = {"role": access, "project": project, "expires_ms": expires_ms}
        if server := self._source.server:
            with understood(server.address):
                made = server.raw("/tokens", method="POST", body={"name": name, **wanted})
                return decode(TokenInfo, made), str(made["token"])
        # A server's first token may be created before its first start.
        return self._source.made.create_token(
            name, access, project=project, expires_ms=expires_ms, **self._source.stamp()
        )

    def revoke_token(self, ref: str) -> TokenInfo:
        """Revoke a token.

        Args:
            ref: its id, or its name if no other valid token has it.
        """
        if server := self._source.server:
            return server.ask(TokenInfo, f"/tokens/{segment(ref)}", method="DELETE")
        return self._source.store.revoke_token(ref, **self._source.stamp())

    def audit(self, limit: int = 100, offset: int = 0) -> tuple[int, tuple[AuditEntry, ...]]:
        """The audit log: who changed what, newest first.

        Returns:
            The number of entries in the log, and the requested ones.
        """
        if server := self._source.server:
            with understood(server.address):
                data = server.raw("/audit", {"limit": limit, "offset": offset})
                return int(data["total"]), decode(tuple[AuditEntry, ...], data["entries"])
        total, entries = self._source.store.audit(limit=limit, offset=offset)
        return total, tuple(entries)

    def rules(self, project: str | None = None) -> RulesConfig:
        """The rules in effect: the settings of the server or of this machine, under what is saved in the store.

        Args:
            project: the project; None: the rules of projects without rules of their own.

        Raises:
            RulesError: a rule is not installed here, or a setting is invalid.
        """
        from monitor.rules import RulesConfig

        if server := self._source.server:
            found = server.ask(dict[str, object], "/rules", {"project": project}, part="overrides")
            return RulesConfig.from_mapping(found)
        from monitor.ingest.saved_rules import rules_of

        return RulesConfig.from_mapping(rules_of(self._engines(), project).overrides)

    def saved_rules(self, project: str | None = None) -> tuple[SavedRule, ...]:
        """The settings of rules that are saved in the store, for a project and for all.

        Args:
            project: the project; None: only what is saved for all.
        """
        if server := self._source.server:
            return server.ask(tuple[SavedRule, ...], "/rules", {"project": project}, part="saved")
        from monitor.ingest.saved_rules import concerning

        return concerning(self._engines(), project)

    def save_rule(
        self, rule: str, settings: Mapping[str, object], project: str | None = None, *, basis: str | None = None
    ) -> None:
        """Save settings of a rule, in place of those saved before. They go before those of the settings file.

        Args:
            rule: its name.
            settings: as in the rule's table in `monitor.toml`; empty to forget what is saved.
            project: where they apply; None: in every project.
            basis: `RulesConfig.hash` of the rules that you saw; if they are others by now, nothing is saved.

        Raises:
            RulesError: the rule or a setting is not known, or not valid.
            RulesChanged: the rules are no longer those of `basis`.
            Forbidden: a project's rules need the role editor, those of all projects the role admin.
        """
        source = self._source
        if source.server:
            path, query = f"/rules/{segment(rule)}", {"project": project}
            if settings:
                source.server.raw(path, query, method="PUT", body={"settings": dict(settings), "basis": basis})
            else:
                source.server.raw(path, query, method="DELETE")
            return
        from monitor.ingest.saved_rules import save_rule

        save_rule(source.made, self._engines(), rule, settings, project=project, basis=basis, **source.stamp())

    def rules_history(self, project: str | None = None) -> tuple[RulesVersion, ...]:
        """Versions of the rules, newest first: each start of a server with others, each saved change.

        Args:
            project: versions that apply to this project; None: those of every project.
        """
        if server := self._source.server:
            return server.ask(tuple[RulesVersion, ...], "/rules/history", {"project": project}, part="versions")
        return self._source.store.rules_history(project)

    def _engines(self) -> Engines:
        from monitor.ingest.engines import open_engines

        engines = open_engines(self._source.settings)
        engines.follow(self._source.store.saved_rules)
        return engines
