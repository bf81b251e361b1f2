"""Rule `oscillation`: swings that are large against the progress and do not die out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from monitor.domain import Action, Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.features import Features, View
from monitor.rules.describe.trend import turns
from monitor.rules.rule import Evidence, Reading, Spec, Threshold
from monitor.rules.sketch.noise import middle

_ADVICE: Final = "Lower the learning rate or decay it, use a larger batch, or average the weights."
_DECADE: Final = math.log(10)
"""A swing by this factor counts, whatever it is of the way."""
_LEARNED: Final = 0.05
"""Share of its level by which a training loss that learns has come down."""
_TAIL: Final = 5
"""Times the noise of a point that the highest of a bucket lies above the rest where that is no batch noise."""
_LEFT: Final = 6
"""Times what batch noise leaves in a bucket that a swing must exceed."""


class Oscillation:
    """Over the second half of the run, and still in its last third, the loss turns round again and again.

    A swing counts where it is a good share of the level and of the way, or a decade, a quarter of all that was covered
    in that time, and more than batch noise leaves in a bucket. Swings that are shorter than a bucket show in its
    highest point: they go on where that lies as far above the level in a quarter of the buckets.

    Source:
        AutoTrainer (Zhang et al., ICSE 2021), oscillating loss; turning points as in rainflow counting (ASTM E1049).
    """

    spec = Spec(
        name="oscillation",
        version=6,
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
            "swing": Threshold(default=0.3, low=0, high=1, doc="share of the level and of the way that a swing is"),
            "turns": Threshold(default=4, low=2, high=100, doc="turns in the second half"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while there are enough turns in either loss."""
        need = limits["turns"] - (1 if firing else 0)
        for name, view in (("validation", run.val), ("training", run.train)):
            few = name == "training" and not run.by_epoch and view.n < 100
            if view.closed < 16 or few or (name == "validation" and not _moved(run.train)):
                continue
            # A training loss that is logged more often than the validation loss is one of batches.
            noisy = view is run.train and view.size > 1 and run.state.train_seen > 2 * run.state.val_seen
            half, swing = view.closed // 2, limits["swing"] * (0.8 if firing else 1.0)
            count = _turns(view, swing, half, noisy)
            lasting = count >= need and _turns(view, swing, view.closed - view.closed // 3, noisy) >= 1
            if lasting or _inside(view, swing, half, noisy):
                evidence: Evidence = {
                    "series": name,
                    "turns": count if lasting else 0,
                    "level": middle(view.centres[half:]),
                }
                return Reading(view.step[half], evidence)
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        turned = f"turned round {e['turns']} times" if e["turns"] else "jumped up and down again and again"
        return (
            f"Since {position(unit, reading.onset)} the {e['series']} loss has {turned}, around {e['level']:.3g}.",
            _ADVICE,
        )


def _moved(train: View) -> bool:
    """Whether training has learned anything: what does not learn has nothing to swing about."""
    return not train.closed or train.smooth[0] - train.low > _LEARNED


def _turns(view: View, swing: float, start: int, noisy: bool) -> int:
    """Turns since bucket `start`."""
    y = view.y[start:]
    left = _LEFT * _rough(view, start) / math.sqrt(view.size) if noisy else 0.0
    enough = min(view.move(math.exp(middle(y)), swing), _DECADE)
    return turns(y, max(enough, left, 0.25 * (max(y) - min(y))))


def _rough(view: View, start: int) -> float:
    """Noise of a point as a share of the level."""
    heights = [math.exp(y) for y in view.y[start:]]
    return middle([a / b for a, b in zip(view.curve.noise[start:], heights, strict=True)]) / 0.954


def _inside(view: View, swing: float, half: int, noisy: bool) -> bool:
    """Whether the loss swings within the buckets: to a highest value far above the rest, or from one to the next."""
    if view.size == 1:
        return False
    x, peak, noise = view.centres, view.curve.peak, view.curve.noise
    jumps = [
        view.share(x[i], x[i] + peak[i]) if not noisy or peak[i] > _TAIL * noise[i] else 0.0
        for i in range(half, view.closed)
    ]
    if noisy:  # what jumps from point to point is the batches, what moves slowly is the loss
        return middle(jumps) >= swing and _rough(view, half) < 0.5
    rough = middle(noise[half:]) / 0.954
    return sorted(jumps)[len(jumps) * 3 // 4] >= swing or view.share(x[-1], x[-1] + rough) >= swing
