"""`monitor tokens` and `monitor audit`: who may use a server, and who changed what."""

from __future__ import annotations

import time

import typer

from monitor.cli.options import JSON, SERVER, URL
from monitor.cli.reader import open_api
from monitor.domain import Access, TokenInfo
from monitor.domain.formats import number
from monitor.screen import ago, emit, escape, out, table_of

_DAY_MS = 86_400_000


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="Manage access tokens.")
    group.command("create")(create)
    group.command("ls")(ls)
    group.command("revoke")(revoke)
    app.add_typer(group, name="tokens", rich_help_panel="Manage")
    app.command(rich_help_panel="Manage")(audit)


def create(
    name: str = typer.Argument(..., help="Name of the token, such as the machine or person that uses it."),
    role: Access = typer.Option(
        ..., help="viewer reads; logger also sends points; editor also stops and deletes; admin also manages tokens."
    ),
    project: str = typer.Option(None, help="The only project it can access; default: all."),
    days: float = typer.Option(None, min=0.0, help="Days until it expires; default: never."),
    url: str = URL,
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Create a token and print it once. As soon as one token exists, the server requires one."""
    expires_ms = None if days is None else int(_now() + days * _DAY_MS)
    with open_api(server, url) as api:
        made, token = api.create_token(name, role, project=project, expires_ms=expires_ms)
    note = f"[dim]{escape(_scope(made))}; set it as MONITOR_TOKEN, it is not shown again[/]"
    emit({"token": token, **made.to_dict()}, f"{escape(token)}\n{note}", json)


def ls(url: str = URL, server: str = SERVER, json: bool = JSON) -> None:
    """List tokens without their secrets, newest first."""
    with open_api(server, url) as api:
        found = api.tokens()
    table = table_of("id", "name", "role", "project", "created", "last used", "state")
    for token in found:
        used = "never" if token.used_ms is None else ago(token.used_ms)
        row = (token.id, token.name, str(token.role), token.project or "all", ago(token.created_ms), used)
        table.add_row(*map(escape, row), token.state(_now()))
    text = table if found else "There are no tokens; `monitor tokens create NAME --role ROLE` makes one."
    emit({"tokens": [token.to_dict() for token in found]}, text, json)


def revoke(
    token: str = typer.Argument(..., help="Id or name of the token."),
    url: str = URL,
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Revoke a token. Servers refuse it within two seconds."""
    with open_api(server, url) as api:
        found = api.revoke_token(token)
    emit(found.to_dict(), f"revoked {escape(found.name)} [dim]{found.id}[/]", json)


def audit(
    limit: int = typer.Option(50, min=1, max=1000, help="Number of entries to print, at most."),
    offset: int = typer.Option(0, min=0, help="Number of newest entries to skip."),
    url: str = URL,
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Print who stopped, deleted or restored runs or changed tokens, newest first."""
    with open_api(server, url) as api:
        total, entries = api.audit(limit, offset)
    table = table_of("when", "who", "what", "of", "detail", "from")
    for entry in entries:
        row = (entry.who, entry.action, entry.target[:16], entry.detail, entry.address or "this machine")
        table.add_row(ago(entry.time_ms), *map(escape, row))
    text = table if entries else "Nothing was stopped, deleted or restored, and no token was changed."
    emit({"total": total, "entries": [entry.to_dict() for entry in entries]}, text, json)
    if not json and entries and total > offset + len(entries):
        out.print(f"[dim]{number(len(entries))} of {number(total)}; --offset {offset + len(entries)} continues[/]")


def _scope(token: TokenInfo) -> str:
    return f"{token.role} of {'all projects' if token.project is None else f'project {token.project}'}"


def _now() -> int:
    return time.time_ns() // 1_000_000
