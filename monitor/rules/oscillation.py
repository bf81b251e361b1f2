"""Rule `oscillation`: swings that are large against the progress and do not die out."""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.trend import turns


class Oscillation:
    """Over the second half of the run the loss turns round again and again, by large swings.

    A swing counts where it exceeds `share` of the range and a quarter of the loss, or the factor `factor` of a
    positive loss: near zero, swings over decades are a tiny share of the range. Batch noise averages out in a bucket;
    what is left of it, estimated from first differences, a swing must exceed five times.

    Source:
        AutoTrainer (Zhang et al., ICSE 2021), oscillating loss; turning points as in rainflow counting (ASTM E1049).
    """

    spec = Spec(
        name="oscillation",
        version=2,
        severity=Severity.WARNING,
        reads=(Role.TRAIN, Role.VAL),
        patience=3,
        hold=0.05,
        relief=4,
        thresholds={
            "share": Threshold(default=0.15, low=0, high=10, doc="swing as a share of the range"),
            "factor": Threshold(default=2, low=1.01, high=1000, doc="swing as a factor of a positive loss"),
            "turns": Threshold(default=4, low=2, high=100, doc="turns in the second half"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while there are enough turns in either loss."""
        need = limits["turns"] - (1 if firing else 0)
        for name, view in (("validation", run.val), ("training", run.train)):
            if view.closed < 16:
                continue
            count = _turns(view, limits)
            if count >= need and _lasting(view, limits):
                half = view.closed // 2
                level = float(sorted(view.curve.x[half:])[(view.closed - half) // 2])
                evidence: dict[str, float | int | str | bool | None] = {
                    "series": name,
                    "turns": count,
                    "limit": int(limits["turns"]),
                    "level": level,
                }
                return Reading(view.step[half], {**evidence, "range": view.range})
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        return (
            f"The {e['series']} loss has turned round {e['turns']} times since {unit} {reading.onset:g}, by large "
            f"swings around {e['level']:.3g} ({e['limit']} turns count as oscillation).",
            "Lower the learning rate or decay it, use a larger batch, or average the weights.",
        )


def _turns(view: View, limits: Mapping[str, float], start: int | None = None) -> int:
    """Turns since bucket `start` (the middle one where None), in the loss or in its logarithm."""
    start = view.closed // 2 if start is None else start
    x = view.curve.x[start:]
    rough = sorted(view.curve.noise[view.closed // 2 :])
    noise = 5 * rough[len(rough) // 2] / 0.954 / math.sqrt(view.size)
    middle = sorted(x)[len(x) // 2]
    count = turns(x, max(limits["share"] * view.range, 0.25 * abs(middle), noise))
    if min(x) > 0:
        ratio = sorted(a / b for a, b in zip(view.curve.noise[start:], x, strict=True))
        relative = 5 * ratio[len(ratio) // 2] / 0.954 / math.sqrt(view.size)
        count = max(count, turns([math.log(value) for value in x], max(math.log(limits["factor"]), relative)))
    return count


def _lasting(view: View, limits: Mapping[str, float]) -> bool:
    """Whether the last third still turns."""
    return _turns(view, limits, view.closed - view.closed // 3) >= 1
