"""The store's methods for what people save: views of the dashboard, and settings of rules with their history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select, true

from monitor.domain import AuditEntry, Caller, SavedView
from monitor.domain.rules_version import RULES_SET, RulesVersion, SavedRule
from monitor.errors import WireError
from monitor.limits import MAX_NAME, label, text
from monitor.store.database import Database
from monitor.store.runs.audit import audit_row, record
from monitor.store.sql.schema import AUDIT, RULES, VIEWS

MAX_SAVED: Final = 10_000
"""Most rules with saved settings, over all projects."""
MAX_SETTINGS: Final = 20_000
"""Most characters of a rule's settings as JSON."""
MAX_VIEWS: Final = 500
"""Most views over all pages, per project, or for those who see all projects."""
MAX_QUERY: Final = 20_000
"""Most characters in a view's query string."""
_SHOWN: Final = [column for column in VIEWS.c if column.name != "project"]


class Saved(Database):
    """What people save in a store."""

    def views(self, page: str, *, within: str | None = None) -> tuple[SavedView, ...]:
        """The saved views of a dashboard page, by name: a project's, or those of people who see all projects."""
        query = select(*_SHOWN).where(*_views_of(within, page)).order_by(VIEWS.c.name)
        with self._read() as connection:
            return tuple(SavedView(**row) for row in connection.execute(query).mappings())

    def save_view(self, view: SavedView, *, by: Caller, within: str | None = None) -> SavedView:
        """Save a view of the dashboard, replacing one of the same page and name.

        Raises:
            WireError: it has no name, is too long, or there are too many.
        """
        name = label(view.name)
        if not name or not label(view.page):
            raise WireError("name", f"a view needs a name of 1 to {MAX_NAME} characters")
        if len(view.query) > MAX_QUERY:
            raise WireError("query", f"has {len(view.query)} characters, at most {MAX_QUERY} are kept")
        kept = SavedView(page=view.page[:32], name=name, query=text(view.query), saved_ms=view.saved_ms)
        mine = VIEWS.c.project == (within or "")  # counted per project, so that none can use up the others' share
        with self._change() as connection:
            connection.execute(VIEWS.delete().where(*_views_of(within, kept.page), VIEWS.c.name == name))
            if connection.execute(select(func.count()).select_from(VIEWS).where(mine)).scalar_one() >= MAX_VIEWS:
                raise WireError("name", f"there are {MAX_VIEWS} views already; delete one first")
            connection.execute(VIEWS.insert().values(project=within or "", **kept.to_dict()))
            record(connection, "view.save", f"{kept.page}/{name}", by, kept.saved_ms, project=within)
        return kept

    def forget_view(self, page: str, name: str, *, now_ms: int, by: Caller, within: str | None = None) -> None:
        """Delete a saved view if it exists."""
        with self._change() as connection:
            forget = VIEWS.delete().where(*_views_of(within, page), VIEWS.c.name == name)
            if connection.execute(forget).rowcount == 1:
                record(connection, "view.delete", f"{page}/{name}", by, now_ms, project=within)

    def saved_rules(self) -> tuple[SavedRule, ...]:
        """All saved settings, those for every project first."""
        query = select(RULES).order_by(RULES.c.project, RULES.c.rule)
        with self._read() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return tuple(
            SavedRule.from_dict({**row, "project": row["project"] or None, "settings": json.loads(row["settings"])})
            for row in rows
        )

    def save_rule(self, saved: SavedRule, *, by: Caller, versions: Sequence[RulesVersion]) -> None:
        """Save the settings of a rule in place of those saved before; without settings, forget those.

        Args:
            saved: valid settings; see `RulesConfig.from_mapping`.
            versions: the rules with the change, of its project and of every other one that it concerns.

        Raises:
            WireError: the settings or the project's name are too long, or there are too many.
        """
        settings = json.dumps(saved.settings, sort_keys=True)
        if len(settings) > MAX_SETTINGS:
            raise WireError("settings", f"have {len(settings)} characters, at most {MAX_SETTINGS} are kept")
        if saved.project is not None and not 0 < len(saved.project) <= MAX_NAME:
            raise WireError("project", f"must have 1 to {MAX_NAME} characters")
        mine = (RULES.c.project == (saved.project or ""), RULES.c.rule == saved.rule)
        with self._change() as connection:
            connection.execute(RULES.delete().where(*mine))
            if saved.settings:
                if connection.execute(select(func.count()).select_from(RULES)).scalar_one() >= MAX_SAVED:
                    raise WireError("rule", f"{MAX_SAVED} rules have saved settings already; reset one first")
                row = {**saved.to_dict(), "project": saved.project or "", "settings": settings}
                connection.execute(RULES.insert(), row)
            for version in versions:
                if version.project == saved.project:  # even if the change has no effect
                    entry = replace(version.entry(), address=by.address)
                    connection.execute(AUDIT.insert(), audit_row(entry))
                else:
                    _note(connection, version)

    def note_rules(self, found: RulesVersion) -> bool:
        """Record the rules that a server starts with. False if they are unchanged since the last record."""
        with self._change() as connection:
            return _note(connection, found)

    def rules_history(self, project: str | None = None, *, limit: int = 100) -> tuple[RulesVersion, ...]:
        """The rules that servers have started with, newest first.

        Args:
            project: only those of this project and the global ones; None for every project.
            limit: most versions returned.
        """
        where = true() if project is None else or_(AUDIT.c.project.is_(None), AUDIT.c.project == project)
        with self._read() as connection:
            rows = connection.execute(_rules(where).limit(limit)).mappings()
            return tuple(RulesVersion.of_entry(AuditEntry(**row)) for row in rows)


def _note(connection: Connection, found: RulesVersion) -> bool:
    last = connection.execute(_rules(AUDIT.c.project.is_not_distinct_from(found.project)).limit(1)).mappings()
    known = [RulesVersion.of_entry(AuditEntry(**row)) for row in last]
    if known and (known[0].hash, known[0].overrides) == (found.hash, found.overrides):
        return False
    connection.execute(AUDIT.insert(), audit_row(found.entry()))
    return True


def _rules(where: ColumnElement[bool]) -> Select[Any]:
    columns = [column for column in AUDIT.c if column.name != "id"]
    return select(*columns).where(AUDIT.c.action == RULES_SET, where).order_by(AUDIT.c.id.desc())


def _views_of(within: str | None, page: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return VIEWS.c.project == (within or ""), VIEWS.c.page == page
