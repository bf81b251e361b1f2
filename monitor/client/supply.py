"""Where a journal gets its segments from: each ready before it is needed, within the quota, synced when it is full.

Making a segment takes milliseconds: blocks are allocated, pages are found. The keeper's thread does that ahead of time,
so that a loop that fills a segment goes on in the next one at once.
"""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Final

from monitor.client.segment import FIRST_BYTES, HEADER_SIZE, MOST_BYTES, Segment, size_on_disk

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
        self._sealed: list[Segment] = []

    def first(self) -> Segment:
        """The first segment.

        Raises:
            OSError: the disk is full.
        """
        return self._create(0, 0)

    def next(self, need: int) -> tuple[Segment, bool] | None:
        """The next segment, with room for so many bytes, and whether nine tenths of the quota are used.

        Returns:
            None where the disk or twice the quota is full; the disk is not asked again for a second.
        """
        if monotonic() < self.retry_at:
            return None
        number = self._number = self._number + 1
        while self._spares:
            spare, full = self._spares.pop()
            if spare.number == number and spare.limit >= HEADER_SIZE + need:
                return spare, full
            spare.close()  # too small, or too late: its file is taken over
        try:
            return self._create(number, need), self._full()
        except OSError:
            self._number -= 1
            self.retry_at = monotonic() + RETRY_S
            return None

    def prepare(self) -> None:
        """Have the next segment ready; called from the keeper's thread.

        A loop that is faster opens the same file meanwhile, and this mapping of it is given up. Neither waits.
        """
        if self._spares or monotonic() < self._prepare_at:
            return
        number = self._number + 1
        try:
            spare = self._create(number, 0)
        except OSError:
            self._prepare_at = monotonic() + RETRY_S
            return
        spare.populate()
        self._spares.append((spare, self._full()))
        if self._number >= number and self._spares:
            self._spares.pop()[0].close()

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
            spare, _ = self._spares.pop()
            spare.path.unlink(missing_ok=True)
            spare.close()
        for segment in self._sealed:
            segment.close()
        self._sealed = []

    def _create(self, number: int, need: int) -> Segment:
        if number and size_on_disk(self.folder) > 2 * self._quota:
            raise OSError("the journal is at twice its quota")
        least = -(-(need + HEADER_SIZE + 64) // 4096) * 4096
        size = max(self.next_bytes, least)
        while True:
            try:
                segment = Segment.create(self.folder, number, size)
                break
            except OSError:  # the disk is nearly full: take what there is
                if size <= max(least, FIRST_BYTES // 4):
                    raise
                size = max(least, size // 4)
        self.next_bytes = min(2 * self.next_bytes, MOST_BYTES, max(self.next_bytes, self._quota // 32))
        return segment

    def _full(self) -> bool:
        return size_on_disk(self.folder) > 0.9 * self._quota
