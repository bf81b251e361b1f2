"""Serves the tools over HTTP: with a token, or on loopback without one."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.hosts import host_name, local_name, same_origin

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer


class Guarded:
    """Passes on only requests with the right token, and none of another site's pages.

    Args:
        token: the token; None: not needed, and only requests addressed to this machine are accepted.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._wanted = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":  # no route is a websocket
            await send({"type": "websocket.close", "code": 1008})
        elif (refusal := self._refusal(dict(scope["headers"]))) is not None:
            status, why = refusal
            headers = [(b"content-type", b"application/json"), *([(b"www-authenticate", b"Bearer")] * (status == 401))]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps({"error": why}).encode()})
        else:
            await self._app(scope, receive, send)

    def _refusal(self, headers: Mapping[bytes, bytes]) -> tuple[int, str] | None:
        """The status and the reason of a refusal; None for a request that is accepted."""
        host, origin = (headers.get(name, b"").decode("latin-1") for name in (b"host", b"origin"))
        if self._wanted is None and not local_name(host_name(host)):
            return 403, f"without a token, nothing is served by the name {host_name(host)}; set MONITOR_TOKEN"
        if origin and not same_origin(origin, host):
            return 403, f"pages of {origin} may not use these tools"
        if self._wanted is None or hmac.compare_digest(headers.get(b"authorization", b""), self._wanted):
            return None
        return 401, "a token is needed: send it as a bearer token"


def serve(server: MCPServer, host: str, port: int, token: str | None) -> None:
    """Serve the tools at `/mcp` until interrupted. Prints the address."""
    import socket
    import sys

    import uvicorn

    listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    shown = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"http://{shown}:{listening.getsockname()[1]}/mcp\n")
    sys.stdout.flush()
    app = Guarded(server.streamable_http_app(host=host), token)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
