"""Waiting for runs to change: one poll of the store serves all waiting requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio
import anyio.to_thread

LOOK_S: Final = 0.25
"""Seconds between two polls of the store. Polling is needed because another process may write points."""
WAIT_S: Final = 25.0
"""Maximum seconds that a request waits; its client gives up after 30."""


class Watch:
    """The poll that all waiting requests share.

    Args:
        read: the versions of runs by id; called on a thread.
    """

    def __init__(self, read: Callable[[Sequence[str]], Mapping[str, int]]) -> None:
        self._read = read
        self._wanted: Counter[str] = Counter()
        self._turn = anyio.Lock()
        self._hand = anyio.CapacityLimiter(1)
        self._found: Mapping[str, int] = {}
        self._asked: frozenset[str] = frozenset()
        self._looked_s = float("-inf")

    async def changed(self, run_ids: Sequence[str], seen: Mapping[str, int], deadline_s: float) -> bool:
        """Wait until one of the runs has another version than was seen; False if none does in time.

        Args:
            seen: their versions when last seen.
            deadline_s: by `anyio.current_time`.
        """
        self._wanted.update(run_ids)
        try:
            while True:
                found = await self._look()
                if any(
                    found.get(run_id) != seen.get(run_id) for run_id in run_ids if run_id in found or run_id in seen
                ):
                    return True
                left = deadline_s - anyio.current_time()
                if left <= 0:
                    return False
                await anyio.sleep(min(LOOK_S, left))
        finally:
            self._wanted.subtract(run_ids)
            self._wanted += Counter()  # drops zero counts

    async def _look(self) -> Mapping[str, int]:
        """The versions of all watched runs, at most `LOOK_S` old."""
        async with self._turn:
            wanted = list(self._wanted)
            if anyio.current_time() - self._looked_s >= LOOK_S or not all(run_id in self._asked for run_id in wanted):
                self._found = await anyio.to_thread.run_sync(self._read, wanted, limiter=self._hand)
                self._asked = frozenset(wanted)
                self._looked_s = anyio.current_time()
            return self._found
