"""Tokens, audit log and rules of a server, over its public API."""

# ruff: noqa: D102  # the methods are documented once, in `Api`

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Access, AuditEntry, Caller, TokenInfo
from monitor.domain.rules_version import RulesVersion, SavedRule
from monitor.reader.answers import Asking, described, listed
from monitor.reader.remote_alerts import segment


class RemoteAccess(Asking):
    """The tokens, the audit log and the rules of a server."""

    def me(self) -> Caller:
        return Caller.from_dict(self._object("/me"))

    def tokens(self) -> tuple[TokenInfo, ...]:
        return tuple(TokenInfo.from_dict(described(row)) for row in listed(self._object("/tokens")["tokens"]))

    def create_token(
        self, name: str, role: Access, project: str | None, expires_ms: int | None
    ) -> tuple[TokenInfo, str]:
        wanted = {"name": name, "role": str(role), "project": project, "expires_ms": expires_ms}
        made = described(self._change("POST", "/tokens", wanted))
        token = str(made.pop("token"))
        return TokenInfo.from_dict(made), token

    def revoke_token(self, ref: str) -> TokenInfo:
        return TokenInfo.from_dict(described(self._change("DELETE", f"/tokens/{segment(ref)}")))

    def audit(self, limit: int, offset: int) -> tuple[int, tuple[AuditEntry, ...]]:
        data = self._object("/audit", {"limit": limit, "offset": offset})
        return int(data["total"]), tuple(AuditEntry.from_dict(described(row)) for row in listed(data["entries"]))

    def rules(self, project: str | None) -> Mapping[str, object]:
        return described(self._object("/rules", {"project": project})["overrides"])

    def saved_rules(self, project: str | None) -> tuple[SavedRule, ...]:
        rows = listed(self._object("/rules", {"project": project})["saved"])
        return tuple(SavedRule.from_dict(described(row)) for row in rows)

    def save_rule(self, rule: str, settings: Mapping[str, object], project: str | None, basis: str | None) -> None:
        path = f"/rules/{segment(rule)}" + ("" if project is None else f"?project={segment(project)}")
        if settings:
            self._change("PUT", path, {"settings": dict(settings), "basis": basis})
        else:
            self._change("DELETE", path)

    def rules_history(self, project: str | None) -> tuple[RulesVersion, ...]:
        rows = listed(self._object("/rules/history", {"project": project})["versions"])
        return tuple(RulesVersion.from_dict(described(row)) for row in rows)
