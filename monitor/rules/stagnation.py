"""Rule `stagnation`: no real progress from the start."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rule import Reading, Spec, Threshold


class Stagnation:
    """Neither loss has come down noticeably: the model is broken, frozen, or learns far too slowly.

    Source:
        AutoTrainer (ICSE 2021), slow convergence; SageMaker Debugger's LossNotDecreasing.
    """

    spec = Spec(
        name="stagnation",
        severity=Severity.WARNING,
        reads=(Role.TRAIN, Role.VAL),
        patience=3,
        relief=2,
        thresholds={
            "progress": Threshold(default=0.05, low=0, high=1, doc="progress as a share of the first level"),
            "checks": Threshold(default=8, low=4, high=1000, doc="buckets of the series, at least"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while there is no progress."""
        views = [view for view in (run.train, run.val) if view.n]
        if any(view.closed < limits["checks"] for view in views) or not views:
            return None
        progress = max(_progress(view) for view in views)
        limit = limits["progress"] * (1.2 if firing else 1.0)
        if progress > limit:
            return None
        view = run.judged
        return Reading(
            run.state.first_step,
            {"progress": progress, "limit": limit, "first": view.start, "level": view.level, "low": view.low},
        )

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:  # noqa: ARG002 - the protocol asks for it
        """The sentence and the advice."""
        e = reading.evidence
        return (
            f"The loss has made no progress: it began at {e['first']:.4g}, is at {e['level']:.4g}, and came down by "
            f"{e['progress']:.1%} at most ({e['limit']:.0%} would count as learning).",
            "Check that the optimiser sees the parameters, that labels match inputs, and the learning rate; "
            "try to overfit a single batch.",
        )


def _progress(view: View) -> float:
    begin = float(view.smooth[0])
    return (begin - view.level) / max(abs(begin), 1e-300)
