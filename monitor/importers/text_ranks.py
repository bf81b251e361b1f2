"""Lines of a text log that several processes of one training printed."""

from __future__ import annotations

import re
from typing import Final

from monitor.importers.ranks import Ranks
from monitor.importers.text_positions import Line

_LABEL: Final = re.compile(
    r"(?:^|[\[({\s|])(?P<named>(?:(?:local|global)_)?(?:rank|default|proc(?:ess)?|worker|gpu|device|node|(?P<pid>pid))"
    r"[ _:=#-]{0,2}\d+)(?=[\])}:,\s|])|^\s*\[\d+,(?P<mpi>\d+)\]<std|^[\w.-]*?(?P<service>[-_]\d+)\s+\| ",
    re.IGNORECASE,
)
"""`[rank0]:` of PyTorch, `[default0]:` of torchrun, `(Worker pid=12)` of Ray, `[1,0]<stdout>:` of MPI, and the names of
services, `trainer-1 | `."""


class TextRanks:
    """Leaves out what another process has said of the same place; sees every point in its order."""

    def __init__(self) -> None:
        self._ranks = Ranks()

    def take(self, line: Line, text: str, epoch: float | None) -> bool:
        """Take out of a line what is known; whether nothing is left.

        Args:
            line: the point.
            text: its line.
            epoch: the one that the log has come to.
        """
        found = _LABEL.search(text)
        if found is None:
            return False
        who, at = str(found["named"] or found["mpi"] or found["service"]).lower(), _place(line, epoch)
        new = [name for name in line.cells if self._ranks.first(name, who, at, lasting=not found["pid"])]
        line.cells = {name: line.cells[name] for name in new}
        return not new


def _place(line: Line, epoch: float | None) -> tuple[float, float]:
    """Where a line stands; one that does not say it stands at the beginning, so that it is read from one process."""
    if not line.placed:
        return -1.0, -1.0
    step = line.n if line.step is None else line.step
    at = epoch if line.epoch is None else line.epoch
    return -1.0 if at is None else at, -1.0 if step is None else float(step)
