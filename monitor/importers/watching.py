"""Sources that are looked at again and again: which of them have changed, and when to read them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Final

from monitor.domain import Reply
from monitor.errors import FileUnreadable, MonitorError
from monitor.importers.following import HEARTBEAT_S, OVER_S, Follower, Note
from monitor.importers.imported import ImportedRun, NotTraining
from monitor.importers.sources import Source, sources
from monitor.importers.twins import Twins
from monitor.wire import Batch

_SEARCH_S: Final = 5.0
"""Seconds between two searches of a folder, at least; so many more the longer a search takes."""
_SHARE: Final = 10
"""A file is read again after so many times as long as the reading took, at least."""
_AGAIN_S: Final = 1.0
_MOST_WAIT_S: Final = 30.0
_MOST_FILES: Final = 500
"""Files of one folder that are looked at for changes."""

Signature = tuple[tuple[int, int, int], ...]


@dataclass(slots=True)
class Watched:
    """One source and what is known of it.

    Attributes:
        source: what is read.
        followers: its runs, by their name where there are several.
        problem: why it cannot be read or sent, in one line; "" where it can.
    """

    source: Source
    followers: dict[str, Follower] = field(default_factory=dict)
    problem: str = ""
    signature: Signature = ()
    due: float = 0.0
    beat: float = 0.0
    failures: int = 0
    seen: bool = False
    over: bool = False
    ignored: bool = False
    left: int = 0
    """Inode of the file that was read last before another took its place, and was read to its end."""


class Watch:
    """Follows sources.

    Args:
        paths: files and folders; what is not there yet is waited for.
        folder: where to keep what was sent.
        destination: where it is sent, to tell notes for several places apart.
        send: a sink's `send`.
        project: of all runs.
        pattern: for text logs.
    """

    def __init__(
        self,
        paths: Sequence[str],
        folder: Path,
        destination: str,
        send: Callable[[Batch], Reply],
        *,
        project: str | None = None,
        pattern: str | None = None,
    ) -> None:
        self._paths, self._folder, self._destination, self._send = paths, folder, destination, send
        self._project, self._pattern = project, pattern
        self._watched: dict[str, Watched] = {}
        self._twins = Twins()
        self._search_at = 0.0

    @property
    def watched(self) -> tuple[Watched, ...]:
        """What is followed, in the order in which it was found; without what holds no training."""
        return tuple(each for each in self._watched.values() if not each.ignored)

    def step(self, now_s: float) -> bool:
        """Look once at everything; True where something was read or sent.

        Args:
            now_s: seconds since the epoch.
        """
        if now_s >= self._search_at:
            begun = perf_counter()
            self._search()
            self._search_at = now_s + max(_SEARCH_S, 50 * (perf_counter() - begun))
        changed = False
        for each in self._watched.values():
            if now_s >= each.due:
                changed = self._look(each, now_s) or changed
        return changed

    def _search(self) -> None:
        for path in self._paths:
            for source in sources(path, self._pattern):
                key = source.place or source.shown
                known = self._watched.setdefault(key, Watched(source))
                known.source = source

    def _look(self, each: Watched, now_s: float) -> bool:
        files = _files(each.source)
        signature = _signature(files)
        if not signature and files and not each.seen and not each.problem:
            each.problem = f"{each.source.shown}: is not there yet"
            return True
        unsure = any(follower.unsure for follower in each.followers.values())
        if signature == each.signature and not each.failures and not unsure:
            return self._beat(each, now_s)
        begun = perf_counter()
        try:
            self._renamed(each, files, now_s)
            changed = self._read(each, signature, now_s)
            each.signature, each.failures = signature, 0
        except MonitorError as error:
            each.problem = str(error)
            each.failures += 1
            each.due = now_s + min(_MOST_WAIT_S, 2.0 ** min(each.failures - 1, 8))
            return True
        unsure = any(follower.unsure for follower in each.followers.values())
        each.due = now_s + max(_AGAIN_S if unsure else 0.0, _SHARE * (perf_counter() - begun))
        return changed

    def _read(self, each: Watched, signature: Signature, now_s: float) -> bool:
        over = (
            (each.over or not each.seen)
            and bool(signature)
            and now_s - max(mtime for _, mtime, _ in signature) / 1e9 > OVER_S
        )
        each.over = over
        found = list(replace(each.source, growing=not over).read(None if each.seen else self._twins))
        runs = [run for run in found if isinstance(run, ImportedRun)]
        first, each.seen = not each.seen, each.seen or bool(runs)
        each.ignored = bool(found) and all(isinstance(other, NotTraining) for other in found)
        problem = next((str(other) for other in found if isinstance(other, FileUnreadable)), "")
        each.problem = problem if first else ""  # one that was read before is being written just now
        inode = signature[0][2] if len(signature) == 1 else 0
        changed = bool(each.problem)
        for run in runs:
            follower = self._follower(each, run.name if len(runs) > 1 else "")
            done = over or (run.kind in ("wandb", "mlflow") and run.finished_ms is not None)
            changed = follower.take(run, over=done, now_ms=int(now_s * 1000), inode=inode) > 0 or changed
            each.beat = now_s
        return changed

    def _follower(self, each: Watched, name: str) -> Follower:
        if name not in each.followers:
            place = f"{each.source.place or each.source.shown}\0{name}"
            mark = hashlib.sha256(f"{place}\0{self._destination}\0{self._project}".encode()).hexdigest()[:32]
            each.followers[name] = Follower(place, Note(self._folder / f"{mark}.json"), self._send, self._project)
        return each.followers[name]

    def _renamed(self, each: Watched, files: Sequence[Path], now_s: float) -> None:
        """Where another file has taken the place of the one that was read, read that one to its end, if it is there."""
        if len(files) != 1 or not files[0].is_file():
            return
        inode = self._follower(each, "").inode if set(each.followers) <= {""} else 0
        if inode in (0, each.left, files[0].stat().st_ino):
            return
        each.left = inode
        for other in files[0].parent.iterdir():
            if other.name.startswith(files[0].name) and other.is_file() and other.stat().st_ino == inode:
                for run in replace(each.source, path=other, searched=False, growing=False).read():
                    if isinstance(run, ImportedRun):
                        self._follower(each, "").take(run, over=False, now_ms=int(now_s * 1000), inode=inode)

    def _beat(self, each: Watched, now_s: float) -> bool:
        if now_s - each.beat >= HEARTBEAT_S / 3:
            each.beat = now_s
            try:
                for follower in each.followers.values():
                    follower.beat()
            except MonitorError as error:
                each.problem = str(error)
                return True
        return False


def _files(source: Source) -> list[Path]:
    if source.parts:
        return [path for files in source.parts.values() for path in files]
    if source.path is None:
        return []
    if source.path.name == "meta.yaml" or source.path.is_dir():
        folder = source.path if source.path.is_dir() else source.path.parent
        found: list[Path] = []
        for here, _, names in os.walk(folder):
            found += [Path(here) / name for name in names]
            if len(found) > _MOST_FILES:
                break
        return sorted(found)[:_MOST_FILES]
    return [source.path]


def _signature(files: Sequence[Path]) -> Signature:
    """Size, time and inode of each file that is there."""
    found = []
    for path in files:
        try:
            about = path.stat()
        except OSError:
            continue
        found.append((about.st_size, about.st_mtime_ns, about.st_ino))
    return tuple(found)
