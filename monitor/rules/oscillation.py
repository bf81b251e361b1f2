"""Rule `oscillation`: swings that are large against the progress and do not die out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.noise import middle
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.trend import turns

_ADVICE: Final = "Lower the learning rate or decay it, use a larger batch, or average the weights."

_ALIKE: Final = 0.25
"""Share of all that was covered in that time that a swing must make up: one large jump does not make others swings."""


class Oscillation:
    """Over the second half of the run the loss turns round again and again, by large swings.

    A swing counts where it exceeds `share` of the range and a quarter of the loss, or the factor `factor` of a
    positive loss: near zero, swings over decades are a tiny share of the range. Batch noise averages out in a bucket;
    what is left of it, estimated from first differences, a swing must exceed five times. Where nothing was learned the
    turns of the first half count too, and a training loss needs a hundred points where it is logged by the step.

    A validation loss has no batch noise: one that jumps by `jump` of its level and a tenth of its range from one
    evaluation to the next, over the second half, oscillates too.

    A swing must be a quarter of all that was covered in that time: one large jump makes no swings of what follows it.
    The validation loss of a run that overfits is not read: how it swings on its way up is not the trouble.

    Source:
        AutoTrainer (Zhang et al., ICSE 2021), oscillating loss; turning points as in rainflow counting (ASTM E1049).
    """

    spec = Spec(
        name="oscillation",
        version=3,
        severity=Severity.WARNING,
        reads=(Role.TRAIN, Role.VAL),
        patience=3,
        hold=0.05,
        relief=4,
        thresholds={
            "share": Threshold(default=0.15, low=0, high=10, doc="swing as a share of the range"),
            "factor": Threshold(default=2, low=1.01, high=1000, doc="swing as a factor of a positive loss"),
            "jump": Threshold(default=0.2, low=0, high=100, doc="change between evaluations as a share of the level"),
            "turns": Threshold(default=4, low=2, high=100, doc="turns in the second half"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while there are enough turns in either loss."""
        need = limits["turns"] - (1 if firing else 0)
        for name, view in (("validation", run.val), ("training", run.train)):
            if view.closed < 16 or (name == "training" and run.state.unit == "step" and view.n < 100):
                continue
            if name == "validation" and run.fires("overfitting"):
                continue
            half = view.closed // 2
            count = _turns(view, limits, half)
            if count == need - 1 and view.range <= 0.1 * abs(view.start):  # nothing learned: its first half counts too
                count = max(count, _turns(view, limits, 0) - int(limits["turns"] / 2))
            jumps = 0.0 if name == "training" or run.fires("overfitting") else _jump(view)
            least = limits["jump"] * (0.8 if firing else 1.0)
            if (count >= need and _lasting(view, limits)) or jumps >= least:
                level = middle(view.curve.x[half:])
                evidence: dict[str, float | int | str | bool | None] = {
                    "series": name, "turns": count, "limit": int(limits["turns"]), "jump": jumps, "least": least,
                    "level": level, "range": view.range,
                }  # fmt: skip
                return Reading(view.step[half], evidence)
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        how = f"has turned round {e['turns']} times since {unit} {reading.onset:g}, by large swings around "
        how += f"{e['level']:.3g}"
        if float(e["jump"] or 0) >= float(e["least"] or 0):
            how = f"jumps by {e['jump']:.0%} of its level, {e['level']:.3g}, from one evaluation to the next"
            return f"The validation loss {how} ({e['least']:.0%} count as oscillation).", _ADVICE
        return f"The {e['series']} loss {how} ({e['limit']} turns count as oscillation).", _ADVICE


def _turns(view: View, limits: Mapping[str, float], start: int) -> int:
    """Turns since bucket `start`, in the loss or in its logarithm; counted once for the same buckets."""
    key = ("turns", limits["share"], limits["factor"], start)
    return int(view.once(key, lambda: _count(view, limits, start)))


def _count(view: View, limits: Mapping[str, float], start: int) -> int:
    x = view.curve.x[start:]
    low, high = min(x), max(x)
    count, swing = 0, limits["share"] * view.range
    if high - low >= swing:
        noise = 5 * middle(view.curve.noise[view.closed // 2 :]) / 0.954 / math.sqrt(view.size)
        count = turns(x, max(swing, 0.25 * abs(sorted(x)[len(x) // 2]), noise, _ALIKE * (high - low)))
    swing = math.log(limits["factor"])
    if low > 0 and math.log(high) - math.log(low) >= swing:
        ratio = middle([a / b for a, b in zip(view.curve.noise[start:], x, strict=True)])
        relative = 5 * ratio / 0.954 / math.sqrt(view.size)
        count = max(
            count,
            turns([math.log(value) for value in x], max(swing, relative, _ALIKE * (math.log(high) - math.log(low)))),
        )
    return count


def _jump(view: View) -> float:
    """`_jumps`, worked out once for the same buckets."""
    return view.once(("jumps",), lambda: _jumps(view))


def _jumps(view: View) -> float:
    """How far a validation loss jumps from one evaluation to the next, as a share of its level; 0 where that is little.

    A validation loss has no batch noise: all its examples are in every value. So what differs between neighbours is the
    model, if it is a good part of the level and a tenth of the range as well, over the second half and still at its
    end, and far more than the whole of it fell by from each to the next.
    """
    half, third = view.closed // 2, view.closed - view.closed // 3
    late = middle(view.curve.noise[third:])
    if late / 0.954 < 0.1 * view.range:
        return 0.0
    size = min(middle(view.curve.noise[half:]), late) / 0.954
    x = view.curve.x[half:]
    level, way = abs(middle(x)), abs(middle(x[:3]) - middle(x[-3:])) / ((len(x) - 2) * view.size)
    return min(size / level, 1e6) if level and size >= max(0.1 * view.range, 3 * way) else 0.0


def _lasting(view: View, limits: Mapping[str, float]) -> bool:
    """Whether the last third still turns."""
    return _turns(view, limits, view.closed - view.closed // 3) >= 1
