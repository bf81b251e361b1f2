"""Doing something as a user who may not write, or not read, what somebody else made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65_534


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Lose the rights that root has whatever the modes say; others have none to lose.

    Args:
        folder: below one of pytest's own, which are private: everybody may reach it from now on.
    """
    root = os.geteuid() == 0
    if root:
        for above in (folder, *folder.parents):
            if "pytest" in str(above):
                above.chmod(above.stat().st_mode | 0o755)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
