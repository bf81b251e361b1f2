"""The run list: filtered, sorted and paginated in SQL."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    String,
    and_,
    false,
    func,
    or_,
    select,
    type_coerce,
)

from monitor.domain import Extremes, RunInfo, RunPage, RunQuery
from monitor.errors import RunNotFound, WireError, suggestion
from monitor.store.points.series import sparklines_of
from monitor.store.runs import query_sql, rows
from monitor.store.runs.query import parse
from monitor.store.sql.schema import RUNS, SERIES

SORT_KEYS: Final[Mapping[str, ColumnElement[Any]]] = {
    "created": RUNS.c.created_ms,
    "name": RUNS.c.name,
    "project": RUNS.c.project,
    "group": RUNS.c.group,
    "status": RUNS.c.status,
    "verdict": RUNS.c.verdict,
    "action": RUNS.c.action,
    "last_step": RUNS.c.last_step,
    "heartbeat": RUNS.c.heartbeat_ms,
    "finished": RUNS.c.finished_ms,
    "train.last": RUNS.c.train_last,
    "train.best": RUNS.c.train_best,
    "val.last": RUNS.c.val_last,
    "val.best": RUNS.c.val_best,
    "goal": RUNS.c.goal_best,
    "goal.best": RUNS.c.goal_best,
    "goal.last": RUNS.c.goal_last,
    "gap": RUNS.c.gap,
    "half_life": RUNS.c.half_life,
}
MAX_LIMIT: Final = 1000
MAX_METRICS: Final = 50
"""Most series whose values are read along with the run list."""
MAX_WORDS: Final = 20
"""Most words in a search."""
MAX_SEARCH: Final = 1000
"""Most characters in a search."""
_SEARCHED: Final = RUNS.c.name + " " + RUNS.c.project + " " + func.coalesce(RUNS.c.group, "")
"""One text to search. Search words contain no blanks, so none can match across two columns."""
_HEX: Final = re.compile(r"[0-9a-f]{1,32}")
_STORED: Final = RUNS.c.deleted_ms.is_(None)


def list_runs(connection: Connection, wanted: RunQuery, within: str | None = None) -> RunPage:
    """One page of the run list; see `Store.runs`."""
    if not 0 <= wanted.limit <= MAX_LIMIT:
        raise WireError("limit", f"must lie between 0 and {MAX_LIMIT}, got {wanted.limit}")
    if wanted.offset < 0:
        raise WireError("offset", f"must not be negative, got {wanted.offset}")
    where = and_(_STORED, *_within(within), *_filters(wanted))
    order, sorting, value = wanted.order, _order(wanted.order), None
    if wanted.query:
        parsed, dialect = parse(wanted.query), connection.dialect.name
        asked = query_sql.condition(parsed, dialect)
        where = where if asked is None else and_(where, asked)
        sorting = [*query_sql.order(parsed, dialect), *sorting]
        value = query_sql.sorted_value(parsed, dialect)
        if parsed.order:
            first, down = parsed.order[0]
            order = f"{'-' if down else ''}{first.name}"
    total = connection.execute(select(func.count()).select_from(RUNS).where(where)).scalar_one()
    columns = (RUNS.c.run_id,) if value is None else (RUNS.c.run_id, value)
    page = select(*columns).where(where).order_by(*sorting).limit(wanted.limit).offset(wanted.offset)
    found = connection.execute(page).all()
    known = by_ids(connection, [row[0] for row in found])  # read now, so that the database does not sort wide rows
    items = tuple(known[row[0]] for row in found)
    values = {} if value is None else {row[0]: row[1] for row in found}
    width = wanted.sparkline
    curves = sparklines(connection, [run.id for run in items], width) if width and items else {}
    metrics = _metrics(connection, [run.id for run in items], wanted.metrics) if wanted.metrics and items else {}
    return RunPage(items=items, total=total, sparklines=curves, order=order, sorted_by=values, metrics=metrics)


def _metrics(connection: Connection, run_ids: Sequence[str], keys: Sequence[str]) -> dict[str, dict[str, Extremes]]:
    """Last value and extremes of some series of each run, if the run has them."""
    if len(keys) > MAX_METRICS:
        raise WireError("metrics", f"at most {MAX_METRICS} series are read with a list of runs, got {len(keys)}")
    names = ("last", "min", "min_step", "max", "max_step")
    query = select(SERIES.c.run_id, SERIES.c.key, *(SERIES.c[name] for name in names))
    found: dict[str, dict[str, Extremes]] = {}
    for row in connection.execute(query.where(SERIES.c.run_id.in_(run_ids), SERIES.c.key.in_(keys))):
        found.setdefault(row.run_id, {})[row.key] = Extremes(**{name: getattr(row, name) for name in names})
    return found


def by_ids(connection: Connection, run_ids: Sequence[str], within: str | None = None) -> dict[str, RunInfo]:
    """Runs by their full ids; those that are not here, or of another project, are left out."""
    query = select(*rows.INFO_COLUMNS).where(RUNS.c.run_id.in_(run_ids), _STORED, *_within(within))
    return {row["run_id"]: rows.run_info(row) for row in connection.execute(query).mappings()} if run_ids else {}


def _within(project: str | None) -> list[ColumnElement[bool]]:
    """The condition that limits a reader to one project."""
    return [] if project is None else [RUNS.c.project == project]


def list_deleted(connection: Connection, within: str | None = None) -> tuple[tuple[RunInfo, int], ...]:
    """The deleted runs that are not purged yet, with the time of deletion, latest first."""
    query = select(*rows.INFO_COLUMNS, RUNS.c.deleted_ms).where(~_STORED, *_within(within))
    found = connection.execute(query.order_by(RUNS.c.deleted_ms.desc(), RUNS.c.run_id)).mappings()
    return tuple((rows.run_info(row), row["deleted_ms"]) for row in found)


def find_run(connection: Connection, ref: str, *, deleted: bool = False, within: str | None = None) -> RunInfo:
    """A run by its id, a unique prefix of it, or a unique name.

    A name is the run's own, `project/name`, or that of the file that it was imported from.

    Args:
        deleted: True to search the deleted runs instead of the others.
        within: search only the runs of this project.
    """
    query = select(*rows.INFO_COLUMNS).where(~_STORED if deleted else _STORED, *_within(within))
    ref = ref.strip()
    exact = connection.execute(query.where(RUNS.c.run_id == ref)).mappings().one_or_none()
    if exact is not None:
        return rows.run_info(exact)
    for where in _meant_by(ref):
        found = connection.execute(query.where(where).limit(_NAMED + 1)).mappings().all()
        if len(found) == 1:
            return rows.run_info(found[0])
        if found:
            ids = ", ".join(f"{row['run_id'][:8]} in {row['project']}" for row in found[:_NAMED])
            more = " and more" if len(found) > _NAMED else ""
            raise RunNotFound(ref, deleted=deleted, several=f"several runs have this name; give an id: {ids}{more}")
    named = [row for row in _of_source(connection, ref, query) if ref]
    if len(named) == 1:
        return rows.run_info(named[0])
    several = "several runs were read from files of this name; give an id" if named else ""
    raise RunNotFound(
        ref, deleted=deleted, several=several, nearest="" if several else _nearest(connection, ref, query)
    )


def _nearest(connection: Connection, ref: str, query: Select[Any]) -> str:
    """The names of newest runs that are like one that no run has, with their ids."""
    if not _LEAST_LETTERS <= len(ref) <= _MOST_LETTERS or re.fullmatch(r"[0-9a-f]{32}", ref):
        return ""
    newest = query.with_only_columns(RUNS.c.name, RUNS.c.run_id).order_by(RUNS.c.created_ms.desc()).limit(_MOST_SOURCES)
    ids: dict[str, str] = {row[0]: row[1] for row in reversed(connection.execute(newest).all())}
    near = [name for name in ids if ref.lower() in name.lower()] or difflib.get_close_matches(ref, ids, n=3)
    return " or ".join(f"{name!r} ({ids[name][:8]})" for name in near[:3])


def _meant_by(ref: str) -> Iterator[ColumnElement[bool]]:
    """Conditions for what a user may mean by a name, the most exact first."""
    yield RUNS.c.name == ref
    if 0 < len(ref) < 32 and not set(ref) - set("0123456789abcdef"):
        yield RUNS.c.run_id.between(ref, ref + "g")
    project, _, name = ref.partition("/")
    if name:
        yield and_(RUNS.c.project == project, RUNS.c.name == name)


def _of_source(connection: Connection, ref: str, query: Select[Any]) -> list[RowMapping]:
    """Runs imported from a file of this name (with or without its folder and suffix), or from a file in this folder."""
    source = type_coerce(query_sql.source(connection.dialect.name), String)
    where = source.contains(ref, autoescape=True)
    found = connection.execute(query.add_columns(source.label("source")).where(where).limit(_MOST_SOURCES)).mappings()
    wanted = PurePath(ref)
    return [row for row in found if _is_meant(wanted, PurePath(row["source"]))]


def _is_meant(wanted: PurePath, source: PurePath) -> bool:
    ends = {source, source.with_suffix("")} if source.name else {source}
    return any(end.parts[-len(wanted.parts) :] == wanted.parts for end in (*ends, source.parent) if wanted.parts)


_NAMED: Final = 5
"""Runs of the same name that an error lists."""
_MOST_SOURCES: Final = 1000
"""Most runs with a similar source, or newest runs with a similar name, that are examined."""
_LEAST_LETTERS: Final = 3
"""Letters from which a name can be like another one by more than chance."""
_MOST_LETTERS: Final = 250
"""No name is longer."""


def list_projects(connection: Connection, within: str | None = None) -> tuple[tuple[str, int], ...]:
    """Projects by name, with their number of runs."""
    query = select(RUNS.c.project, func.count()).where(_STORED, *_within(within))
    query = query.group_by(RUNS.c.project).order_by(RUNS.c.project)
    return tuple((project, count) for project, count in connection.execute(query))


def _filters(wanted: RunQuery) -> list[ColumnElement[bool]]:
    found = []
    for column, value in ((RUNS.c.project, wanted.project), (RUNS.c.group, wanted.group)):
        if value is not None:
            found.append(column == value)
    for column, values in ((RUNS.c.status, wanted.status), (RUNS.c.verdict, wanted.verdict)):
        if values is not None:
            found.append(column.in_([values] if isinstance(values, str) else [str(v) for v in values]))
    for word in _words(wanted.search or ""):
        of_id = RUNS.c.run_id.startswith(word.lower()) if _HEX.fullmatch(word.lower()) else false()
        found.append(or_(_SEARCHED.icontains(word, autoescape=True), of_id))
    return found


def _words(search: str) -> list[str]:
    """The distinct words of a search."""
    words = list(dict.fromkeys(search.split()))
    if len(search) > MAX_SEARCH or len(words) > MAX_WORDS:
        said = f"{len(words)} words of together {len(search)} characters"
        raise WireError("search", f"at most {MAX_WORDS} words and {MAX_SEARCH} characters are looked for, got {said}")
    return words


def _order(order: str) -> list[ColumnElement[Any]]:
    name = order.removeprefix("-")
    column = SORT_KEYS.get(name)
    if column is None:
        raise WireError("order", f"cannot sort by {name!r}; {suggestion(name, SORT_KEYS)}")
    down = order.startswith("-")
    if name in query_sql.GOALS:
        return [*query_sql.by_goal(column, best_first=down), RUNS.c.run_id]
    keys: list[ColumnElement[Any]] = [] if name in _NEVER_NULL else [column.is_(None)]
    return [*keys, column.desc() if down else column.asc(), RUNS.c.run_id.desc() if down else RUNS.c.run_id.asc()]


_NEVER_NULL: Final = frozenset({"created", "name", "project", "status", "verdict", "action"})


def sparklines(connection: Connection, run_ids: Sequence[str], width: int) -> dict[str, dict[str, tuple[float, ...]]]:
    """Sparklines of the losses by run and role. Those of one run share the same `width` steps."""
    query = select(SERIES.c.run_id, SERIES.c.role, SERIES.c.sparkline, SERIES.c.last, SERIES.c.last_finite_step).where(
        SERIES.c.run_id.in_(run_ids), SERIES.c.judged, SERIES.c.role.in_(("train", "val"))
    )
    found: dict[str, dict[str, tuple[bytes, float | None, int | None]]] = {run_id: {} for run_id in run_ids}
    for row in connection.execute(query):
        found[row.run_id][row.role] = (row.sparkline, row.last, row.last_finite_step)
    return {run_id: sparklines_of(stored, max(2, width)) for run_id, stored in found.items()}
