"""Saved views of the dashboard: the query string of a page, under a name."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from monitor.domain import SavedView
from monitor.errors import WireError
from monitor.limits import MAX_NAME, label, text
from monitor.store.sql.schema import VIEWS

MAX_VIEWS: Final = 500
"""Most views over all pages, per project, or for those who see all projects."""
MAX_QUERY: Final = 20_000
"""Most characters in a query string."""
_SHOWN: Final = [column for column in VIEWS.c if column.name != "project"]


def saved(connection: Connection, page: str, within: str | None) -> tuple[SavedView, ...]:
    """The views of a page, by name: those of a project, or of those who see all projects."""
    mine = _of(within, page)
    rows = connection.execute(select(*_SHOWN).where(*mine).order_by(VIEWS.c.name)).mappings()
    return tuple(SavedView(**row) for row in rows)


def save(connection: Connection, view: SavedView, within: str | None) -> SavedView:
    """Store a view, replacing one of the same page and name.

    Raises:
        WireError: it has no name, is too long, or there are too many already.
    """
    name = label(view.name)
    if not name or not label(view.page):
        raise WireError("name", f"a view needs a name of 1 to {MAX_NAME} characters")
    if len(view.query) > MAX_QUERY:
        raise WireError("query", f"has {len(view.query)} characters, at most {MAX_QUERY} are kept")
    kept = SavedView(page=view.page[:32], name=name, query=text(view.query), saved_ms=view.saved_ms)
    forget(connection, kept.page, name, within)
    mine = VIEWS.c.project == (within or "")  # counted per project, so that none can use up the others' share
    if connection.execute(select(func.count()).select_from(VIEWS).where(mine)).scalar_one() >= MAX_VIEWS:
        raise WireError("name", f"there are {MAX_VIEWS} views already; delete one first")
    connection.execute(VIEWS.insert().values(project=within or "", **kept.to_dict()))
    return kept


def forget(connection: Connection, page: str, name: str, within: str | None) -> bool:
    """Delete a view. False if there was none."""
    return connection.execute(VIEWS.delete().where(*_of(within, page), VIEWS.c.name == name)).rowcount == 1


def _of(within: str | None, page: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return VIEWS.c.project == (within or ""), VIEWS.c.page == page
