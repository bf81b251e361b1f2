"""Reads the whole content of a file that a user named, which may be anything."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Final

from monitor.errors import FileUnreadable

STDIN: Final = "-"
TEXT: Final = 30
"""Memory that the rows of a text take, in times its size: a CSV file and a text log were measured."""
RECORDS: Final = 10
"""The same for files of binary records, whose points are kept in arrays."""
_CHUNK: Final = 1 << 20
_GROUP: Final = Path("/sys/fs/cgroup")
_KINDS: Final = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
)


def content(path: Path, shown: str = "", *, takes: int = TEXT, stream: bool = False) -> bytes:
    """The bytes of a file, if they fit into memory.

    Args:
        path: the file; with `stream`, `-` is standard input.
        shown: the file as the user named it, for errors.
        takes: memory that reading it takes, in times its size.
        stream: also read pipes, to their end.

    Raises:
        FileUnreadable: it cannot be opened, is not a file, or is too large.
    """
    shown = shown or str(path)
    try:
        if stream and str(path) == STDIN:
            return _all(sys.stdin.buffer, shown, takes, terminal=sys.stdin.isatty())
        _check(path.stat().st_mode, shown, stream)  # before it is opened, which may wait or act on a device
        with path.open("rb") as file:
            return _all(file, shown, takes)
    except FileNotFoundError:
        raise FileUnreadable(shown, "", "no such file") from None
    except OSError as error:
        raise FileUnreadable(shown, "", error.strerror or str(error)) from None


def _check(mode: int, shown: str, stream: bool) -> None:
    problem = next((problem for kind, problem in _KINDS if kind(mode)), "")
    if stat.S_ISFIFO(mode) and not stream:
        problem = "is a pipe, not a file"
    if problem:
        raise FileUnreadable(shown, "", problem)


def _all(file: BinaryIO, shown: str, takes: int, *, terminal: bool = False) -> bytes:
    """Read to the end, and no further than the memory lasts.

    Args:
        terminal: it is one, whose user ends the text.
    """
    parts, size, room = list[bytes](), _promised(file, shown, terminal), sys.maxsize
    if size > _CHUNK:
        room = _free() // takes
        if size > room:
            raise _too_large(shown, f"is {_size(size)}", room)
    size = 0
    while len(part := file.read(_CHUNK)) == _CHUNK:  # less is the end; a terminal would ask for it again
        parts.append(part)
        size += _CHUNK
        room = _free() // takes if room == sys.maxsize else room
        if size > room:
            raise _too_large(shown, f"holds more than {_size(room)}", room)
    return b"".join([*parts, part])


def _promised(file: BinaryIO, shown: str, terminal: bool) -> int:
    """The size of an open file, if it has one."""
    try:
        about = os.fstat(file.fileno())
    except OSError:  # not a file of the operating system
        return 0
    if not terminal:
        _check(about.st_mode, shown, True)
    return about.st_size


def _too_large(shown: str, problem: str, room: int) -> FileUnreadable:
    return FileUnreadable(shown, "", f"{problem}; the free memory is enough for {_size(room)}; read it in parts")


def _free() -> int:
    """Bytes of memory that are free, in this control group if it has a limit."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit, used = (int((_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        cached = dict(line.split() for line in (_GROUP / "memory.stat").read_text().splitlines())["inactive_file"]
    except (OSError, ValueError, KeyError):  # no limit
        return free
    return max(0, min(free, limit - used + int(cached)))


def _size(n: float) -> str:
    """A number of bytes as people write it.

    >>> _size(999), _size(1_500_000), _size(1e14)
    ('999 bytes', '1.5 MB', '100 TB')
    """
    units = ["TB", "GB", "MB", "KB", "bytes"]
    while n >= 1000 and len(units) > 1:
        n, _ = n / 1000, units.pop()
    return f"{n:,.0f} {units[-1]}" if n >= 10 or units[-1] == "bytes" else f"{n:.1f} {units[-1]}"
