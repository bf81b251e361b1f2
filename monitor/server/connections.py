"""Limits on connections: how many there are, and how long one may wait for its client.

uvicorn gives a client unlimited time to send its request, and accepts clients until no descriptor is left for anybody
else or the database. Here a request's head must arrive in time and within a size limit, and an answer must be read.
When connections run out, one that is idle is closed in favour of the new one. All of this is logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import Counter
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S: Final = 15.0
"""Seconds for the head of a request to arrive, counted from the connection or from the head's first byte."""
HEAD_BYTES: Final = 64 * 1024
"""Most bytes of a request besides its body: its head, and what is between and after the chunks of a body."""
STALL_S: Final = 60.0
"""Seconds for which a client may read nothing of a waiting answer."""
LOOK_S: Final = 1.0
"""Seconds between checks of waiting connections."""
TELL_S: Final = 30.0
"""Seconds between two log lines about the same event."""
_PLENTY: Final = 16_384
"""Most descriptors that a server asks for."""
_log = logging.getLogger(__name__)


def descriptors() -> int:
    """How many files and connections this process may have open. Raises the soft limit to what the system allows."""
    if sys.platform == "win32":
        return _PLENTY
    import resource

    soft, hard = (_PLENTY if n == resource.RLIM_INFINITY else n for n in resource.getrlimit(resource.RLIMIT_NOFILE))
    wanted = min(hard, _PLENTY)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS has further limits
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            return wanted
    return min(soft, _PLENTY)


class Connections:
    """The connections of one server. Waiting ones are kept in the order in which they began to wait.

    Args:
        most: most open connections.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.all: set[Watched] = set()
        self.heads: dict[Watched, float] = {}
        """Connections whose request has not arrived yet -> since when."""
        self.kept: dict[Watched, None] = {}
        """Connections that were answered and may send another request."""
        self.stalled: dict[Watched, tuple[float, int]] = {}
        """Connections that do not read their answer -> since when, and how many bytes wait."""
        self._looking = False
        self._told: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def come(self, connection: Watched) -> bool:
        """Accept a connection. False if there is no room, and no idle one to close for it."""
        if len(self.all) >= self.most:
            # The oldest that has not sent a request yet, else the oldest idle one.
            waiting = next(iter(self.heads or self.kept), None)
            if waiting is None:
                self.tell("refused: all connections are busy")
                return False
            self.tell("closed while idle, to make room for others")
            waiting.cut()
        self.all.add(connection)
        if not self._looking:
            self._looking = True
            connection.loop.call_later(LOOK_S, self._look, connection.loop)
        return True

    def gone(self, connection: Watched) -> None:
        """Forget a connection that is closed or about to be."""
        self.all.discard(connection)
        self.heads.pop(connection, None)
        self.kept.pop(connection, None)
        self.stalled.pop(connection, None)

    def tell(self, what: str) -> None:
        """Log an event. Repetitions within `TELL_S` are counted and logged together."""
        self._untold[what] += 1
        self._say(what)

    def _say(self, what: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told.get(what, -TELL_S) >= TELL_S:
            self._told[what] = now
            _log.warning(
                "connections %s: %d (%d of %d are open)", what, self._untold.pop(what), len(self.all), self.most
            )

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close connections that have waited too long."""
        now = loop.time()
        for connection, since in list(self.heads.items()):
            if now - since < HEAD_S:
                break  # sorted by time: the others are newer
            self.tell(f"closed: no request within {HEAD_S:g} s")
            connection.answer(b"408 Request Timeout")
        for connection, (since, left) in list(self.stalled.items()):
            waits = connection.transport.get_write_buffer_size()
            if waits < left:
                self.stalled[connection] = (now, waits)
            elif now - since >= STALL_S:
                self.tell(f"closed: nothing of an answer read for {STALL_S:g} s")
                connection.cut()
        for what in list(self._untold):
            self._say(what)
        if self.all or self._untold:
            loop.call_later(LOOK_S, self._look, loop)
        else:
            self._looking = False


class Watched(HttpToolsProtocol):
    """uvicorn's protocol, reporting its state to `connections_`, which a subclass sets."""

    connections_: ClassVar[Connections]
    _loose = 0
    """Bytes received since the last part of a body or the end of a head."""
    _begun = False
    """True after the first byte of a request, until it is complete."""
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A client connected; its first head is awaited."""
        super().connection_made(transport)
        if self.connections_.come(self):
            self.connections_.heads[self] = self.loop.time()
        else:
            self.answer(b"503 Service Unavailable")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self.connections_.gone(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request arrived."""
        if self._refused:
            return
        if self.connections_.kept.pop(self, self) is None:
            self.connections_.heads[self] = self.loop.time()
        self._loose += len(data)
        super().data_received(data)
        if self._loose > HEAD_BYTES and not self._refused:
            self.connections_.tell(f"closed: more than {HEAD_BYTES} bytes besides a body")
            if self.cycle is None or self.cycle.response_complete:
                self.answer(b"431 Request Header Fields Too Large")
            else:
                self.cut()

    def on_message_begin(self) -> None:
        """The first byte of a request arrived."""
        self._begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head of a request is complete."""
        self._loose = 0
        self.connections_.heads.pop(self, None)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body arrived."""
        self._loose = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete."""
        self._begun = False
        self._loose = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The request is answered, and the client may send another."""
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        if self._begun:
            self.connections_.heads[self] = self.loop.time()
        else:
            self.connections_.kept[self] = None

    def pause_writing(self) -> None:
        """The client reads its answer more slowly than it is written."""
        super().pause_writing()
        self.connections_.stalled[self] = (self.loop.time(), self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self.connections_.stalled.pop(self, None)

    def _unsupported_upgrade_warning(self) -> None:
        self.connections_.tell("asked for a protocol other than HTTP")

    def cut(self) -> None:
        """Close the connection at once."""
        self._refused = True
        self.connections_.gone(self)
        self.transport.abort()

    def answer(self, status: bytes) -> None:
        """Send a status and close the connection."""
        self._refused = True
        self.connections_.gone(self)
        self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


def watched(connections: Connections) -> type[asyncio.Protocol]:
    """The protocol class for one server's connections."""
    members: dict[str, Any] = {"connections_": connections}
    return type("WatchedBy", (Watched,), members)
