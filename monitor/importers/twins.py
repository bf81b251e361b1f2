"""Detects a training that wrote its losses twice, such as to an event file and a CSV next to it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.importers.imported import ImportedRun, NotTraining
from monitor.roles import Role

_LEAST: Final = 5
"""Points from which two equal curves are not a coincidence."""
_DIGITS: Final = 2e-3
"""The largest relative difference due to rounding in text files: YOLO writes five digits, others four."""

Losses = dict[Role, NDArray[np.float64]]


class Twins:
    """The runs that a search has found so far, by folder."""

    def __init__(self) -> None:
        self._known: dict[Path, list[tuple[ImportedRun, Losses]]] = {}

    def told(self, run: ImportedRun, folder: Path) -> ImportedRun | NotTraining:
        """The run; or a `NotTraining` if another run in its folder has all its losses already.

        Args:
            folder: the folder of its file.
        """
        losses = _losses(run)
        known = self._known.setdefault(folder, [])
        nested = [each for place, found in self._known.items() if _nested(place, folder) for each in found]
        for other, others in known:
            if losses and (_holds(losses, others) or (others and _holds_by_name(others, other, run))):
                return NotTraining(run.source, f"is the training that {other.source} holds, which is read")
        for other, others in nested:
            if losses and run.kind != other.kind and _continues(losses, others):
                return NotTraining(run.source, f"is the training that {other.source} holds, which is read")
        known.append((run, losses))
        return run


def _nested(one: Path, other: Path) -> bool:
    return one != other and (one.is_relative_to(other) or other.is_relative_to(one))


def _continues(losses: Losses, others: Losses) -> bool:
    """True if all losses agree over the length of the shorter; one may have an evaluation at the end."""
    both = [(losses[role], others[role]) for role in losses.keys() & others.keys()]
    same = all(_same(one[: len(other)], other[: len(one)]) for one, other in both)
    return same and any(len(one) == len(other) for one, other in both)


def _losses(run: ImportedRun) -> Losses:
    """The diagnosed losses that are long enough and vary enough to be compared."""
    found: Losses = {}
    for role, key in run.mapped().items():
        if role in (Role.TRAIN, Role.VAL):
            values = _values(run, key)
            if len(values) >= _LEAST and len(np.unique(values)) > 1:
                found[role] = values
    return found


def _values(run: ImportedRun, key: str) -> NDArray[np.float64]:
    at = run.points.key == run.keys.index(key)
    values: NDArray[np.float64] = run.points.value[at][np.argsort(run.points.step[at], kind="stable")]
    return values


def _holds(losses: Losses, others: Losses) -> bool:
    return losses.keys() <= others.keys() and all(_same(losses[role], others[role]) for role in losses)


def _holds_by_name(losses: Losses, judged: ImportedRun, run: ImportedRun) -> bool:
    """True if the losses that one run is judged by are series of the other, which may have their sum as well."""
    names = judged.mapped()
    return all(names[role] in run.keys and _same(losses[role], _values(run, names[role])) for role in losses)


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=_DIGITS, atol=1e-12, equal_nan=True))
