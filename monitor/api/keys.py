"""Authentication: the tokens that a server knows, and their rate limits."""

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
"""Seconds for which tokens are cached, and so how long a revoked one may still work."""
UNKNOWN_S: Final = 0.2
"""Minimum seconds between two reads because of an unknown token. Its request waits for the read, so a new token always
works, and guessing tokens causes no extra reads."""
PATIENCE_S: Final = 0.25
"""Seconds that a request waits for a refresh of the tokens."""
LATE_S: Final = 30.0
"""Age of the cache, in seconds, from which it waits as long as it takes."""
NOTED_S: Final = 60.0
"""Seconds between two writes of when tokens were last used."""

_log = logging.getLogger(__name__)


class Keys:
    """The tokens that a server accepts.

    The server requires one if `MONITOR_TOKEN` is set or a token was ever created; otherwise anybody who reaches it may
    do everything. All valid tokens are held in memory and refreshed every `FRESH_S`, so a request costs no query.

    Args:
        token: `MONITOR_TOKEN`, which has the role admin; None if unset.
        rate: requests per second and token; 0 for no limit.
        asks: require a token in any case.
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
        """True if every request needs a token."""
        return self._asks

    def forget(self, token_id: str | None = None) -> None:
        """Refresh the tokens at the next request: one was created or revoked."""
        self._known.pop(token_id or "", None)
        self._read_s = -math.inf

    async def refresh(self, given: str | None) -> None:
        """Refresh the tokens if they are stale or do not include this one.

        A slow database does not delay callers with known tokens: they continue with the last state read, unless that
        is older than `LATE_S`.

        Raises:
            StoreError: the tokens have never been read successfully.
        """
        came_s = time.monotonic()
        strange = self._strange(given)
        while self._read_s < came_s and (strange or came_s - self._read_s >= FRESH_S):
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._again(hurried=not strange))
            late = time.monotonic() - self._read_s >= LATE_S
            task = self._task  # another request may replace it meanwhile
            done, _ = await asyncio.wait({task}, timeout=None if strange or late else PATIENCE_S)
            if not done:
                return
            task.result()
            strange = strange and self._strange(given)

    async def _again(self, *, hurried: bool) -> None:
        if not hurried:
            await asyncio.sleep(max(0.0, self._read_s + UNKNOWN_S - time.monotonic()))
        self._limiter = self._limiter or anyio.CapacityLimiter(2)  # slow reads may hold all other threads
        await anyio.to_thread.run_sync(self._read, limiter=self._limiter)
        if time.monotonic() - self._noted_s >= NOTED_S:
            self._noted_s = time.monotonic()
            self._noting = asyncio.create_task(anyio.to_thread.run_sync(self.note, limiter=self._limiter))

    def _strange(self, given: str | None) -> bool:
        """True for a well-formed token that is not known."""
        return given is not None and (found := id_of(given)) is not None and found not in self._known

    def caller(self, given: str | None, address: str) -> Caller | None:
        """The caller with this token; None if it is unknown.

        Args:
            given: the token; None if there is none.
            address: the address that the request comes from.
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
        """Seconds until the holder of a known token may make a request; 0 for now, which counts as one.

        After being idle, a token may make a second's worth of requests at once.
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
        """Store when tokens were last used. Runs on a thread, and at shutdown."""
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
                raise  # without the tokens nobody can be authorised
            _log.warning("the tokens could not be read again; those that are known still hold")
        self._read_s = begun_s


def token_of(headers: Mapping[bytes, bytes], *, basic: bool = False) -> str | None:
    """The token of a request; None if it has none.

    Args:
        basic: also accept it as the password of any user, as browsers and MLflow's clients send it.
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
