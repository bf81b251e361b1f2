"""Where a journal gets its segments from: each ready before it is needed, within the quota, synced when it is full.

Making a segment takes milliseconds: blocks are allocated, pages are found. The keeper's thread does that ahead of time,
so that a loop that fills a segment continues in the next one at once.
"""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Final

from monitor.journal.segment import FIRST_BYTES, HEADER_SIZE, LAST_BYTES, MOST_BYTES, Segment, size_on_disk

RETRY_S: Final = 1.0
"""Seconds between tries to allocate a segment on a disk that is full."""


class Supply:
    """The segments of one writer's folder.

    Args:
        folder: the writer's folder; made if it is missing.
        quota: bytes on disk that are aimed at; never more than twice as many.
        first_bytes: length of the first segment; each further one doubles up to 4 MiB, or a part of the quota.

    Attributes:
        next_bytes: length of the next segment.
        retry_at: `time.monotonic()` before which no segment is asked for again.

    Raises:
        OSError: the folder cannot be made.
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
        """At most one; whoever takes it out of here has it alone."""
        self._sealed: list[Segment] = []

    def first(self) -> Segment:
        """The first segment.

        Raises:
            OSError: the disk is full.
        """
        segment = self._create(0)
        segment.take(0)
        return segment

    def next(self, need: int) -> tuple[Segment, bool] | None:
        """The next segment, with room for so many bytes, and whether nine tenths of the quota are used.

        Returns:
            None where the disk or twice the quota is full; the disk is not asked again for a second.
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
        """Have a spare segment ready; called from the keeper's thread.

        A loop that is faster makes its own meanwhile, another file, and takes this one the next time. Neither waits.
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
        """Take a full segment, which is to be synced and closed."""
        segment.seal()
        self._sealed.append(segment)

    def sync(self, *, flush: bool) -> None:
        """Sync and close the segments that were sealed; called from the keeper's thread.

        Raises:
            OSError: the disk refuses.
        """
        while self._sealed:
            if flush:
                self._sealed[0].sync()
            self._sealed.pop(0).close()

    def close(self) -> None:
        """Close what is open, and drop the spare."""
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
            except OSError:  # the disk is nearly full: take what there is
                if size <= max(least, FIRST_BYTES // 4):
                    raise
                size = max(least, size // 4)
        self.next_bytes = min(2 * self.next_bytes, MOST_BYTES, max(self.next_bytes, self._quota // 32))
        return segment

    def _full(self) -> bool:
        return size_on_disk(self.folder) > 0.9 * self._quota
