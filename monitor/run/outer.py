"""Hands a run that `monitor run` has started to the first `init` of its command.

The offer is a file whose path is in the environment. Whichever process renames it takes the run, so only one does, and
`monitor run` sees that the training logs for itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

VARIABLE: Final = "MONITOR_OUTER_RUN"
_TAKEN: Final = ".taken"


def offer(folder: Path, run_id: str) -> Path:
    """Offer a run to the processes started with this path in their environment."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / run_id
    path.write_text(run_id, encoding="ascii")
    return path


def take() -> str | None:
    """The id of the run offered to this process; None if there is no offer or another process took it."""
    given = os.environ.get(VARIABLE)
    if not given:
        return None
    path = Path(given)
    try:
        path.rename(path.with_name(path.name + _TAKEN))
    except OSError:
        return None
    return path.name


def withdraw(path: Path) -> None:
    """Remove an offer, whether taken or not."""
    for each in (path, path.with_name(path.name + _TAKEN)):
        each.unlink(missing_ok=True)
