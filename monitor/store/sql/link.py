"""The connection of a write transaction: statements that are compiled once and run directly on the driver's cursor.

SQLAlchemy generates the statements for both databases from one definition, and converts the values. Executing them
through its connection would cost more than most of them take, so they are compiled once per database and passed to the
driver.

On PostgreSQL they are pipelined (`pipeline.py`). `tell` does not wait for an answer; `ask` waits only when its answer
is first read. So a write with any number of statements waits twice: for its reads and for its commit. An earlier
statement's error is raised at these points, and nothing is committed then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import ClauseElement, Connection, Dialect, Float
from sqlalchemy.types import TypeEngine

from monitor.store.sql.connect import read_only, wait_for_standby
from monitor.store.sql.pipeline import Pipeline, packing

Values = Mapping[str, object]
Row = dict[str, object]
Convert = Callable[[Any], Any]

BEGIN: Final = b"BEGIN ISOLATION LEVEL READ COMMITTED"
"""What a write begins with. Its lock on the run is all that it needs: under a stricter isolation, which an operator may
have made the database's default, two writes that wait for each other's rows fail instead of following one another."""
_NOTHING: Final[Values] = {}


class Statement:
    """A statement for both databases.

    Args:
        clause: an SQLAlchemy clause, or a function that builds one for `sqlite` or `postgresql`. Every value is a
            `bindparam`.
        columns: for an insert, the columns of its rows.
    """

    def __init__(self, clause: ClauseElement | Callable[[str], ClauseElement], columns: Sequence[str] = ()) -> None:
        self._clause = clause
        self._columns = list(columns) or None
        self._made: dict[str, Compiled] = {}

    def on(self, dialect: Dialect) -> Compiled:
        """The statement compiled for a database."""
        made = self._made.get(dialect.name)
        if made is None:
            clause = self._clause if isinstance(self._clause, ClauseElement) else self._clause(dialect.name)
            made = self._made[dialect.name] = Compiled(clause, dialect, self._columns)
        return made


class Compiled:
    """A statement's text for one database, with the conversions of its values."""

    def __init__(self, clause: ClauseElement, dialect: Dialect, columns: list[str] | None) -> None:
        compiled: Any = clause.compile(dialect=dialect, column_keys=columns)
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        self._names = [name for name, bind in binds.items() if bind.required]
        self._constants = {name: bind.effective_value for name, bind in binds.items() if not bind.required}
        found = list(getattr(clause, "exported_columns", ()))
        self.returns = [column.key for column in found]
        self._order: list[str] = compiled.positiontup if compiled.positional else list(binds)
        self.text: str = compiled.string
        self.oids: list[int] = []
        self._in: list[tuple[int, Convert]] = []
        self._packs: list[tuple[int, Convert]] = []
        self._out: list[tuple[int, Convert]] = []
        if dialect.name == "postgresql":
            self.text %= {name: f"${i}" for i, name in enumerate(self._order, 1)}
            packs = [packing(binds[name].type) for name in self._order]
            self.oids = [oid for oid, _ in packs]
            self._packs = [(i, pack) for i, (_, pack) in enumerate(packs)]
        else:
            converters = (binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in self._order)
            self._in = [(i, to) for i, to in enumerate(converters) if to is not None]
            readers = (_reader(column.type, dialect) for column in found)
            self._out = [(i, read) for i, read in enumerate(readers) if read is not None]
        self.sent = self.text.encode()

    def bound(self, values: Values) -> list[Any]:
        """Values in the form that the driver expects."""
        constants = self._constants
        ready: list[Any] = [constants[name] if name in constants else values[name] for name in self._order]
        for i, convert in self._in:
            ready[i] = convert(ready[i])
        for i, pack in self._packs:
            value = ready[i]
            if value is not None:
                ready[i] = pack(value)
        return ready

    def row(self, found: Sequence[object]) -> Row:
        """A row of the answer, by column."""
        if self._out:
            found = list(found)
            for i, convert in self._out:
                found[i] = convert(found[i])
        return dict(zip(self.returns, found, strict=True))


