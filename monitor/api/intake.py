"""Limits on request bodies: size, time, and total memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.types import Receive

from monitor.api.problems import Refused, of_refusal
from monitor.wire import MEDIA_TYPE

JSON: Final = "application/json"
SMALL: Final = 64 * 1024
"""Maximum body size in bytes, unless `LIMITS` says otherwise."""
LIMITS: Final[dict[tuple[str, str], int]] = {
    ("/api/v1/batches", MEDIA_TYPE): 64 * 2**20,
    ("/api/v1/batches", JSON): 16 * 2**20,
}
"""Maximum body size in bytes, by path and media type. A packed batch of `wire.MAX_POINTS` points takes 34 MB; JSON
takes many times its size in memory once parsed."""
HELD: Final = 256 * 2**20
"""Maximum bytes of large bodies in memory at once; further ones get 503 with Retry-After."""
BODY_S: Final = 30.0
"""Seconds for a body to arrive, plus its length divided by `RATE`."""
RATE: Final = 16 * 1024
"""Bytes a second that a body arrives with, at least."""

_log = logging.getLogger(__name__)


def media_type(headers: Mapping[bytes, bytes]) -> str:
    """The body's media type in lower case, without parameters; "" if there is none."""
    return headers.get(b"content-type", b"").decode("latin-1").split(";", maxsplit=1)[0].strip().lower()


def limit_of(path: str, headers: Mapping[bytes, bytes]) -> int:
    """The maximum size of a body in bytes."""
    return LIMITS.get((path, media_type(headers)), SMALL)


class Intake:
    """Keeps account of the bodies that are being received or processed."""

    def __init__(self) -> None:
        self._held = 0

    def no_room(self, size: int, limit: int, *, held: int = 0) -> Response | None:
        """Why a body is refused; None if it is accepted.

        Args:
            size: its bytes, as announced or received so far.
            limit: its maximum.
            held: its bytes that are already counted.
        """
        if size > limit:
            detail = f"the body has {size} bytes or more, at most {limit} are taken; send less at once"
            return of_refusal(Refused(413, "too-large", detail))
        if self._held + size - held > HELD and size > SMALL:
            return of_refusal(Refused(503, "overloaded", f"more than {HELD} bytes are on their way in; try again"))
        return None

    async def read(self, receive: Receive, limit: int) -> bytes | Response | None:
        """The whole body, counted until `done`; or the response that refuses it; None if the client disconnected."""
        parts: list[bytes] = []
        size, whole = 0, False
        begun = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(begun + BODY_S) as timeout:
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    self._held += len(parts[-1])
                    refusal = self.no_room(size, limit, held=size)
                    if refusal is not None:
                        return refusal
                    if not message.get("more_body", False):
                        whole = True
                        return b"".join(parts)
                    timeout.reschedule(begun + BODY_S + size / RATE)
        except TimeoutError:
            _log.warning("a request was given up: %d bytes of its body came in %g s", size, BODY_S + size / RATE)
            detail = f"the body has to come within {BODY_S:g} s and one more for each {RATE} bytes of it"
            return of_refusal(Refused(408, "too-slow", detail))
        finally:
            if not whole:
                self._held -= size

    def done(self, body: bytes) -> None:
        """Release a body."""
        self._held -= len(body)
