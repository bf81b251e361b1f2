"""Runs uvicorn, for the server and its workers."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Sequence
from typing import Final

import uvicorn
from fastapi import FastAPI

from monitor.errors import ServerUnreachable
from monitor.server.children import END_WITHIN_S
from monitor.server.connections import Connections, descriptors, watched

GRACEFUL_S: Final = 1
"""Seconds that requests in flight get at shutdown. A batch that is cut off is sent again by its client."""
KEEP_ALIVE_S: Final = 75
"""Longer than the heartbeat interval, so that a quiet client does not reconnect for each heartbeat."""
SWITCH_S: Final = 0.001
"""The GIL's switch interval in seconds.

At Python's default of 5 ms, an alert message, which takes dozens of statements, would wait that long at each of them
while batches are being judged.
"""


class Serving:
    """uvicorn in its own thread. The main thread waits for signals and looks after the other processes.

    Args:
        stop: set when it has ended.
    """

    def __init__(self, app: FastAPI, sockets: Sequence[socket.socket], url: str, stop: threading.Event) -> None:
        available = descriptors()
        spare = max(64, available // 4)  # for the database, files, and connections accepted before they are counted
        config = uvicorn.Config(
            app,
            http=watched(Connections(max(16, available - spare))),
            ws="none",
            backlog=min(2048, max(128, spare)),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACEFUL_S,
        )
        self._settled = threading.Event()
        self._uvicorn = _Announcing(config, self._settled)
        self._sockets, self._url, self._stop = list(sockets), url, stop
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def __enter__(self) -> Serving:
        sys.setswitchinterval(SWITCH_S)
        self._thread.start()
        self._settled.wait()
        self.raise_if_it_died()
        return self

    def __exit__(self, *_: object) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(END_WITHIN_S)

    def raise_if_it_died(self) -> None:
        """Raise the error that ended the server, if it ended by itself."""
        if self._error is not None:
            raise self._error
        if not self._uvicorn.started:
            raise ServerUnreachable(self._url, "the application did not start; its log says why")

    def _run(self) -> None:
        try:
            self._uvicorn.run(sockets=self._sockets)
        except BaseException as error:
            self._error = error
        finally:
            self._settled.set()
            self._stop.set()


class _Announcing(uvicorn.Server):
    """Signals when it listens."""

    def __init__(self, config: uvicorn.Config, settled: threading.Event) -> None:
        super().__init__(config)
        self._settled = settled

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then signal. If the start fails, `_run` signals when the server ends."""
        await super().startup(sockets=sockets)
        if self.started:
            self._settled.set()
