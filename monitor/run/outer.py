"""A run that `monitor run` has begun around a process: the first `init` in it takes the run over.

The offer is a file that the environment names. Whoever renames it has it, so that of many processes one takes the run,
and `monitor run` sees that the training logs for itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

VARIABLE: Final = "MONITOR_OUTER_RUN"
_TAKEN: Final = ".taken"


def offer(folder: Path, run_id: str) -> Path:
    """Offer a run to the processes that are started with the path in their environment."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / run_id
    path.write_text(run_id, encoding="ascii")
    return path


def take() -> str | None:
    """The id of the run that is offered to this process; None where there is none, or another process has it."""
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
    """Withdraw an offer, whether it was taken or not."""
    for each in (path, path.with_name(path.name + _TAKEN)):
        each.unlink(missing_ok=True)
