"""Who may do what: access levels, tokens, and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from monitor.domain.plain import Row


class Access(StrEnum):
    """What a token may do. Each level includes those before it."""

    VIEWER = "viewer"
    """Read runs."""
    LOGGER = "logger"
    """Send points: what a training process needs."""
    EDITOR = "editor"
    """Stop, delete and restore runs."""
    ADMIN = "admin"
    """Manage tokens and read the audit log."""

    def covers(self, needed: Access) -> bool:
        """True if this level includes the other one.

        >>> Access.EDITOR.covers(Access.VIEWER), Access.LOGGER.covers(Access.ADMIN)
        (True, False)
        """
        return _RANK[self] >= _RANK[needed]


_RANK: Final = {access: rank for rank, access in enumerate(Access)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a request.

    Attributes:
        name: of the token; "local" if the server requires none.
        access: what the caller may do.
        project: the only project that the caller sees; None for all.
        address: where the request comes from; "" if unknown.
        asked: True if the server required a token. Otherwise everybody who reaches it is this caller.
    """

    name: str
    access: Access
    project: str | None = None
    address: str = ""
    asked: bool = True

    def to_dict(self) -> dict[str, object]:
        """The caller as JSON data, without the address."""
        return {"name": self.name, "role": str(self.access), "project": self.project, "asked": self.asked}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Caller:
        """The inverse of `to_dict`."""
        project = data.get("project")
        return cls(
            name=str(data["name"]),
            access=Access(str(data["role"])),
            project=None if project is None else str(project),
            asked=data.get("asked") is not False,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo(Row):
    """A token without its secret.

    Attributes:
        id: the token's second part, which identifies it.
        name: what people call it.
        role: what it may do.
        project: the only project that it reaches; None for all.
        created_ms: milliseconds since the epoch, like all times.
        expires_ms: when it expires; None for never.
        revoked_ms: when it was revoked; None if it was not.
        used_ms: when it was last used, to the minute; None for never.
    """

    id: str
    name: str
    role: Access
    project: str | None
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None
    used_ms: int | None = None

    def valid(self, now_ms: int) -> bool:
        """True if the token is neither revoked nor expired."""
        return self.state(now_ms) == "valid"

    def state(self, now_ms: int) -> str:
        """One of "valid", "expired" and "revoked"."""
        if self.revoked_ms is not None:
            return "revoked"
        return "valid" if self.expires_ms is None or now_ms < self.expires_ms else "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry(Row):
    """A change made by a person, or by a program with a token.

    Attributes:
        time_ms: milliseconds since the epoch.
        who: the token's name, or the user of this machine.
        action: such as "run.stop" or "token.create".
        target: the id of the run or token.
        project: the project that it belongs to; None if it concerns all.
        address: where the request came from; "" for this machine.
        detail: what helps to understand it, such as the run's name.
    """

    time_ms: int
    who: str
    action: str
    target: str
    project: str | None = None
    address: str = ""
    detail: str = ""
