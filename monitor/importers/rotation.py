"""Finds earlier parts of a rotated log: renamed, or copied and truncated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_NUMBER: Final = re.compile(r"[-_.]*\d[-_.:T\d]*(?=\.|$)")
_MOST: Final = 30
"""Earlier parts that are read, at most; the newest."""


def earlier_parts(current: Path) -> list[tuple[Path, int]]:
    """Files whose names differ from a log's by a number or date, with their inodes, oldest first.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("train.log", "train.log.1", "train.log-20240101", "train.2.log", "train.log.bak", "eval.log"):
    ...         Path(folder, name).touch()
    ...     sorted(path.name for path, _ in earlier_parts(Path(folder, "train.log")))
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
    return [(path, inode) for _, path, inode in sorted(found)[-_MOST:]]


def is_part_of(path: Path, current: Path) -> bool:
    """True if a file is named like an earlier part of a log.

    >>> [is_part_of(Path(name), Path("train.log")) for name in ("train.1.log", "train-2.log", "train.log", "a.1.log")]
    [True, True, False, False]
    """
    return path.parent == current.parent and path.name != current.name and _bare(path.name) == current.name


def _bare(name: str) -> str:
    return _NUMBER.sub("", name)
