"""Lines of a text log that several processes of one training printed: one of them is read.

Each process of a distributed training prints where it stands, the same as the others or with its own part of the batch.
A metric is read from whoever reaches a place first; what the others say of that place is left out.
"""

from __future__ import annotations

import re
from typing import Final

from monitor.importers.text_positions import Line

_LABEL: Final = re.compile(
    r"(?:^|[\[({\s|])(?P<named>(?:(?:local|global)_)?(?:rank|default|proc(?:ess)?|worker|gpu|device|node|pid)"
    r"[ _:=#-]{0,2}\d+)(?=[\])}:,\s|])|^\s*\[\d+,(?P<mpi>\d+)\]<std|^[\w.-]*?(?P<service>[-_]\d+)\s+\| ",
    re.IGNORECASE,
)
"""`[rank0]:` of PyTorch, `[default0]:` of torchrun, `(Worker pid=12)` of Ray, `[1,0]<stdout>:` of MPI, and the names of
services, `trainer-1 | `."""
_At = tuple[float, float]


class Ranks:
    """Remembers who said a metric last, and where; told of every point in its order."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, _At]] = {}

    def take(self, line: Line, text: str, epoch: float | None) -> bool:
        """Leave out what another process has said of this place; whether nothing is left.

        Args:
            line: the point.
            text: its line.
            epoch: the one that the log has come to.
        """
        found = _LABEL.search(text)
        if found is None:
            return False
        label = str(found["named"] or found["mpi"] or found["service"]).lower()
        at = _place(line, epoch)
        for name in list(line.cells):
            who, there = self._last.get(name, (label, at))
            if who != label and at <= there:
                del line.cells[name]
            else:
                self._last[name] = label, at
        return not line.cells


def _place(line: Line, epoch: float | None) -> _At:
    """Where a line stands; one that does not say it stands at the beginning, so that it is read from one process."""
    if not line.placed:
        return -1.0, -1.0
    step = line.n if line.step is None else line.step
    at = epoch if line.epoch is None else line.epoch
    return -1.0 if at is None else at, -1.0 if step is None else float(step)
