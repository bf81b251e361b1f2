"""Pipelined statements to PostgreSQL, directly on libpq's pipeline mode.

Psycopg has pipelines too, but it sends each statement separately, polls for answers after each, and looks up the type
of every value anew. For a write of ten small statements that takes longer than the server does. Here all statements
between two waits are sent together, and values are packed by column type, in PostgreSQL's binary format. Psycopg opens
and owns the connection, and names the errors.
"""

from __future__ import annotations

import json
import selectors
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sqlalchemy.types import JSON, BigInteger, Boolean, Float, Integer, LargeBinary, String, TypeEngine

from monitor.store.sql.json_text import json_text

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq.abc import PGresult

PREPARED: Final = 200
"""Most statements that a connection keeps prepared."""

Pack = Callable[[Any], bytes]
Unpack = Callable[[bytes], object]

_INT4, _INT8, _FLOAT8 = struct.Struct(">i"), struct.Struct(">q"), struct.Struct(">d")
_PACKS: Final[Sequence[tuple[type[TypeEngine[Any]], int, Pack]]] = (
    (JSON, 114, lambda value: json_text(value).encode()),
    (Boolean, 16, lambda value: b"\1" if value else b"\0"),
    (BigInteger, 20, _INT8.pack),
    (Integer, 23, _INT4.pack),
    (Float, 701, _FLOAT8.pack),
    (String, 25, str.encode),
    (LargeBinary, 17, bytes),
)
"""(column type, type OID, packing function); the first match is used."""
_UNPACKS: Final[Mapping[int, Unpack]] = {
    16: lambda data: data == b"\1",
    17: bytes,
    20: lambda data: _INT8.unpack(data)[0],
    23: lambda data: _INT4.unpack(data)[0],
    25: bytes.decode,
    114: json.loads,
    701: lambda data: _FLOAT8.unpack(data)[0],
    1043: bytes.decode,
}
"""Type OID -> function that unpacks a value."""


def packing(kind: TypeEngine[Any]) -> tuple[int, Pack]:
    """The type OID of a column, and the function that packs its values."""
    for known, oid, pack in _PACKS:
        if isinstance(kind, known):
            return oid, pack
    raise TypeError(f"a value of type {kind!r} cannot be sent")


class Call:
    """A statement that was sent, and its rows once they arrive."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._result: PGresult | None = None
        self._at = 0

    def fetchall(self) -> list[list[object]]:
        """The remaining rows; waits for them."""
        result = self._arrived()
        unpacks = [_UNPACKS[result.ftype(i)] for i in range(result.nfields)]
        found = [_row(result, i, unpacks) for i in range(self._at, result.ntuples)]
        self._at = result.ntuples
        return found

    def fetchone(self) -> list[object] | None:
        """The next row, waiting for it; None if there is none."""
        result = self._arrived()
        if self._at >= result.ntuples:
            return None
        self._at += 1
        return _row(result, self._at - 1, [_UNPACKS[result.ftype(i)] for i in range(result.nfields)])

    def take(self, result: PGresult) -> None:
        """Store the server's answer."""
        self._result = result

    def _arrived(self) -> PGresult:
        if self._result is None:
            self._pipeline.catch_up()
        assert self._result is not None
        return self._result


def _row(result: PGresult, i: int, unpacks: Sequence[Unpack]) -> list[object]:
    return [None if (data := result.get_value(i, at)) is None else unpack(data) for at, unpack in enumerate(unpacks)]


class Pipeline:
    """The pipeline of one connection. Used by one thread at a time.

    Args:
        raw: psycopg's connection, outside of any transaction of its own.
    """

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._raw, self._pg = raw, raw.pgconn
        self._under_way: deque[Call | None] = deque()
        self._runs: dict[bytes, int] = {}
        self._names: dict[bytes, bytes] = {}
        self._open = False
        from psycopg.pq import ExecStatus  # imported once: a write receives some twenty answers

        self._failed = {ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED}

    @property
    def quiet(self) -> bool:
        """True if nothing is pending, so that psycopg may use the connection."""
        return not self._open

    def send(self, text: bytes, oids: Sequence[int] = (), values: Sequence[bytes | None] = ()) -> Call:
        """Queue a statement, to be sent together with others."""
        if not self._open:
            self._pg.enter_pipeline_mode()
            self._open = True
        formats = [1] * len(values)
        name = self._name(text, oids)
        if name is None:
            self._pg.send_query_params(text, values, oids, formats, 1)
        else:
            self._pg.send_query_prepared(name, values, formats, 1)
        return self._expect(Call(self))

    def catch_up(self) -> None:
        """Flush the queue and wait for all answers: one wait for all statements since the last.

        Raises:
            psycopg.Error: a statement failed.
        """
        self._pg.send_flush_request()
        self._flush()
        while self._under_way:
            self._receive()

    def settle(self) -> None:
        """Receive all answers and leave pipeline mode, so that psycopg can use the connection.

        Raises:
            psycopg.Error: a statement failed.
        """
        if not self._open:
            return
        self._pg.pipeline_sync()
        self._under_way.append(None)
        self._flush()
        while self._under_way:
            self._receive()
        self._pg.exit_pipeline_mode()
        self._open = False

    def _name(self, text: bytes, oids: Sequence[int]) -> bytes | None:
        """The name of the statement if the connection has it prepared; else None."""
        name = self._names.get(text)
        if name is not None:
            return name
        threshold = self._raw.prepare_threshold
        runs = self._runs[text] = self._runs.get(text, 0) + 1
        if threshold is None or runs <= threshold or len(self._names) >= PREPARED:
            return None
        name = self._names[text] = b"monitor_%d" % len(self._names)
        self._pg.send_prepare(name, text, oids)
        self._expect(Call(self))
        return name

    def _expect(self, call: Call) -> Call:
        self._under_way.append(call)
        return call

    def _flush(self) -> None:
        while self._pg.flush():
            if self._wait(selectors.EVENT_READ | selectors.EVENT_WRITE) & selectors.EVENT_READ:
                self._pg.consume_input()  # the server may block until its answers are read

    def _receive(self) -> None:
        """Read the next answer and hand it to its statement."""
        result = self._result()
        if result is None or result.status in self._failed:
            self._raise(result)
        call = self._under_way.popleft()
        if call is not None:
            call.take(result)
            self._result()  # None: the end of this statement's answers

    def _raise(self, result: PGresult | None) -> NoReturn:
        from psycopg import OperationalError, errors
        from psycopg.pq import ExecStatus

        if result is None:
            raise OperationalError(f"the connection is lost: {self._pg.get_error_message()}")
        if result.status == ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result)
        raise OperationalError("a statement before this one failed")

    def _result(self) -> PGresult | None:
        while self._pg.is_busy():
            self._wait(selectors.EVENT_READ)
            self._pg.consume_input()
        return self._pg.get_result()

    def _wait(self, events: int) -> int:
        with _Selector() as selector:
            selector.register(self._pg.socket, events)
            return selector.select()[0][1]


_Selector: Final = getattr(selectors, "PollSelector", selectors.SelectSelector)
