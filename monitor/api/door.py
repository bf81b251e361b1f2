"""The door: what every request meets before any route, and before a byte of its body is read.

Who is addressed (`Host`), from where (`Origin`), who asks (the token), in which media type, and how much: each is asked
here once for all routes, those to come included, so that no route can forget it. The body is read here too, within its
limit and in time; a route gets it whole or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.api.intake import JSON, SMALL, Intake, limit_of, media_type
from monitor.api.problems import Refused, of_error, of_refusal
from monitor.errors import Unauthorized
from monitor.hosts import SECURITY_HEADERS, host_name, local_name, same_origin
from monitor.wire import MEDIA_TYPE

OPEN: Final = frozenset({"/healthz", "/readyz"})
"""Answered without a token: probes have none, and these reveal nothing about the runs."""
BUSY: Final = 128
"""Requests besides batches that are being answered, at most; who comes then is asked to come again."""
LINGER_S: Final = 2.0
"""Seconds that a refused request's body is thrown away for: most clients read the answer only once they sent it."""
LINGER_BYTES: Final = 8 * 2**20
"""Bytes of it that are thrown away; then the connection is closed."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final = (
    *SECURITY_HEADERS,
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_Headers = Mapping[bytes, bytes]


class Door:
    """The outermost layer of the API.

    Args:
        app: what lies behind.
        token: what a request has to carry; None: only those that are addressed to this machine are let in.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._intake = Intake()
        self._busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] == "http":
            await self._http(scope, receive, _hardened(send))
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
            self._stranger(scope, headers)
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

    def _stranger(self, scope: Scope, headers: _Headers) -> Response | None:
        """Why whoever asks is not let in; None if they are."""
        host = headers.get(b"host", b"").decode("latin-1")
        if self._token is None and not local_name(host_name(host)):
            detail = f"a server without a token does not answer to the name {host_name(host)}; set MONITOR_TOKEN"
            return of_refusal(Refused(403, "host", detail))
        origin = headers.get(b"origin")
        if origin is not None and not same_origin(origin.decode("latin-1"), host):
            return of_refusal(Refused(403, "origin", f"pages of {origin.decode('latin-1')} may not use this server"))
        if self._token is not None and scope["path"] not in OPEN and not self._known(headers):
            return of_error(Unauthorized(f"{scope['scheme']}://{host}"))
        return None

    def _known(self, headers: _Headers) -> bool:
        """Whether the request carries the token; compared in constant time."""
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        assert self._token is not None
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token)

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


def _hardened(send: Send) -> Send:
    """Add the headers that make browsers take an answer only for what it is, and nowhere else."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
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
