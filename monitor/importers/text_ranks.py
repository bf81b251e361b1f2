"""Handles lines that several processes of one training printed."""

from __future__ import annotations

import re
from typing import Final

from monitor.importers.ranks import Ranks
from monitor.importers.text_positions import Line

_NTH: Final = re.compile(r"(?:^|[\s\]:|-])\((?P<nth>\d{1,5})/(?P<many>\d{1,5})\) +(?=[A-Za-z])")
"""`(1/4) Epoch 1, batch 50, ...` of icefall: the second of four processes."""
_LABEL: Final = re.compile(
    r"(?:^|[\[({\s|])(?P<named>(?:(?:local|global)_)?(?:rank|default|proc(?:ess)?|worker|gpu|device|node|(?P<pid>pid))"
    r"[ _:=#-]{0,2}\d+)(?=[\])}:,\s|])|^\s*\[\d+,(?:mpirank:)?(?P<mpi>\d+)[^\]]{0,40}\]<std|"
    r"^[\w.-]*?(?P<service>[-_]\d+)\s+\| ",
    re.IGNORECASE,
)
"""`[rank0]:` of PyTorch, `[default0]:` of torchrun, `(Worker pid=12)` of Ray, `[1,0]<stdout>:` of MPI, and names of
services, `trainer-1 | `. A bare number, as in `0: step 10 loss 2.3` of srun, is read with the position.
"""


class TextRanks:
    """Drops what another process has already logged for a position. Must see every point in order."""

    def __init__(self) -> None:
        self._ranks = Ranks()
        self._many = 0

    def take(self, line: Line, text: str, epoch: float | None) -> bool:
        """Drop known values from a line; True if nothing is left.

        Args:
            line: the point.
        """
        found = _LABEL.search(text)
        if found is not None:
            who = str(found["named"] or found["mpi"] or found["service"]).lower()
        elif line.led is not None:
            who = str(line.led)
        elif (nth := self._nth(line, text)) is not None:
            who = nth
        else:
            return False
        at, lasting = _place(line, epoch), found is None or not found["pid"]
        new = [name for name in line.cells if self._ranks.first(name, who, at, lasting=lasting)]
        line.cells = {name: line.cells[name] for name in new}
        return not new

    def _nth(self, line: Line, text: str) -> str | None:
        """The process of a line labelled like `(1/4)`; only recognised once such a line has a position as well."""
        found = _NTH.search(text)
        if found is None or int(found["nth"]) >= int(found["many"]):
            return None
        if line.step is not None and line.epoch is not None:
            self._many = int(found["many"])
        elif int(found["many"]) != self._many:
            return None
        line.n = line.total = None  # it was mistaken for a count
        return found["nth"]


def _place(line: Line, epoch: float | None) -> tuple[float, float]:
    """The position of a line. Without one it is at the start, so that it is read from one process only."""
    if not line.placed:
        return -1.0, -1.0
    step = line.n if line.step is None else line.step
    at = epoch if line.epoch is None else line.epoch
    return -1.0 if at is None else at, -1.0 if step is None else float(step)
