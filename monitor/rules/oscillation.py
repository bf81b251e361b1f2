"""Rule `oscillation`: swings that are large against the progress and do not die out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features
from monitor.rules.rule import Reading, Spec, Threshold


class Oscillation:
    """Over the second half of the run the loss swings widely and often, beyond the noise between single points.

    Source:
        AutoTrainer (ICSE 2021), unstable convergence.
    """

    spec = Spec(
        name="oscillation",
        severity=Severity.WARNING,
        reads=(Role.TRAIN, Role.VAL),
        patience=4,
        relief=4,
        thresholds={
            "swing": Threshold(default=0.15, low=0, high=10, doc="typical swing as a share of the range"),
            "turns": Threshold(default=3, low=2, high=100, doc="turns in the second half"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the swings are large."""
        view = run.judged
        if view.closed < 16:
            return None
        half = view.x[view.closed // 2 :]
        reach = max(view.range, 1e-300)
        swing = float(np.abs(half - np.median(half)).mean()) / reach
        above = half > np.median(half)
        turns = int((above[1:] != above[:-1]).sum())
        if swing < limits["swing"] * (0.7 if firing else 1.0) or turns < limits["turns"]:
            return None
        return Reading(
            view.step[view.closed // 2],
            {"swing": swing, "limit": limits["swing"], "turns": turns, "level": float(np.median(half))},
        )

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        return (
            f"Since {unit} {reading.onset:g} the loss swings by {e['swing']:.0%} of its whole range around "
            f"{e['level']:.4g}, with {e['turns']} turns.",
            "Lower the learning rate or decay it, use a larger batch, or average the weights.",
        )
