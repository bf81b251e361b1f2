"""Supplies a journal with segments: allocated ahead of time, within the quota, synced when full.

Creating a segment takes milliseconds (blocks, page faults). A background thread (`run.background.Keeper`) does it ahead
of time, so that a loop that fills a segment continues in the next one at once.
"""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Final

from monitor.journal.segment import FIRST_BYTES, HEADER_SIZE, LAST_BYTES, MOST_BYTES, Segment, size_on_disk

RETRY_S: Final = 1.0
"""Seconds between attempts to allocate a segment on a full disk."""


class Supply:
    """The segments of one writer's folder.

    Args:
        folder: the writer's folder; created if missing.
        quota: target for the bytes on disk. Never more than twice as many.
        first_bytes: length of the first segment. Each further one doubles, up to 4 MiB or a fraction of the quota.

    Attributes:
        next_bytes: length of the next segment.
        retry_at: `time.monotonic()` before which no new segment is tried.

    Raises:
        OSError: the folder cannot be created.
    """

    def __init__(self, folder: Path, *, quota: int, first_bytes: int = FIRST_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.next_bytes = min(first_bytes, max(16 * 1024, quota // 32))
        self.retry_at = 0.0
        self._quota = quota
        self._prepare_at = 0.0
        self._number = 0
        self._spares: list[tuple[Segment, bool]] = []
        """At most one, with whether nine tenths of the quota are used. Popping it makes the caller its only owner."""
        self._sealed: list[Segment] = []

    def first(self) -> Segment:
        """The first segment."""
        segment = self._create(0)
        segment.take(0)
        return segment

    def next(self, need: int) -> tuple[Segment, bool] | None:
        """The next segment, with room for `need` bytes, and whether nine tenths of the quota are used.

        Returns:
            None if the disk is full or twice the quota is used. The disk is then not tried again for a second.
        """
        if monotonic() < self.retry_at:
            return None
        try:
            found = self._spare(need) or (self._create(need), self._full())
            found[0].take(self._number + 1)
        except OSError:
            self.retry_at = monotonic() + RETRY_S
            return None
        self._number += 1
        return found

    def _spare(self, need: int) -> tuple[Segment, bool] | None:
        while self._spares:
            spare, full = self._spares.pop()
            if spare.limit >= HEADER_SIZE + need:
                return spare, full
            spare.discard()
        return None

    def prepare(self) -> None:
        """Create a spare segment. Called by the keeper's thread.

        A faster loop creates its own segment in the meantime, in another file, and uses the spare next time. Neither
        waits.
        """
        if self._spares or monotonic() < self._prepare_at:
            return
        try:
            spare = self._create(0)
        except OSError:
            self._prepare_at = monotonic() + RETRY_S
            return
        spare.populate()
        self._spares.append((spare, self._full()))

    def seal(self, segment: Segment) -> None:
        """Seal a full segment, to be synced and closed later."""
        segment.seal()
        self._sealed.append(segment)

    def sync(self, *, flush: bool) -> None:
        """Sync and close the sealed segments. Called by the keeper's thread."""
        while self._sealed:
            if flush:
                self._sealed[0].sync()
            self._sealed.pop(0).close()

    def close(self) -> None:
        """Close all open segments and delete the spare."""
        while self._spares:
            self._spares.pop()[0].discard()
        for segment in self._sealed:
            segment.close()
        self._sealed = []

    def _create(self, need: int) -> Segment:
        if size_on_disk(self.folder) > 2 * self._quota:
            raise OSError("the journal is at twice its quota")
        room = need + HEADER_SIZE + LAST_BYTES + 64
        least = -(-room // 4096) * 4096 if need else 0
        size = max(self.next_bytes, least)
        while True:
            try:
                segment = Segment.spare(self.folder, size)
                break
            except OSError:  # the disk is nearly full: try a smaller one
                if size <= max(least, FIRST_BYTES // 4):
                    raise
                size = max(least, size // 4)
        # A segment is deleted only as a whole, so it stays small compared with the quota.
        self.next_bytes = min(2 * self.next_bytes, MOST_BYTES, max(self.next_bytes, self._quota // 32))
        return segment

    def _full(self) -> bool:
        return size_on_disk(self.folder) > 0.9 * self._quota
