"""Converts a stored run to a backtest case: the full history of its diagnosed series."""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.errors import FileUnreadable
from monitor.ingest.judge import part_name, weights_by_part
from monitor.reader.run_view import RunView
from monitor.roles import Role
from monitor.rules.lab.backtest import Case
from monitor.rules.sketch.noise import Floats

_JUDGED: Final = (Role.TRAIN, Role.VAL, Role.GRAD_NORM, Role.LR)


def case_of(view: RunView, name: str, labels: frozenset[str] = frozenset()) -> Case:
    """The run as a backtest case.

    Args:
        name: its name in a report.
        labels: what is true of it.

    Raises:
        FileUnreadable: it has neither a training nor a validation loss.
    """
    series: dict[Role, Floats] = {}
    parts: dict[str, Floats] = {}
    for info in view.series():
        if info.role is Role.PART:
            parts[part_name(info.key)] = _history(view, info.key)
        if info.role in _JUDGED and info.role not in series:
            series[info.role] = _history(view, info.key)
    if Role.TRAIN not in series and Role.VAL not in series:
        raise FileUnreadable(name, "", "has no losses that are judged")
    return Case(
        ref=view.id,
        name=name,
        series=series,
        loss=view.info.loss,
        config=view.info.config,
        parts=parts,
        weights={part: np.array(told, float) for part, told in weights_by_part(view.events()).items()},
        labels=labels,
    )


def _history(view: RunView, key: str) -> Floats:
    points = view.history(key)
    return np.column_stack([points.steps, points.values]).astype(float)
