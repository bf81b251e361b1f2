"""Rule `oscillation`: swings that are large compared to the progress and do not die out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.domain import Action, Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.describe.swings import SWING, jumps_inside, of_batches, turned
from monitor.rules.describe.view import View
from monitor.rules.rule import Evidence, Reading, Spec, Threshold
from monitor.rules.sketch.noise import middle

_ADVICE: Final = "Lower the learning rate or decay it, use a larger batch, or average the weights."
_LEARNED: Final = 0.05
"""A training loss that learns has come down by at least this share of its level."""


class Oscillation:
    """Over the second half of the run, and still in its last third, the loss swings up and down again and again.

    A swing counts if it is a good share of the level and of the descent (or a factor of ten), a quarter of the range of
    the levels in that time, and more than the batch noise that remains in a bucket. Swings shorter than a bucket show
    in its highest point. They count if in a quarter of the buckets that point is as far above the level, and beyond
    noise.

    Source:
        AutoTrainer (Zhang et al., ICSE 2021), oscillating loss; turning points as in rainflow counting (ASTM E1049).
    """

    spec = Spec(
        name="oscillation",
        version=8,
        severity=Severity.WARNING,
        rank=24,
        action=Action.INVESTIGATE,
        reads_error=True,
        explained_by="rise",
        reads=(Role.TRAIN, Role.VAL),
        patience=3,
        hold=0.05,
        relief=4,
        thresholds={
            "swing": Threshold(default=SWING, low=0, high=1, doc="swing, as a share of the level and of the way"),
            "turns": Threshold(default=4, low=2, high=100, doc="turns in the second half"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while either loss turns often enough, or jumps within its buckets."""
        need = limits["turns"] - (1 if firing else 0)
        for name, view in (("validation", run.val), ("training", run.train)):
            few = name == "training" and not run.by_epoch and view.n < 100
            if view.closed < 16 or few or (name == "validation" and not _moved(run.train)):
                continue
            swing, half = limits["swing"] * (0.8 if firing else 1.0), view.closed // 2
            count = _swings(view, swing, need, batches=of_batches(run, view))
            if count is not None:
                evidence: Evidence = {"series": name, "turns": count, "level": middle(view.centres[half:])}
                return Reading(view.step[half], evidence)
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        turned = f"changed direction {e['turns']} times" if e["turns"] else "jumped up and down again and again"
        return (
            f"Since {position(unit, reading.onset)} the {e['series']} loss has {turned}, around "
            f"{reading.shown('level', 3)}.",
            _ADVICE,
        )


def _swings(view: View, swing: float, need: float, *, batches: bool) -> int | None:
    """How often a loss turns, 0 if it jumps within its buckets instead; None if it does neither.

    It is asked for both losses whenever a bucket of either closes, so the view keeps the answer.
    """
    asked = (swing, need, batches)
    if asked not in view.swings:
        view.swings[asked] = _counted(view, swing, need, batches=batches)
    return view.swings[asked]


def _counted(view: View, swing: float, need: float, *, batches: bool) -> int | None:
    end, half = view.closed, view.closed // 2
    count = turned(view, swing, half, end, need, batches=batches)
    if count and turned(view, swing, end - end // 3, end, 1, batches=batches):
        return count
    return 0 if jumps_inside(view, swing, half, end, batches=batches) else None


def _moved(train: View) -> bool:
    """Whether training has learned anything; the validation loss of a model that does not learn is not judged."""
    return not train.closed or train.fall > _LEARNED
