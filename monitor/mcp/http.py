"""Serves the tools over HTTP: with a token, or on loopback without one."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer


class Guarded:
    """Passes on only requests with the right token.

    Args:
        token: the token; None: not needed.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._wanted = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] != "http" or self._wanted is None or hmac.compare_digest(given, self._wanted):
            await self._app(scope, receive, send)
            return
        body = json.dumps({"error": "a token is needed: send it as a bearer token"}).encode()
        headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})


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
