"""Who writes to a journal folder: a file lock that the kernel drops when its process dies.

It is a POSIX record lock, with two consequences. It does not exclude threads of one process, so `_held` lists the
folders that this process holds. And the kernel drops it as soon as any descriptor of the file is closed, so a file that
this process holds is read only through the descriptor that holds the lock. A forked child does not inherit the lock.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

NAME: Final = "writer.json"
GONE: Final = ".stored-"
"""Prefix of a folder that is being deleted."""
_held: dict[Path, tuple[int, int]] = {}
"""Folder -> (process id, descriptor that holds its lock)."""
_lock = threading.Lock()


class Claim:
    """A folder claimed by this process.

    Args:
        note: what to write into it for `monitor doctor`; None keeps what is there.
    """

    def __init__(self, folder: Path, fd: int, note: Mapping[str, object] | None) -> None:
        self.folder = folder
        self._fd = fd
        self._pid = os.getpid()
        if note is not None:
            self._write({"pid": self._pid, "host": socket.gethostname(), **note})

    def say_why(self, problem: str | None) -> None:
        """Note why the folder's records were not sent, for `monitor doctor`."""
        with contextlib.suppress(OSError):
            self._write({**note_of(self.folder), "problem": problem})

    def _write(self, note: Mapping[str, object]) -> None:
        before, data = os.pread(self._fd, os.fstat(self._fd).st_size, 0), json.dumps(note).encode()
        try:
            if os.pwrite(self._fd, data, 0) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:  # the disk is full: what was noted before stays
            os.pwrite(self._fd, before, 0)
            os.ftruncate(self._fd, len(before))
            raise
        os.ftruncate(self._fd, len(data))

    def release(self) -> None:
        """Give up the folder. A forked child leaves its parent's claim alone."""
        if os.getpid() != self._pid or self._fd < 0:
            return
        with _lock:
            _held.pop(self.folder, None)
            os.close(self._fd)
            self._fd = -1


def claim(folder: Path, note: Mapping[str, object] | None = None) -> Claim | None:
    """Claim a writer's folder. None if another process, or this one, already holds it.

    Args:
        folder: the writer's folder. With a note it is created if missing. Without one, a folder that another process
            has just removed cannot be claimed.
        note: what the writer says about itself.

    Raises:
        OSError: the folder cannot be created or written to.
    """
    folder = folder.absolute()
    with _lock:
        if _held_here(folder) is not None:
            return None
        if note is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            fd = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            if note is None:
                return None
            raise
        try:
            if sys.platform != "win32":
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / NAME).stat()  # its last holder may have deleted it before the lock was free
        except OSError:
            os.close(fd)
            return None
        _held[folder] = os.getpid(), fd
    return Claim(folder, fd, note)


def remove(folder: Path) -> None:
    """Delete a claimed folder. It is renamed first, so others see it whole or not at all."""
    gone = folder.with_name(f"{GONE}{folder.name}")
    with contextlib.suppress(OSError):
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        folder.parent.rmdir()


def note_of(folder: Path) -> dict[str, object]:
    """What the writer of a folder said about itself; empty if it said nothing."""
    try:
        with _lock:
            fd = _held_here(folder.absolute())
            text = (folder / NAME).read_bytes() if fd is None else os.pread(fd, os.fstat(fd).st_size, 0)
        data = json.loads(text)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def runs(note: Mapping[str, object]) -> bool:
    """Whether the process that left a note is still running. A process on another machine counts as running."""
    pid = note.get("pid")
    if note.get("host") != socket.gethostname() or not isinstance(pid, int) or sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # EPERM: the process exists, but belongs to another user
        return True
    return True


def _held_here(folder: Path) -> int | None:
    """The descriptor by which this process holds a folder; None if only its parent does."""
    pid, fd = _held.get(folder, (0, -1))
    return fd if pid == os.getpid() else None
