"""The door: checks that every request passes before any route, and before its body is read.

`Host`, `Origin`, token, rate limit, media type and size are checked here, once for all present and future routes, so no
route can forget one. The body is read here too, within its size and time limits; a route gets all of it or nothing.
What the caller may do is up to the route (`security.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.api import mlflow_roles
from monitor.api.intake import JSON, SMALL, Intake, limit_of, media_type
from monitor.api.keys import Keys, token_of
from monitor.api.problems import Refused, of_error, of_refusal
from monitor.api.requests import CALLER, HEADER, logged, take_id
from monitor.domain import Caller
from monitor.errors import Forbidden, StoreError, Unauthorized
from monitor.hosts import SECURITY_HEADERS, host_name, local_name, same_origin
from monitor.wire import MEDIA_TYPE

OPEN: Final = frozenset({"/healthz", "/readyz", "/signin"})
"""Paths that need no token: probes and people who sign in have none. They reveal nothing about the runs."""
BUSY: Final = 128
"""Maximum number of concurrent requests other than batches; more get 503 with Retry-After."""
LINGER_S: Final = 2.0
"""Seconds for which a refused request's body is drained: most clients read the response only after sending it all."""
LINGER_BYTES: Final = 8 * 2**20
"""Bytes that are drained at most before the connection is closed."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final = (
    *SECURITY_HEADERS,
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_Headers = Mapping[bytes, bytes]


class Door:
    """The outermost layer of the API.

    Args:
        keys: the tokens. If the server requires none, only requests addressed to this machine are accepted.
    """

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys
        self._intake = Intake()
        self._busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http":
            name = take_id(dict(scope["headers"]))
            await logged(self._http, scope, receive, _hardened(send, name))
        elif scope["type"] == "websocket":  # no route is a websocket
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: _Headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        size = int(announced) if announced.isdigit() else 0
        has_body = size > 0 or b"transfer-encoding" in headers
        limit = limit_of(scope["path"], headers)
        refusal = (
            await self._stranger(scope, headers, token_of(headers))
            or self._unwanted(scope, headers, has_body)
            or self._intake.no_room(size, limit)
        )
        if refusal is not None:
            await _refuse(refusal, receive, send, unread=has_body, comes=b"expect" not in headers)
        elif has_body:
            await self._with_body(scope, receive, send, limit)
        else:
            await self._pass(scope, receive, send, counts=limit <= SMALL)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        body = await self._intake.read(receive, limit)
        if isinstance(body, Response):
            await _refuse(body, receive, send, unread=True, comes=body.status_code != 408)
        elif body is not None:
            try:
                await self._pass(scope, _replayed(body, receive), send, counts=limit <= SMALL)
            finally:
                self._intake.done(body)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, *, counts: bool) -> None:
        self._busy += counts
        try:
            await self._app(scope, receive, send)
        finally:
            self._busy -= counts

    async def refusal_by_mlflow(self, scope: Scope) -> Response | None:
        """Why a request to MLflow's application at the same address is refused; None if it is accepted.

        MLflow checks the Host header itself. Its routes know nothing of our projects, so only tokens for all projects
        open them.
        """
        headers: _Headers = dict(scope["headers"])
        refusal = await self._let_in(scope, headers, token_of(headers, basic=True))
        if refusal is not None:
            if refusal.status_code == 401:  # makes browsers ask for user and password
                refusal.headers["WWW-Authenticate"] = 'Basic realm="monitor", charset="UTF-8"'
            return refusal
        caller, needed = caller_of(scope), mlflow_roles.needed(scope["method"], scope["path"])
        if caller.project is not None:
            problem = f"token {caller.name!r} reaches project {caller.project!r} alone"
            return of_error(Forbidden(f"{problem}; MLflow's routes need a token of all projects"))
        if not caller.access.covers(needed):
            return of_error(Forbidden(f"{scope['method']} {scope['path']} needs the role {needed}"))
        return None

    async def _stranger(self, scope: Scope, headers: _Headers, token: str | None) -> Response | None:
        """Why the caller is refused before authentication; None if they are not."""
        refusal = None if scope["path"] in OPEN else await self._let_in(scope, headers, token)
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._keys.required and not local_name(host_name(host)):
            detail = f"a server without a token does not answer to the name {host_name(host)}; set MONITOR_TOKEN"
            return of_refusal(Refused(403, "host", detail))
        origin = headers.get(b"origin")
        if origin is not None and not same_origin(origin.decode("latin-1"), host):
            return of_refusal(Refused(403, "origin", f"pages of {origin.decode('latin-1')} may not use this server"))
        return refusal

    async def _let_in(self, scope: Scope, headers: _Headers, token: str | None) -> Response | None:
        """Authenticate the caller for the routes; return a refusal if that fails."""
        try:
            await self._keys.refresh(token)
        except StoreError as error:
            return of_error(error)
        client = scope.get("client")
        caller = self._keys.caller(token, client[0] if client else "")
        if caller is None:
            host = headers.get(b"host", b"").decode("latin-1")
            return of_error(Unauthorized(f"{scope['scheme']}://{host}"))
        wait_s = self._keys.wait_s(token)
        if wait_s > 0:
            detail = f"token {caller.name!r} makes more requests than rate_limit allows; wait {wait_s:.2g} s"
            refusal = of_refusal(Refused(429, "rate-limited", detail))
            refusal.headers["Retry-After"] = str(math.ceil(wait_s))
            return refusal
        scope[CALLER] = caller
        return None

    def _unwanted(self, scope: Scope, headers: _Headers, has_body: bool) -> Response | None:
        """Why the request is refused for its form or for load; None if it is accepted."""
        if has_body and scope["method"] not in _SAFE:
            # A page of another site can send neither without CORS headers from this server, which sends none.
            kind = media_type(headers)
            if kind not in (JSON, MEDIA_TYPE):
                detail = f"got {kind or 'no Content-Type'}, takes {MEDIA_TYPE} or {JSON}"
                return of_refusal(Refused(415, "media-type", detail))
            encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
            if encoding != "identity":
                detail = f"a body with Content-Encoding {encoding} is not taken; send it as it is"
                return of_refusal(Refused(415, "content-encoding", detail))
        if self._busy >= BUSY and scope["path"] not in OPEN and limit_of(scope["path"], headers) <= SMALL:
            return of_refusal(Refused(503, "overloaded", f"{self._busy} requests are being answered; try again"))
        return None


def caller_of(scope: Scope) -> Caller:
    """The authenticated caller of a request that passed the door."""
    found = scope[CALLER]
    assert isinstance(found, Caller)
    return found


def _hardened(send: Send, name: bytes) -> Send:
    """Add the request id and the security headers."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS, (HEADER, name)]
        await send(message)

    return with_headers


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Replay the body that was read, then the server's own messages, such as a disconnect."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(response: Response, receive: Receive, send: Send, *, unread: bool, comes: bool) -> None:
    """Send a refusal, and close the connection if part of a body is left on it.

    The response is sent at once. What the client still sends is then drained for a moment: closing a connection with
    unread bytes resets it, and the client might never see the reason.

    Args:
        unread: part of the request's body has not been read.
        comes: the client sends it in any case (it did not ask first with `Expect: 100-continue`).
    """
    if unread:
        response.headers["connection"] = "close"
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": bytes(response.body), "more_body": unread and comes})
    if not (unread and comes):
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            left = LINGER_BYTES
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    break
    await send({"type": "http.response.body", "body": b"", "more_body": False})
