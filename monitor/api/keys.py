"""Who makes a request: the tokens that a server knows, and how often each of them may ask."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Final

import anyio
import anyio.to_thread

from monitor.domain import Access, Caller, TokenInfo
from monitor.errors import StoreError
from monitor.store import Store
from monitor.store.access import digest_of, id_of

FRESH_S: Final = 2.0
"""Seconds for which the tokens are known without asking the database: how long a revoked one may still work."""
UNKNOWN_S: Final = 0.2
"""Seconds between two looks for a token that is not known: its request waits, so that a new token always works, and
guessing costs no reads."""
PATIENCE_S: Final = 0.25
"""Seconds that a request waits for the tokens to be read again."""
LATE_S: Final = 30.0
"""Seconds after which it waits as long as it takes."""
NOTED_S: Final = 60.0
"""Seconds between two notes of when tokens were last used."""

_log = logging.getLogger(__name__)


class Keys:
    """The tokens that a server takes.

    The server asks for one if `MONITOR_TOKEN` is set or a token was ever created; else whoever reaches it may do all.
    All valid tokens are held in memory and read again every `FRESH_S`, so that a request costs no query.

    Args:
        store: where the tokens are.
        token: `MONITOR_TOKEN`, which has the role admin; None for none.
        clock: milliseconds since the epoch.
        rate: requests a second that one token may make; 0 for any number.
        asks: ask for a token in any case.
    """

    def __init__(
        self, store: Store, token: str | None, clock: Callable[[], int], rate: float = 0.0, *, asks: bool = False
    ) -> None:
        self._store, self._clock, self._rate = store, clock, rate
        self._token = None if token is None else token.encode()
        self._known: dict[str, tuple[TokenInfo, str]] = {}
        self._asks = asks or token is not None
        self._open = False
        self._read_s, self._noted_s = -math.inf, time.monotonic()
        self._used: dict[str, int] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._limiter: anyio.CapacityLimiter | None = None
        self._task: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None

    @property
    def required(self) -> bool:
        """True where every request has to carry a token."""
        return self._asks

    def forget(self, token_id: str | None = None) -> None:
        """Read the tokens again at the next request: one was created here, or this one was revoked."""
        self._known.pop(token_id or "", None)
        self._read_s = -math.inf

    async def refresh(self, given: str | None) -> None:
        """Read the tokens again where they are no longer fresh, or where this one is not among them.

        A slow database does not hold up those whose tokens are known: they continue with what was read last, unless
        that is older than `LATE_S`.

        Raises:
            StoreError: they could never be read.
        """
        came_s = time.monotonic()
        strange = self._strange(given)
        while self._read_s < came_s and (strange or came_s - self._read_s >= FRESH_S):
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._again(hurried=not strange))
            late = time.monotonic() - self._read_s >= LATE_S
            task = self._task  # another request may put a later one in its place
            done, _ = await asyncio.wait({task}, timeout=None if strange or late else PATIENCE_S)
            if not done:
                return
            task.result()
            strange = strange and self._strange(given)

    async def _again(self, *, hurried: bool) -> None:
        if not hurried:
            await asyncio.sleep(max(0.0, self._read_s + UNKNOWN_S - time.monotonic()))
        self._limiter = self._limiter or anyio.CapacityLimiter(2)  # slow reads may have all other threads
        await anyio.to_thread.run_sync(self._read, limiter=self._limiter)
        if time.monotonic() - self._noted_s >= NOTED_S:
            self._noted_s = time.monotonic()
            self._noting = asyncio.create_task(anyio.to_thread.run_sync(self.note, limiter=self._limiter))

    def _strange(self, given: str | None) -> bool:
        """True for what looks like one of our tokens and is none that is known."""
        return given is not None and (found := id_of(given)) is not None and found not in self._known

    def caller(self, given: str | None, address: str) -> Caller | None:
        """Who carries this token; None for nobody that the server knows.

        Args:
            given: the token, None for none.
            address: where the request comes from.
        """
        if not self._asks:
            return Caller(name="local", access=Access.ADMIN, address=address, asked=False)
        if given is None:
            return None
        if self._token is not None and hmac.compare_digest(given.encode(), self._token):
            return Caller(name="MONITOR_TOKEN", access=Access.ADMIN, address=address)
        token_id = id_of(given)
        if token_id is None or token_id not in self._known:
            return None
        token, digest = self._known[token_id]
        now_ms = self._clock()
        if not hmac.compare_digest(digest, digest_of(given)) or not token.valid(now_ms):
            return None
        self._used[token_id] = now_ms
        return Caller(name=token.name, access=token.role, project=token.project, address=address)

    def wait_s(self, given: str | None) -> float:
        """Seconds until the holder of a known token may ask again; 0 for now, which counts as a request.

        A token that was idle may make a second's worth of requests at once.
        """
        if self._rate <= 0:
            return 0.0
        who, now = id_of(given or "") or "", time.monotonic()
        left, then = self._buckets.get(who, (self._rate, now))
        left = min(max(self._rate, 1.0), left + (now - then) * self._rate)
        if left < 1:
            return (1 - left) / self._rate
        self._buckets[who] = (left - 1, now)
        return 0.0

    def note(self) -> None:
        """Store when tokens were last used; on a thread, and at the end of the server."""
        used, self._used = self._used, {}
        if used:
            try:
                self._store.note_token_use(used)
            except StoreError as error:
                _log.warning("when tokens were last used could not be stored: %s", error)

    def _read(self) -> None:
        begun_s = time.monotonic()
        try:
            self._known = self._store.digests(self._clock())
            self._asks = self._asks or bool(self._known) or self._store.has_tokens()
            self._open = not self._asks
        except StoreError:
            if not self._asks and not self._open:
                raise  # who may do what is not known, so nobody may do anything
            _log.warning("the tokens could not be read again; those that are known still hold")
        self._read_s = begun_s


def token_of(headers: Mapping[bytes, bytes], *, basic: bool = False) -> str | None:
    """The token that a request carries; None for none.

    Args:
        headers: of the request.
        basic: take the password of any user too, as browsers and MLflow's clients send it.
    """
    scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
    given = given.strip()
    if basic and scheme.lower() == b"basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except binascii.Error:
            return None
    elif scheme.lower() != b"bearer":
        return None
    return given.decode("latin-1") if given else None
