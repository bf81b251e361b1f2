"""`monitor db`: the database schema."""

from __future__ import annotations

import typer

from monitor import settings as settings_
from monitor.cli.options import JSON, URL
from monitor.errors import SettingsError
from monitor.screen import emit, escape


def register(app: typer.Typer) -> typer.Typer:
    """Add the commands of this file, and return their group."""
    group = typer.Typer(no_args_is_help=True, help="Upgrade, check and copy the database.")
    group.command("upgrade")(upgrade)
    group.command("downgrade")(downgrade)
    group.command("check")(check)
    app.add_typer(group, name="db", rich_help_panel="Manage")
    return group


def upgrade(
    url: str = URL, revision: str = typer.Option("head", help="Revision to upgrade to."), json: bool = JSON
) -> None:
    """Upgrade the database to the schema of this version, or create a new database."""
    from monitor.store.sql import migrate

    target = own_database(url, "monitor db upgrade")
    if target == settings_.load().store_url and target.startswith("sqlite"):
        settings_.load().make_dir()
    before = migrate.current(target)
    migrate.upgrade(target, revision)
    _report("upgraded", target, before, json)


def downgrade(
    revision: str = typer.Argument(
        ..., help='Revision to go back to, such as "0001"; "base" drops all tables of the monitor.'
    ),
    url: str = URL,
    json: bool = JSON,
) -> None:
    """Downgrade the database to an older schema."""
    from monitor.store.sql import migrate
    from monitor.store.sql.connect import parse_url
    from monitor.store.sql.version import refuse_missing

    target = own_database(url, "monitor db downgrade")
    refuse_missing(parse_url(target))
    before = migrate.current(target)
    migrate.downgrade(target, revision)
    _report("downgraded", target, before, json)


def check(url: str = URL, json: bool = JSON) -> None:
    """Print the database's schema revision. Exit status 2 if it does not match this version."""
    from monitor.store import Store
    from monitor.store.sql import migrate

    target = own_database(url, "monitor db check")
    Store.open(target, create=False).close()
    _report("checked", target, migrate.current(target), json)


def own_database(url: str | None, command: str) -> str:
    """The database that a command works on: the given one, else that of the settings.

    Args:
        command: the command, for the error.

    Raises:
        SettingsError: runs go to a server, whose database is not accessible from here.
    """
    loaded = settings_.load()
    if url is None and loaded.database_url is None and loaded.server_url is not None:
        problem = f"{loaded.server_url} keeps the runs, and `{command}` works on a database"
        raise SettingsError("server_url", problem, "run it where the server runs, or name the database with --url")
    return url or loaded.store_url


def _report(done: str, url: str, before: str | None, json: bool) -> None:
    from monitor.store.sql import migrate
    from monitor.store.sql.connect import parse_url
    from monitor.store.sql.connect import shown as without_password

    after = migrate.current(url)
    shown = without_password(parse_url(url))
    change = f"at schema {after}" if before == after else f"from schema {before or 'none'} to {after or 'none'}"
    emit({"url": shown, "before": before, "after": after}, f"{done}: {escape(shown)}, {escape(change)}", json)
