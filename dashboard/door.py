"""The dashboard's door. The dashboard acts with the signed-in user's token, so no other web page may reach it."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.hosts import SECURITY_HEADERS, host_name, local_name, same_origin

_HEADERS: Final = {
    **dict(SECURITY_HEADERS),
    b"referrer-policy": b"same-origin",  # without any, browsers send our own forms with the origin "null"
    b"x-frame-options": b"SAMEORIGIN",
    b"content-security-policy": b"frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'self'",
}
_CORE: Final = "/_stcore/"
_USED: Final = ("health", "host-config", "stream", "bidi-components")
"""What the pages use below `/_stcore/`. The rest, such as uploads and metrics, would answer without a sign-in."""
_log = logging.getLogger("dashboard")


class Door:
    """The outermost layer of the dashboard, for pages and websockets alike.

    Args:
        names: public host names that it accepts, besides IP addresses and names without a domain.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            _log.warning("a request was refused: %s", refusal)
        if scope["type"] == "http":
            app = self._app
            if refusal is not None:
                app = PlainTextResponse(f"{refusal}\n", 403)
            elif not _used(scope["path"]):
                app = PlainTextResponse("the dashboard does not use this part of Streamlit\n", 404)
            await app(scope, receive, _hardened(send))
        elif refusal is None:
            await self._app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: an answer of 403

    def _refusal(self, scope: Scope) -> str | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"host", b"origin")}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        name = host_name(host)
        if not local_name(name) and name not in self._names:
            return (
                f"the dashboard does not answer to the name {name!r}; if it is yours, add it to MONITOR_DASHBOARD_HOSTS"
            )
        if origin is not None and not same_origin(origin, host, self._names):
            return f"pages of {origin!r} may not use the dashboard; if it is yours, add it to MONITOR_DASHBOARD_HOSTS"
        return None


def _used(path: str) -> bool:
    """False for what of Streamlit nobody here needs.

    >>> [_used(path) for path in ("/run", "/base/_stcore/stream", "/_stcore/upload_file/a/b", "/_stcore/agent/mcp")]
    [True, True, False, False]
    """
    _, core, rest = path.partition(_CORE)
    return not core or rest.partition("/")[0] in _USED


def _hardened(send: Send) -> Send:
    """Add headers that forbid framing and content sniffing."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", ())}
            message["headers"] = [*message.get("headers", ()), *((n, v) for n, v in _HEADERS.items() if n not in there)]
        await send(message)

    return with_headers
