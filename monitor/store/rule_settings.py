"""Saved settings of rules, and the history of the rules in the audit log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select, true

from monitor.domain import AuditEntry, Caller
from monitor.domain.rules_version import RULES_SET, RulesVersion, SavedRule
from monitor.errors import WireError
from monitor.limits import MAX_NAME
from monitor.store.database import Database
from monitor.store.runs.audit import audit_row
from monitor.store.sql.schema import AUDIT, RULES

MAX_SAVED: Final = 10_000
"""Most rules with saved settings, over all projects."""
MAX_SETTINGS: Final = 20_000
"""Most characters of a rule's settings as JSON."""


class RuleSettings(Database):
    """The store's methods for the settings of rules."""

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
            by: who saves them, for the audit log.
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
