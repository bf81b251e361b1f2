"""Tokens and the audit log: the only rows that belong to no run."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, func, or_, select

from monitor.domain import Access, AuditEntry, Caller, TokenInfo, inert
from monitor.errors import TokenNotFound, WireError
from monitor.limits import MAX_NAME
from monitor.store.database import Database
from monitor.store.runs.audit import record
from monitor.store.sql.schema import AUDIT, TOKENS

PREFIX: Final = "lm_"
"""Prefix of every token, so that secret scanners find it in code and logs."""
MAX_TOKENS: Final = 10_000
"""Most tokens that a server knows; all are held in memory."""
_SHOWN: Final = tuple(column for column in TOKENS.c if column.name != "digest")


class Tokens(Database):
    """The store's methods for tokens and the audit log."""

    def create_token(
        self, name: str, role: Access, *, project: str | None, expires_ms: int | None, now_ms: int, by: Caller
    ) -> tuple[TokenInfo, str]:
        """Create a token and store its digest. The token itself is stored nowhere.

        Args:
            name: what people call it; 1 to 250 printable characters.
            project: the only project that it reaches; None for all.
            expires_ms: when it expires, later than now; None for never.

        Returns:
            The token's description, and the token, which cannot be read again.

        Raises:
            WireError: the name, the project or the time cannot be used; `field` names it.
        """
        for field, text in (("name", name), ("project", project)):
            if text is not None and (not text or len(text) > MAX_NAME or text != text.strip() or inert(text) != text):
                raise WireError(field, f"must have 1 to {MAX_NAME} printable characters, without blanks around them")
        if expires_ms is not None and not now_ms < expires_ms < 2**62:
            raise WireError("expires_ms", "must lie in the future")
        token_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        made = TokenInfo(id=token_id, name=name, role=role, project=project, created_ms=now_ms, expires_ms=expires_ms)
        token = f"{PREFIX}{token_id}_{secret}"
        with self._change() as connection:
            connection.execute(TOKENS.insert(), {**made.to_dict(), "digest": digest_of(token)})
            _audit(connection, "token.create", made, by, now_ms)
        return made, token

    def tokens(self, *, within: str | None = None) -> tuple[TokenInfo, ...]:
        """All tokens, newest first, including revoked and expired ones."""
        query = select(*_SHOWN).order_by(TOKENS.c.created_ms.desc(), TOKENS.c.id)
        if within is not None:
            query = query.where(TOKENS.c.project == within)
        with self._read() as connection:
            return tuple(TokenInfo.from_dict(dict(row)) for row in connection.execute(query).mappings())

    def has_tokens(self) -> bool:
        """True if a token was ever created, even if it is revoked by now."""
        with self._read() as connection:
            return connection.execute(select(TOKENS.c.id).limit(1)).first() is not None

    def digests(self, now_ms: int) -> dict[str, tuple[TokenInfo, str]]:
        """The newest `MAX_TOKENS` tokens that are valid now, with their digests, by id."""
        valid = (TOKENS.c.revoked_ms.is_(None), or_(TOKENS.c.expires_ms.is_(None), TOKENS.c.expires_ms > now_ms))
        query = select(TOKENS).where(*valid).order_by(TOKENS.c.created_ms.desc()).limit(MAX_TOKENS)
        with self._read() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        found = [(str(row.pop("digest")), TokenInfo.from_dict(row)) for row in rows]
        return {token.id: (token, digest) for digest, token in found}

    def revoke_token(self, ref: str, *, now_ms: int, by: Caller, within: str | None = None) -> TokenInfo:
        """Revoke a token. One that is already revoked stays unchanged.

        Args:
            ref: its id, or the name of one valid token.
        """
        with self._change() as connection:
            found = _token(connection, ref, within)
            if found.revoked_ms is not None:
                return found
            connection.execute(TOKENS.update().where(TOKENS.c.id == found.id).values(revoked_ms=now_ms))
            _audit(connection, "token.revoke", found, by, now_ms)
        return replace(found, revoked_ms=now_ms)

    def sweep_tokens(self, *, before_ms: int, dry_run: bool = False) -> int:
        """Delete the tokens that expired or were revoked before a time; how many.

        The newest token stays in any case: a server that ever had one asks for one (`has_tokens`).
        """
        newest = select(TOKENS.c.id).order_by(TOKENS.c.created_ms.desc(), TOKENS.c.id).limit(1).scalar_subquery()
        ended = or_(TOKENS.c.expires_ms < before_ms, TOKENS.c.revoked_ms < before_ms)
        if dry_run:
            with self._read() as connection:
                count = select(func.count()).select_from(TOKENS).where(ended, TOKENS.c.id != newest)
                return int(connection.execute(count).scalar_one())
        with self._change() as connection:
            return connection.execute(TOKENS.delete().where(ended, TOKENS.c.id != newest)).rowcount

    def note_token_use(self, used: Mapping[str, int]) -> None:
        """Record when tokens were last used.

        Args:
            used: token id -> milliseconds since the epoch.
        """
        with self._change() as connection:
            for token_id, used_ms in sorted(used.items()):
                newer = or_(TOKENS.c.used_ms.is_(None), TOKENS.c.used_ms < used_ms)
                connection.execute(TOKENS.update().where(TOKENS.c.id == token_id, newer).values(used_ms=used_ms))

    def audit(self, *, limit: int = 100, offset: int = 0, within: str | None = None) -> tuple[int, list[AuditEntry]]:
        """The total number of entries of the audit log, and one page of them, newest first."""
        where = [] if within is None else [AUDIT.c.project == within]
        columns = [column for column in AUDIT.c if column.name != "id"]
        query = select(*columns).where(*where).order_by(AUDIT.c.id.desc()).limit(limit).offset(offset)
        with self._read() as connection:
            total = connection.execute(select(func.count()).select_from(AUDIT).where(*where)).scalar_one()
            return total, [AuditEntry(**row) for row in connection.execute(query).mappings()]


def digest_of(token: str) -> str:
    """The stored form of a token. A fast hash is enough because tokens are random."""
    return hashlib.sha256(token.encode()).hexdigest()


def id_of(token: str) -> str | None:
    """The id in a token; None if `create_token` did not make it.

    >>> id_of("lm_0123456789abcdef_secret"), id_of("another")
    ('0123456789abcdef', None)
    """
    parts = token.split("_", 2)
    return parts[1] if token.startswith(PREFIX) and len(parts) == 3 else None


def _audit(connection: Connection, action: str, token: TokenInfo, by: Caller, now_ms: int) -> None:
    scope = "all projects" if token.project is None else f"project {token.project}"
    detail = f"{token.name}: {token.role} of {scope}"
    record(connection, action, token.id, by, now_ms, project=token.project, detail=detail)


def _token(connection: Connection, ref: str, within: str | None) -> TokenInfo:
    query = select(*_SHOWN).where(or_(TOKENS.c.id == ref, TOKENS.c.name == ref))
    if within is not None:
        query = query.where(TOKENS.c.project == within)
    found = [TokenInfo.from_dict(dict(row)) for row in connection.execute(query).mappings()]
    exact = [token for token in found if token.id == ref] or [t for t in found if t.revoked_ms is None]
    if len(exact) != 1:
        raise TokenNotFound(ref, several=len(exact) > 1)
    return exact[0]
