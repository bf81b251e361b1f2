"""Polls sources: which of them have changed, and when to read them again."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter, thread_time
from typing import Final

from monitor.domain import Reply
from monitor.errors import FileUnreadable, MonitorError
from monitor.importers.beginnings import Note
from monitor.importers.following import HEARTBEAT_S, OVER_S, Follower
from monitor.importers.imported import ImportedRun, NotTraining
from monitor.importers.sources import Source, sources
from monitor.importers.twins import Twins
from monitor.roles import NOTHING, Said
from monitor.wire import Batch

_SEARCH_S: Final = 5.0
"""Seconds between searches of a folder, at least; longer if a search takes long."""
_SHARE: Final = 10
"""A file is read again after at least this many times the duration of the last reading."""
_AGAIN_S: Final = 1.0  # wait before confirming an uncertain reading
_MOST_WAIT_S: Final = 30.0  # longest wait after repeated failures
_MOST_FILES: Final = 500
"""Files of a folder that are checked for changes, at most."""
_NUMBER: Final = re.compile(r"[-_.]*\d[-_.:T\d]*(?=\.|$)")
_MOST_PARTS: Final = 30
"""Earlier parts of a rotated log that are read, at most; the newest."""

Signature = tuple[tuple[int, int, int], ...]


@dataclass(slots=True)
class Watched:
    """One source and its state.

    Attributes:
        source: what is read.
        followers: its runs, by name if there are several.
        problem: why it cannot be read or sent, in one line; "" if it can.
        signature: size, time and inode of its files when last read.
        due: when to look at it next, in seconds since the Unix epoch.
        beat: when it last sent something.
        failures: failed attempts in a row.
        seen: True once a run was read from it.
        over: True while nothing writes to it any more.
        ignored: True if it holds no training.
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


