"""The door: what every request meets before any route, and before a byte of its body is read.

Who is addressed (`Host`), from where (`Origin`), who asks (the token) and how often, in which media type, and how much:
each is asked here once for all routes, those to come included, so that no route can forget it. The body is read here
too, within its limit and in time; a route gets it whole or not at all. What the caller may do is up to the route
(`security.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.api.intake import JSON, SMALL, Intake, limit_of, media_type
from monitor.api.keys import Keys, token_of
from monitor.api.problems import Refused, of_error, of_refusal
from monitor.api.requests import CALLER, HEADER, logged, take_id
from monitor.domain import Access, Caller
from monitor.errors import Forbidden, StoreError, Unauthorized
from monitor.hosts import SECURITY_HEADERS, host_name, local_name, same_origin
from monitor.wire import MEDIA_TYPE

OPEN: Final = frozenset({"/healthz", "/readyz", "/signin"})
"""Answered without a token: probes and people who sign in have none, and these reveal nothing about the runs."""
BUSY: Final = 128
"""Requests besides batches that are being answered, at most; who comes then is asked to come again."""
LINGER_S: Final = 2.0
"""Seconds that a refused request's body is thrown away for: most clients read the answer only once they sent it."""
LINGER_BYTES: Final = 8 * 2**20
"""Bytes of it that are thrown away; then the connection is closed."""

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
        app: what lies behind.
        keys: the tokens. Where none is asked for, only requests that are addressed to this machine are let in.
    """

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys
        self._intake = Intake()
        self._busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] == "http":
            name = take_id(dict(scope["headers"]))
            await logged(self._http, scope, receive, _hardened(send, name))
        elif scope["type"] == "websocket":  # there are none
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
        """Why a request to MLflow's application at the same address is not let in; None if it is.

        MLflow looks at the name that a request is addressed to itself. Its routes know no projects of ours, so that
        only tokens of all projects open them.
        """
        headers: _Headers = dict(scope["headers"])
        refusal = await self._let_in(scope, headers, token_of(headers, basic=True))
        if refusal is not None:
            if refusal.status_code == 401:  # browsers ask for user and password then
                refusal.headers["WWW-Authenticate"] = 'Basic realm="monitor", charset="UTF-8"'
            return refusal
        caller, needed = caller_of(scope), _needed_by_mlflow(scope["method"], scope["path"])
        if caller.project is not None:
            problem = f"token {caller.name!r} reaches project {caller.project!r} alone"
            return of_error(Forbidden(f"{problem}; MLflow's routes need a token of all projects"))
        if not caller.access.covers(needed):
            return of_error(Forbidden(f"{scope['method']} {scope['path']} needs the role {needed}"))
        return None

    async def _stranger(self, scope: Scope, headers: _Headers, token: str | None) -> Response | None:
        """Why whoever asks is not let in; None if they are."""
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
        """Find out who asks, for the routes; or why they are not let in."""
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
        """Why the request is not taken in this shape, or not now; None if it is."""
        if has_body and scope["method"] not in _SAFE:
            # Neither can be sent from another site's page unless this server says so, which it never does.
            kind = media_type(headers)
            if kind not in (JSON, MEDIA_TYPE):
                detail = f"got {kind or 'no Content-Type'}, takes {MEDIA_TYPE} or {JSON}"
                return of_refusal(Refused(415, "media-type", detail))
            encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
            if encoding != "identity":
                detail = f"a body with Content-Encoding {encoding} is not taken; send it as it is"
                return of_refusal(Refused(415, "content-encoding", detail))
        if self._busy >= BUSY and scope["path"] not in OPEN and limit_of(scope["path"], headers) <= SMALL:
            return of_refusal(Refused(503, "overloaded", f"{self._busy} requests are being answered; come again"))
        return None


def caller_of(scope: Scope) -> Caller:
    """Who makes a request that the door has let in."""
    found = scope[CALLER]
    assert isinstance(found, Caller)
    return found


def _needed_by_mlflow(method: str, path: str) -> Access:
    """The role that a route of MLflow's needs, by its method and the verb that its path ends in.

    >>> [str(_needed_by_mlflow("POST", f"/api/2.0/mlflow/runs/{verb}")) for verb in ("search", "log-batch", "delete")]
    ['viewer', 'logger', 'editor']
    """
    verb = path.rstrip("/").rpartition("/")[2]
    if method in _SAFE or verb.startswith(("search", "get", "list", "graphql")):
        return Access.VIEWER
    return Access.EDITOR if method == "DELETE" or verb.startswith(("delete", "restore")) else Access.LOGGER


def _hardened(send: Send, name: bytes) -> Send:
    """Add the request's id, and the headers that make browsers take an answer only for what it is, and nowhere else."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS, (HEADER, name)]
        await send(message)

    return with_headers


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read; then what the server says itself, such as that the client is gone."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(response: Response, receive: Receive, send: Send, *, unread: bool, comes: bool) -> None:
    """Answer, and close the connection where a body is left on it.

    The answer is whole at once. What the client still sends is thrown away for a moment before its end is said: a
    connection that is closed on top of unread bytes is reset, and the client may never see why.

    Args:
        response: the answer.
        receive: of the request.
        send: of the request.
        unread: the request has a body, not all of which was read.
        comes: the client sends it in any case; one that asked first (100-continue) does not.
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