def _reader(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    """The conversion from SQLite's value to Python's. Floats need none."""
    return None if isinstance(kind, Float) else kind.dialect_impl(dialect).result_processor(dialect, None)


class Answer:
    """The rows of a query. Waits for them when they are first read."""

    def __init__(self, cursor: Any, made: Compiled) -> None:
        self._cursor, self._made = cursor, made
        self._rows: list[Row] | None = None

    def all(self) -> list[Row]:
        """All rows; the same ones again if they were read before."""
        if self._rows is None:
            self._rows = [self._made.row(found) for found in self._cursor.fetchall()]
        return self._rows

    def first(self) -> Row | None:
        """The first row; None if there is none."""
        found = self._cursor.fetchone()
        return None if found is None else self._made.row(found)


class Link:
    """The connection of one write transaction. Created by `linked`."""

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect
        self._connection = connection
        self._raw = cast(Any, connection.connection.driver_connection)
        self._cursors: list[Any] = []
        self._pipeline: Pipeline | None = None
        if self.dialect.name == "postgresql":
            self._pipeline = connection.info.get("pipeline") or Pipeline(self._raw)
            connection.info["pipeline"] = self._pipeline  # kept: its prepared statements live as long as the connection

    def ask(self, statement: Statement, values: Values = _NOTHING) -> Answer:
        """Run a statement that returns rows."""
        made = statement.on(self.dialect)
        return Answer(self._run(made, values), made)

    def tell(self, statement: Statement, *rows: Values) -> None:
        """Run a statement that changes rows, once per mapping of values."""
        made = statement.on(self.dialect)
        if self._pipeline is not None or len(rows) == 1:
            for row in rows:
                self._run(made, row)
        else:
            self._raw.executemany(made.text, [made.bound(row) for row in rows])

    @property
    def plain(self) -> Connection:
        """The SQLAlchemy connection, for reads shared with readers. Earlier statements are finished first."""
        if self._pipeline is not None:
            self._pipeline.settle()
        return self._connection

    def _run(self, made: Compiled, values: Values) -> Any:
        if self._pipeline is None:
            self._cursors.append(cursor := self._raw.cursor())
            return cursor.execute(made.text, made.bound(values))
        return self._pipeline.send(made.sent, made.oids, made.bound(values))

    @property
    def _quiet(self) -> bool:
        return self._pipeline is None or self._pipeline.quiet

    def _forget(self) -> None:
        """Close all cursors. While the error is referenced, SQLite would hold its locks for an unread one."""
        for cursor in self._cursors:
            cursor.close()

    def _begin(self) -> None:
        if self._pipeline is not None:
            self._pipeline.send(BEGIN)

    def _end(self, word: bytes) -> None:
        if self._pipeline is not None:
            if word == b"COMMIT" and (first := wait_for_standby(self._connection)) is not None:
                self._pipeline.send(first)
            self._pipeline.send(word)
            self._pipeline.settle()


@contextlib.contextmanager
def linked(connection: Connection) -> Iterator[Link]:
    """A transaction on a connection in which SQLAlchemy has begun one: real on SQLite, nominal on PostgreSQL.

    Psycopg would wait for the answer to its own BEGIN; here BEGIN and COMMIT are pipelined like other statements.
    """
    link = Link(connection)
    try:
        link._begin()
        yield link
        link._end(b"COMMIT")
    except BaseException as error:
        link._forget()
        driver = cast("Any", connection.dialect.loaded_dbapi)
        known = isinstance(error, driver.Error)
        if not known and isinstance(error, Exception):
            with contextlib.suppress(driver.Error):
                link._end(b"ROLLBACK")
        if known or not link._quiet:  # it may be broken, or miss prepared statements that `Pipeline` counts on
            connection.invalidate(error)
            if known and (read_only(error) or connection.dialect.is_disconnect(cast("Any", error), link._raw, None)):
                connection.engine.dispose()  # the pooled ones are no better
        raise
