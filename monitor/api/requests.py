"""Request ids, which the response, its error and its log lines share."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from monitor.domain import Caller

HEADER: Final = b"x-request-id"
CALLER: Final = "monitor.caller"
"""Key of the caller in a request's scope."""
RUN: Final = "monitor.run"
"""Key of the run id that a batch belongs to."""
_VALID: Final = re.compile(rb"[A-Za-z0-9_.:+/=-]{1,128}")
_current: ContextVar[str] = ContextVar("monitor.request_id", default="")
_log = logging.getLogger(__name__)


def request_id() -> str:
    """The id of the current request; "" outside of one. Threads that work for it inherit it."""
    return _current.get()


def take_id(headers: Mapping[bytes, bytes]) -> bytes:
    """Use the id that the request carries, or make one if it carries none that is safe to log."""
    given = headers.get(HEADER, b"")
    found = given if _VALID.fullmatch(given) else secrets.token_hex(8).encode()
    _current.set(found.decode())
    return found


async def logged(
    answer: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope, receive: Receive, send: Send
) -> None:
    """Handle a request and, if enabled, log one line about it, without its query, token and body."""
    if not _log.isEnabledFor(logging.INFO):
        await answer(scope, receive, send)
        return
    status, begun = 0, time.perf_counter()

    async def noting(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = int(message["status"])
        await send(message)

    try:
        await answer(scope, receive, noting)
    finally:
        caller, client = scope.get(CALLER), scope.get("client")
        facts = {
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "ms": round(1000 * (time.perf_counter() - begun), 3),
            "caller": caller.name if isinstance(caller, Caller) else None,
            "address": client[0] if client else None,
            "run_id": scope.get(RUN),
        }
        _log.info("%s %s: %d", scope["method"], scope["path"], status, extra={"request": facts})
