"""Who writes to a journal folder: a lock that the kernel drops when its process dies, however it dies.

The lock is a POSIX record lock, which a fork does not inherit. Within one process it does not exclude, so the folders
this process holds are kept in a table as well; and it is dropped as soon as any descriptor of the file is closed, so
what is in the file of a folder that this process holds is read through the descriptor that holds it.
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
"""Begins the name of a folder that is being deleted."""
_held: dict[Path, tuple[int, int]] = {}
"""Process and descriptor, by the folder that they hold."""
_lock = threading.Lock()


class Claim:
    """A folder claimed by this process.

    Args:
        folder: the writer's folder; made if it is missing.
        note: what to leave in it for `monitor doctor`; None: leave what is there.
    """

    def __init__(self, folder: Path, fd: int, note: Mapping[str, object] | None) -> None:
        self.folder = folder
        self._fd = fd
        self._pid = os.getpid()
        if note is not None:
            self._write({"pid": self._pid, "host": socket.gethostname(), **note})

    def say_why(self, problem: str | None) -> None:
        """Note why what is in the folder was not sent, for who asks later."""
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
        """Give the folder up; a child of a fork leaves its parent's claim alone."""
        if os.getpid() != self._pid or self._fd < 0:
            return
        with _lock:
            _held.pop(self.folder, None)
            os.close(self._fd)
            self._fd = -1


def claim(folder: Path, note: Mapping[str, object] | None = None) -> Claim | None:
    """Claim a writer's folder, or None where another writer, or this process, holds it.

    Args:
        folder: the writer's folder. With a note it is created if it is missing; without one, a folder that another
            process has removed in the meantime cannot be claimed.
        note: what its writer says of itself.

    Raises:
        OSError: the folder cannot be made or written to.
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
            (folder / NAME).stat()  # who held it may have deleted it before the lock was free
        except OSError:
            os.close(fd)
            return None
        _held[folder] = os.getpid(), fd
    return Claim(folder, fd, note)


def remove(folder: Path) -> None:
    """Delete a claimed folder, all of it at one moment for whoever looks for it."""
    gone = folder.with_name(f"{GONE}{folder.name}")
    with contextlib.suppress(OSError):
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        folder.parent.rmdir()


def note_of(folder: Path) -> dict[str, object]:
    """What the writer of a folder said of itself; empty where it said nothing."""
    try:
        with _lock:
            fd = _held_here(folder.absolute())
            text = (folder / NAME).read_bytes() if fd is None else os.pread(fd, os.fstat(fd).st_size, 0)
        data = json.loads(text)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def runs(note: Mapping[str, object]) -> bool:
    """True where the process that left a note still runs; one on another machine is taken to."""
    pid = note.get("pid")
    if note.get("host") != socket.gethostname() or not isinstance(pid, int) or sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another process holds it
        return True
    return True


def _held_here(folder: Path) -> int | None:
    """The descriptor by which this process, not its parent before a fork, holds a folder."""
    pid, fd = _held.get(folder, (0, -1))
    return fd if pid == os.getpid() else None
