"""How much of a request's body is taken, and for how long it may arrive."""

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
"""Bytes of a body, at most, where `LIMITS` does not say otherwise."""
LIMITS: Final[dict[tuple[str, str], int]] = {
    ("/api/v1/batches", MEDIA_TYPE): 64 * 2**20,
    ("/api/v1/batches", JSON): 16 * 2**20,
}
"""Bytes of a body, at most, by path and media type. A packed batch of `wire.MAX_POINTS` points takes 34 MB; JSON takes
many times its size in memory once it is read."""
HELD: Final = 256 * 2**20
"""Bytes of large bodies that are held at once, at most; who comes with more is asked to come again."""
BODY_S: Final = 30.0
"""Seconds for a body to arrive, besides those for its length at `RATE`."""
RATE: Final = 16 * 1024
"""Bytes a second that a body arrives with, at least."""

_log = logging.getLogger(__name__)


def media_type(headers: Mapping[bytes, bytes]) -> str:
    """The media type of the body, without its parameters, in lower case; "" where none is said."""
    return headers.get(b"content-type", b"").decode("latin-1").split(";", maxsplit=1)[0].strip().lower()


def limit_of(path: str, headers: Mapping[bytes, bytes]) -> int:
    """Bytes of a body, at most."""
    return LIMITS.get((path, media_type(headers)), SMALL)


class Intake:
    """The bodies that are on their way in, or being worked on."""

    def __init__(self) -> None:
        self._held = 0

    def no_room(self, size: int, limit: int, *, held: int = 0) -> Response | None:
        """Why a body is not taken; None while it is.

        Args:
            size: its bytes, announced or so far.
            limit: of them, at most.
            held: those of them that are here.
        """
        if size > limit:
            detail = f"the body has {size} bytes or more, at most {limit} are taken; send less at once"
            return of_refusal(Refused(413, "too-large", detail))
        if self._held + size - held > HELD and size > SMALL:
            return of_refusal(Refused(503, "overloaded", f"more than {HELD} bytes are on their way in; come again"))
        return None

    async def read(self, receive: Receive, limit: int) -> bytes | Response | None:
        """The whole body, which counts until it is `done`; or the answer that refuses it; None: the client is gone."""
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
        """The body is not needed any more."""
        self._held -= len(body)
