"""Fast, strict JSON responses, compressed where it pays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.wire import POINTS_MEDIA_TYPE, jsonable


def json_response(
    data: Mapping[str, object] | Sequence[object],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> Response:
    """Strict JSON. Non-finite floats become "NaN", "Infinity" or "-Infinity"."""
    try:
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError):
        text = json.dumps(jsonable(data), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # JSON may contain a lone surrogate as an escape, which cannot be encoded in UTF-8.
    return Response(text.encode(errors="replace"), status, headers, media_type)


class CompressRemote:
    """Compresses responses that cross a network. On loopback, and for packed points, it would only cost time."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.compressed = GZipMiddleware(app, minimum_size=2048, compresslevel=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the compressing application or to the plain one."""
        app = self.compressed if scope["type"] == "http" and _worth_it(scope) else self.app
        await app(scope, receive, send)


def _worth_it(scope: Scope) -> bool:
    client = scope.get("client")
    if client is None or client[0] in {"127.0.0.1", "::1", "localhost"}:
        return False
    return not any(k == b"accept" and POINTS_MEDIA_TYPE.encode() in v for k, v in scope["headers"])