class Watch:
    """Follows sources.

    Args:
        paths: files and folders; missing ones are waited for.
        folder: where to keep notes of what was sent.
        destination: where data is sent; each destination has its own notes.
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
        said: Said = NOTHING,
    ) -> None:
        self._said = said
        self._paths, self._folder, self._destination, self._send = paths, folder, destination, send
        self._project, self._pattern = project, pattern
        self._watched: dict[str, Watched] = {}
        self._twins = Twins()
        self._search_at = self._now_s = 0.0

    @property
    def watched(self) -> tuple[Watched, ...]:
        """The followed sources in the order they were found, without those that hold no training."""
        return tuple(each for each in self._watched.values() if not each.ignored)

    def step(self, now_s: float) -> bool:
        """Check everything once; True if anything was read or sent.

        Args:
            now_s: seconds since the Unix epoch.
        """
        if now_s < self._now_s:  # the clock was set back; what waits for the old time would wait that long
            self._search_at = 0.0
            for each in self._watched.values():
                each.due = each.beat = 0.0
        self._now_s = now_s
        if now_s >= self._search_at:
            begun = perf_counter()
            self._search()
            self._search_at = now_s + max(_SEARCH_S, 50 * (perf_counter() - begun))  # at most 2% of the time
        changed = False
        for each in self._watched.values():
            if now_s >= each.due:
                changed = self._look(each, now_s) or changed
        return changed

    def _search(self) -> None:
        for path in self._paths:
            for source in sources(path, self._pattern, self._said):
                key = source.place or source.shown
                known = self._watched.setdefault(key, Watched(source))
                known.source = source

    def _look(self, each: Watched, now_s: float) -> bool:
        source = _now(each)
        files = _files(source)
        signature = _signature(files)
        if not signature and files and not each.seen and not each.problem:
            each.problem = f"{each.source.shown}: is not there yet"
            return True
        unsure = any(follower.unsure for follower in each.followers.values())
        if signature == each.signature and not each.failures and not unsure:
            return self._beat(each, now_s)
        begun = thread_time()  # CPU time, so that waiting for others does not count
        try:
            each.signature = signature
            changed = self._read(each, source, signature, now_s)
            each.failures = 0
        except MonitorError as error:
            each.problem = str(error)
            each.failures += 1
            each.due = now_s + min(_MOST_WAIT_S, 2.0 ** min(each.failures - 1, 8))
            return True
        unsure = any(follower.unsure for follower in each.followers.values())
        each.due = now_s + max(_AGAIN_S if unsure else 0.0, _SHARE * (thread_time() - begun))
        return changed

    def _read(self, each: Watched, source: Source, signature: Signature, now_s: float) -> bool:
        # Only a file that was old when first seen is over: a training that is being watched may pause for long.
        over = (
            (each.over or not each.seen)
            and bool(signature)
            and now_s - max(mtime for _, mtime, _ in signature) / 1e9 > OVER_S
        )
        each.over = over
        found = list(replace(source, growing=not over).read(None if each.seen else self._twins))
        runs = [run for run in found if isinstance(run, ImportedRun)]
        if not each.seen and any(self._was_part(each, run) for run in runs):
            each.ignored = True
            return False
        first, each.seen = not each.seen, each.seen or bool(runs)
        each.ignored = bool(found) and all(isinstance(other, NotTraining) for other in found)
        problem = next((str(other) for other in found if isinstance(other, FileUnreadable)), "")
        each.problem = problem if first else ""  # one that was readable before is just being written
        changed = bool(each.problem) or (first and bool(runs))
        for run in runs:
            follower = self._follower(each, run.name if len(runs) > 1 or run.part else "")
            if not follower.holds(run):
                if source is not each.source:
                    continue
                if len(runs) == 1 and not self._catch_up(each, follower, now_s):
                    each.signature = ()  # look again at once
                    continue
            # W&B and MLflow record the end of a run; other files just stop growing.
            done = over or (run.kind in ("wandb", "mlflow") and run.finished_ms is not None)
            changed = follower.take(run, over=done, now_ms=int(now_s * 1000)) > 0 or changed
            each.beat = now_s
        return changed

    def _was_part(self, each: Watched, run: ImportedRun) -> bool:
        """True if a search found the rotated part of a log that is followed and was read there."""
        path = each.source.path
        logs = [] if path is None else [
            other for other in self._watched.values() if other.source.path and _is_part_of(path, other.source.path)
        ]  # fmt: skip
        return any(self._follower(log, "").began(run) for log in logs)

    def _follower(self, each: Watched, name: str) -> Follower:
        if name not in each.followers:
            place = f"{each.source.place or each.source.shown}\0{name}"
            mark = hashlib.sha256(
                f"{place}\0{self._destination}\0{self._project}".encode(errors="surrogatepass")
            ).hexdigest()[:32]
            each.followers[name] = Follower(place, Note(self._folder / f"{mark}.json"), self._send, self._project)
        return each.followers[name]

    def _catch_up(self, each: Watched, follower: Follower, now_s: float) -> bool:
        """Read what was rotated away since the last check: the rest of the part read last, and the parts after it.

        Returns:
            False if parts were renamed in the meantime; try again.
        """
        path, found = each.source.path, False
        if path is None or path.is_dir() or not path.parent.is_dir():
            return True  # the file itself may have been renamed after it was read
        others = {other.source.path for other in self._watched.values() if other.seen and not other.ignored}
        for part, inode in _earlier_parts(path):
            if part in others:
                continue
            runs = list(replace(each.source, path=part, searched=False, growing=False).read())
            if _inode(part) != inode:
                return False
            for run in runs:
                if isinstance(run, ImportedRun) and (follower.holds(run) or (found and follower.follows(run))):
                    follower.take(run, over=False, now_ms=int(now_s * 1000))
                    found = True
        return True

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


def _now(each: Watched) -> Source:
    """What to read. Between a rotation and the new file's first line, the log may be written under its new name."""
    path = each.source.path
    if not each.seen or each.source.parts or path is None or (path.exists() and (path.is_dir() or path.stat().st_size)):
        return each.source
    parts = _earlier_parts(path) if path.parent.is_dir() else []
    return replace(each.source, path=parts[-1][0], searched=False) if parts else each.source


def _earlier_parts(current: Path) -> list[tuple[Path, int]]:
    """Files whose names differ from a log's by a number or date, with their inodes, oldest first.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("train.log", "train.log.1", "train.log-20240101", "train.2.log", "train.log.bak", "eval.log"):
    ...         Path(folder, name).touch()
    ...     sorted(path.name for path, _ in _earlier_parts(Path(folder, "train.log")))
    ['train.2.log', 'train.log-20240101', 'train.log.1']
    """
    own = _bare(current.name)
    found = []
    for path in current.parent.iterdir():
        if path.name != current.name and _bare(path.name) == own:
            try:
                about = path.stat()
            except OSError:  # just renamed or deleted
                continue
            if path.is_file():
                found.append((about.st_mtime_ns, path, about.st_ino))
    return [(path, inode) for _, path, inode in sorted(found)[-_MOST_PARTS:]]


def _is_part_of(path: Path, current: Path) -> bool:
    """True if a file is named like an earlier part of a log.

    >>> [_is_part_of(Path(name), Path("train.log")) for name in ("train.1.log", "train-2.log", "train.log", "a.1.log")]
    [True, True, False, False]
    """
    return path.parent == current.parent and path.name != current.name and _bare(path.name) == current.name


def _bare(name: str) -> str:
    return _NUMBER.sub("", name)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


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
    """Size, modification time and inode of each existing file."""
    found = []
    for path in files:
        try:
            about = path.stat()
        except OSError:
            continue
        found.append((about.st_size, about.st_mtime_ns, about.st_ino))
    return tuple(found)
