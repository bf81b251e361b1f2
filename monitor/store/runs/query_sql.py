"""Turns a parsed query into SQL.

Every value is a bound parameter and every name is looked up; nothing is interpolated.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    ColumnElement,
    Double,
    Numeric,
    String,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    type_coerce,
)

from monitor.domain import RunStatus
from monitor.errors import QueryError, suggestion
from monitor.store.runs.query import Comparison, Field, Group, Node, Not, Query, Value
from monitor.store.sql.schema import RUNS, SERIES, TAGS

Column = ColumnElement[Any]

TEXTS: Final = ("id", "project", "name", "group", "status", "verdict", "action", "headline", "error", "stop_requested")
NUMBERS: Final = (
    "attempt",
    "last_step",
    "train.last",
    "train.best",
    "train.best_step",
    "val.last",
    "val.best",
    "val.best_step",
    "goal",
    "goal.last",
    "goal.best",
    "goal.best_step",
    "gap",
    "half_life",
)
TIMES: Final = ("created", "heartbeat", "finished", "last_point")
FIELDS: Final = (*TEXTS, *NUMBERS, *TIMES)
"""The fields that every run has, in addition to `tags.NAME`, `config.NAME…` and `metric."KEY".WHAT`."""
GOALS: Final = ("goal", "goal.last", "goal.best")
"""Fields that hold the goal, which are sorted by how good they are."""
METRIC: Final = ("last", "min", "max", "count", "last_step", "min_step", "max_step")
_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def condition(query: Query, dialect: str) -> ColumnElement[bool] | None:
    """The condition of a query on `monitor_runs`; None if it has none.

    Args:
        dialect: `sqlite` or `postgresql`, which read JSON differently.

    Raises:
        QueryError: an unknown field, or a value that it cannot be compared with.
    """
    return None if query.where is None else _Builder(query, dialect).node(query.where)


def order(query: Query, dialect: str) -> list[Column]:
    """The sort order of a query. Runs without a value come last in either direction."""
    builder = _Builder(query, dialect)
    found: list[Column] = []
    for field, down in query.order:
        column = builder.sortable(field)
        if field.name.lower() in GOALS:
            found += by_goal(column, best_first=down)
        else:
            found += [column.is_(None), column.desc() if down else column.asc()]
    return found


def by_goal(column: Column, *, best_first: bool) -> list[Column]:
    """Sort by how good the goal is: first the runs whose goal should rise, then the others."""
    good = case((RUNS.c.goal_rises.is_(False), -column), else_=column)
    return [column.is_(None), RUNS.c.goal_rises.is_(False), good.desc() if best_first else good.asc()]


def sorted_value(query: Query, dialect: str) -> Column | None:
    """The value by which a query sorts first; None if it has no order."""
    return _Builder(query, dialect).sortable(query.order[0][0]) if query.order else None


def source(dialect: str) -> Column:
    """The file or folder that a run was imported from; NULL if it was trained."""
    if dialect == "sqlite":
        raw = type_coerce(RUNS.c.capture, String)
        text = case((func.json_valid(raw), raw))
        return func.coalesce(*(func.json_extract(text, f"$.{kind}.source") for kind in _READ))
    readable = _readable(RUNS.c.capture)
    return func.coalesce(*(func.json_extract_path_text(readable, kind, "source") for kind in _READ))


_READ: Final = ("imported", "watched")


class _Builder:
    """Resolves the names in one query."""

    def __init__(self, query: Query, dialect: str) -> None:
        self.query, self.dialect = query, dialect

    def node(self, node: Node) -> ColumnElement[bool]:
        if isinstance(node, Not):
            return not_(self.node(node.inner))
        if isinstance(node, Group):
            return (and_ if node.word == "and" else or_)(*(self.node(inner) for inner in node.inner))
        if node.operator == "in":
            return or_(*(self.compare(node, "=", value) for value in node.values))
        return self.compare(node, node.operator, node.values[0])

    def compare(self, node: Comparison, sign: str, value: Value) -> ColumnElement[bool]:
        if node.field.parts[0].lower() in TIMES and len(node.field.parts) == 1:
            value = self.time(node, value)
        if node.field.name.lower() == "status" and sign != "~" and isinstance(value, str):
            self.status(node, value)
        column = self.column(node.field, value, node)
        if sign in ("=", "!="):
            same = column.is_(None) if value is None else column.is_not_distinct_from(literal(value))
            return same if sign == "=" else not_(same)
        if value is None or isinstance(value, bool):
            word = "null" if value is None else str(value).lower()
            raise self.error(node.field, f"{node.field.name} cannot be {sign} {word}; use = or !=", node.position)
        if sign == "~":
            if not isinstance(value, str):
                raise self.error(node.field, "~ looks for a text; put it in quotes")
            return func.coalesce(column.icontains(value, autoescape=True), False)
        return func.coalesce(_COMPARE[sign](column, literal(value)), False)

    def status(self, node: Comparison, value: str) -> None:
        """Refuse a status that does not exist."""
        if value not in list(RunStatus):
            problem = f"no status is called {value!r}; {suggestion(value, RunStatus)}"
            raise self.error(node.field, problem, node.position)

    def time(self, node: Comparison, value: Value) -> Value:
        """Convert a date to milliseconds since the epoch: "2026-05-01" or "2026-05-01T12:00", in UTC.

        Numbers pass unchanged.
        """
        if not isinstance(value, str):
            return value
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            raise self.error(node.field, f'{value!r} is not a date; write "2026-05-01" or "2026-05-01T12:00"') from None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000

    def column(self, field: Field, value: Value, node: Comparison) -> Column:
        first, rest = field.parts[0], field.parts[1:]
        if first == "tags":
            return self.tag(field, rest)
        if first == "config":
            return self.config(field, rest, value)
        column = self.metric(field, rest) if first == "metric" else self.known(field)
        text = first != "metric" and field.name.lower() in TEXTS
        if value is not None and (isinstance(value, bool) or isinstance(value, str) != text):
            kind = "text in quotes" if text else "number"
            raise self.error(field, f"{field.name} is compared with a {kind}", node.position)
        return column

    def sortable(self, field: Field) -> Column:
        first, rest = field.parts[0], field.parts[1:]
        if first == "tags":
            return self.tag(field, rest)
        if first == "config":
            return self.config(field, rest, 0.0)
        return self.metric(field, rest) if first == "metric" else self.known(field)

    def known(self, field: Field) -> Column:
        name = field.name.lower()
        if name not in FIELDS:
            choices = [*FIELDS, "tags.NAME", "config.NAME", 'metric."KEY".last']
            raise self.error(field, f"unknown field {field.name}; {suggestion(name, choices)}")
        if name == "id":
            return RUNS.c.run_id
        if name == "goal":
            return RUNS.c.goal_best
        return RUNS.c[f"{name}_ms" if name in TIMES else name.replace(".", "_")]

    def tag(self, field: Field, rest: tuple[str, ...]) -> Column:
        if not rest:
            raise self.error(field, "name the tag: tags.NAME")
        found = select(TAGS.c.value).where(TAGS.c.run_id == RUNS.c.run_id, TAGS.c.name == ".".join(rest))
        return found.correlate(RUNS).scalar_subquery()

    def metric(self, field: Field, rest: tuple[str, ...]) -> Column:
        if len(rest) < 2 or rest[-1] not in METRIC:
            raise self.error(field, f'write metric."KEY".WHAT, where WHAT is one of {", ".join(METRIC)}')
        key = ".".join(rest[:-1])
        found = select(SERIES.c[rest[-1]]).where(SERIES.c.run_id == RUNS.c.run_id, SERIES.c.key == key)
        return found.correlate(RUNS).scalar_subquery()

    def config(self, field: Field, rest: tuple[str, ...], value: Value) -> Column:
        """A configuration value; NULL if its type differs from that of the value it is compared with."""
        if not rest:
            raise self.error(field, "name the entry: config.NAME")
        if any('"' in part or "{" in part or "," in part for part in rest):
            raise self.error(field, 'a name of the configuration cannot hold ", { or , here')
        return self.sqlite_config(rest, value) if self.dialect == "sqlite" else self.postgresql_config(rest, value)

    def sqlite_config(self, rest: tuple[str, ...], value: Value) -> Column:
        path = "$" + "".join(f".{json.dumps(part)}" for part in rest)  # escaped in the same way as in the column's JSON
        raw = type_coerce(RUNS.c.config, String)
        text = case((func.json_valid(raw), raw))  # NULL if SQLite cannot parse it, which would abort the query
        kind, found = func.json_type(text, path), func.json_extract(text, path)
        if value is None:
            return case((kind != "null", found))
        if isinstance(value, bool):
            return case((kind == "true", True), (kind == "false", False))
        if isinstance(value, str):
            return case((kind == "text", type_coerce(found, String)))
        return case((kind.in_(("integer", "real")), cast(found, Double)))

    def postgresql_config(self, rest: tuple[str, ...], value: Value) -> Column:
        path = [literal(part) for part in rest]
        # `OFFSET 0` keeps PostgreSQL from inlining the subquery and evaluating it once per use.
        read = select(_readable(RUNS.c.config).label("config")).correlate(RUNS).offset(literal_column("0")).subquery()
        entry = (
            select(
                func.json_typeof(func.json_extract_path(read.c.config, *path)).label("kind"),
                func.json_extract_path_text(read.c.config, *path).label("found"),
            )
            .offset(literal_column("0"))
            .subquery()
        )
        kind, found = entry.c.kind, entry.c.found
        wanted: Column = case((kind == "number", _float(found)))
        if value is None:
            wanted = found
        elif isinstance(value, bool):
            wanted = case((and_(kind == "boolean", found == "true"), True), (kind == "boolean", False))
        elif isinstance(value, str):
            wanted = case((kind == "string", found))
        return select(wanted).scalar_subquery()

    def error(self, field: Field, problem: str, position: int | None = None) -> QueryError:
        return QueryError(self.query.text, field.position if position is None else position, problem)


_HIGH: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW: Final = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE: Final = f"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}"
"""Half of a surrogate pair, as JSON escapes it."""


def _readable(column: Column) -> Column:
    """A JSON column without what PostgreSQL stores but refuses to read: NUL and halves of surrogate pairs."""
    text = cast(column, Text)
    clean = func.regexp_replace(func.replace(text, r"\u0000", r"\ufffd"), _LONE, r"\\ufffd", "g")
    suspect = or_(*(func.strpos(text, part) > 0 for part in (r"\u0000", r"\ud", r"\uD")))
    return case((suspect, cast(clean, JSON)), else_=column)


def _float(text: Column) -> Column:
    """A number of any size in PostgreSQL's JSON, as SQLite would read it: too large for a float64 becomes infinite."""
    infinite = case((text.startswith("-"), cast("-Infinity", Double)), else_=cast("Infinity", Double))
    exponent, length = text.regexp_match("[eE]"), func.length(text)
    number = cast(text, Numeric)
    size = func.abs(number)
    return case(
        (and_(length < 300, not_(exponent)), cast(text, Double)),
        (and_(length < 40, text.regexp_match(r"[eE][-+]?[0-9]{1,2}$")), cast(text, Double)),
        (
            and_(length < 5000, or_(not_(exponent), text.regexp_match(r"[eE][-+]?[0-9]{1,4}$"))),
            case(
                (size > literal_column("1.7976931348623157e308"), infinite),
                (size < literal_column("5e-324"), cast(0, Double)),
                else_=cast(number, Double),
            ),
        ),
        (text.regexp_match(r"[eE]-"), cast(0, Double)),
        else_=infinite,
    )
