"""What a write transaction speaks through: statements compiled once, run on the driver's own cursor.

SQLAlchemy writes the statements, for both databases from one definition, and converts the values. Running them through
its connection would cost more than most of them take, so they are compiled once for each database and handed to the
driver. On PostgreSQL they travel in a pipeline (libpq's, through psycopg 3): `tell` does not wait for an answer, `ask`
waits when its answer is first read, so that a write of any number of statements waits for two answers, that of its
reads and that of its commit. What an earlier statement failed with is raised by then, and nothing is committed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import ClauseElement, Connection, Dialect, Float
from sqlalchemy.types import TypeEngine

Values = Mapping[str, object]
Row = dict[str, object]
Convert = Callable[[Any], Any]

_NOTHING: Final[Values] = {}


class Statement:
    """A statement for both databases.

    Args:
        clause: made with SQLAlchemy; or a function that makes it, given `sqlite` or `postgresql`. Every value is a
            `bindparam`.
        columns: for an insert, the columns that its rows have.
    """

    def __init__(self, clause: ClauseElement | Callable[[str], ClauseElement], columns: Sequence[str] = ()) -> None:
        self._clause = clause
        self._columns = list(columns) or None
        self._made: dict[str, Compiled] = {}

    def on(self, dialect: Dialect) -> Compiled:
        """The statement as this database takes it."""
        made = self._made.get(dialect.name)
        if made is None:
            clause = self._clause if isinstance(self._clause, ClauseElement) else self._clause(dialect.name)
            made = self._made[dialect.name] = Compiled(clause, dialect, self._columns)
        return made


class Compiled:
    """A statement's text for one database, and how its values go in and out."""

    def __init__(self, clause: ClauseElement, dialect: Dialect, columns: list[str] | None) -> None:
        compiled: Any = clause.compile(dialect=dialect, column_keys=columns)
        self.text: str = compiled.string
        self._order: list[str] | None = compiled.positiontup if compiled.positional else None
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        self._names = [name for name, bind in binds.items() if bind.required]
        self._constants = {name: bind.effective_value for name, bind in binds.items() if not bind.required}
        converters = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()}
        self._in: list[tuple[str, Convert]] = [(name, to) for name, to in converters.items() if to is not None]
        found = list(getattr(clause, "exported_columns", ()))
        self.returns = [column.key for column in found]
        readers = [_reader(column.type, dialect) for column in found]
        self._out: list[tuple[int, Convert]] = [(i, read) for i, read in enumerate(readers) if read is not None]

    def bound(self, values: Values) -> Values | list[object]:
        """Values as the driver takes them."""
        ready = {name: values[name] for name in self._names}
        ready.update(self._constants)
        for name, convert in self._in:
            ready[name] = convert(ready[name])
        return ready if self._order is None else [ready[name] for name in self._order]

    def row(self, found: Sequence[object]) -> Row:
        """A row of the answer, by column."""
        if self._out:
            found = list(found)
            for i, convert in self._out:
                found[i] = convert(found[i])
        return dict(zip(self.returns, found, strict=True))


def _reader(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    """What turns the driver's value into Python's; both drivers give floats as they are."""
    return None if isinstance(kind, Float) else kind.dialect_impl(dialect).result_processor(dialect, None)


class Answer:
    """The rows that a statement found; waited for when they are first read."""

    def __init__(self, cursor: Any, made: Compiled) -> None:
        self._cursor, self._made = cursor, made

    def all(self) -> list[Row]:
        """All rows."""
        return [self._made.row(found) for found in self._cursor.fetchall()]

    def first(self) -> Row | None:
        """The first row, None where there is none."""
        found = self._cursor.fetchone()
        return None if found is None else self._made.row(found)


class Link:
    """The connection of one write transaction; made by `linked`."""

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect
        self._connection = connection
        self._raw: Any = connection.connection.driver_connection
        self._sending = contextlib.ExitStack()

    def ask(self, statement: Statement, values: Values = _NOTHING) -> Answer:
        """Run a statement that finds rows."""
        made = statement.on(self.dialect)
        return Answer(self._raw.cursor().execute(made.text, made.bound(values)), made)

    def tell(self, statement: Statement, *rows: Values) -> None:
        """Run a statement that changes rows, once for each mapping of values."""
        made = statement.on(self.dialect)
        if len(rows) == 1:
            self._raw.cursor().execute(made.text, made.bound(rows[0]))
        else:
            self._raw.cursor().executemany(made.text, [made.bound(row) for row in rows])

    @property
    def plain(self) -> Connection:
        """The SQLAlchemy connection, for reads that are shared with readers; every statement waits from here on."""
        self._sending.close()
        return self._connection

    def _begin(self) -> None:
        if self.dialect.name == "postgresql":
            self._sending.enter_context(self._raw.pipeline())
            self._raw.cursor().execute("BEGIN", prepare=False)

    def _commit(self) -> None:
        if self.dialect.name == "postgresql":
            self._raw.cursor().execute("COMMIT", prepare=False)
        self._sending.close()


@contextlib.contextmanager
def linked(connection: Connection) -> Iterator[Link]:
    """A transaction on a connection in which SQLAlchemy has begun one: on SQLite a real one, on PostgreSQL in name.

    Psycopg waits for the answer to a BEGIN of its own; in autocommit mode BEGIN and COMMIT are statements like others.
    """
    link = Link(connection)
    try:
        link._begin()
        yield link
        link._commit()
    except BaseException as error:
        driver = cast("Any", connection.dialect.loaded_dbapi)
        with contextlib.suppress(driver.Error):
            link._sending.close()
        if isinstance(error, driver.Error):  # the connection may be gone, or know statements that no longer hold
            connection.invalidate(error)
            if connection.dialect.is_disconnect(error, link._raw, None):
                connection.engine.dispose()  # those in the pool are as dead
        raise
