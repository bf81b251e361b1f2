"""Where the earlier parts of a log are that was rotated: renamed, or copied and cut."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_NUMBER: Final = re.compile(r"[-_.]*\d[-_.:T\d]*(?=\.|$)")
_MOST: Final = 30
"""Earlier parts that are looked at, the newest."""


def earlier_parts(current: Path) -> list[tuple[Path, int]]:
    """Files next to a log whose names differ from its own by a number or a date, with their inodes; the oldest first.

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
            except OSError:  # it was just renamed or deleted
                continue
            if path.is_file():
                found.append((about.st_mtime_ns, path, about.st_ino))
    return [(path, inode) for _, path, inode in sorted(found)[-_MOST:]]


def is_part_of(path: Path, current: Path) -> bool:
    """Whether a file is called as an earlier part of a log would be.

    >>> [is_part_of(Path(name), Path("train.log")) for name in ("train.1.log", "train-2.log", "train.log", "a.1.log")]
    [True, True, False, False]
    """
    return path.parent == current.parent and path.name != current.name and _bare(path.name) == current.name


def _bare(name: str) -> str:
    return _NUMBER.sub("", name)
