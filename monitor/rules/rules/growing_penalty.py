"""Rule `growing_penalty`: a penalty has outgrown the parts that the model is trained for."""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.domain import Severity
from monitor.domain.formats import number, position
from monitor.roles import Role
from monitor.rules.describe.composition import noise, smooth
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold, rows
from monitor.rules.sketch.noise import Floats, middle


class GrowingPenalty:
    """A weighted penalty is larger than all data parts together, and has cost more than the data has gained.

    A part is a penalty by its name (l1, l2, weight_decay, kl, reg, entropy, penalty ...), or if the loss's
    specification says that it is a KL term. Being larger alone means nothing: a model that has learned has a small data
    part. So the penalty's rise since its low, beyond noise, must exceed what the data parts came down by in that time.
    Or both together must have grown by `rise` since they were lowest, whatever the data gained before.

    Source:
        Krogh, Hertz, A Simple Weight Decay Can Improve Generalization (NeurIPS 1991), for the balance of the two;
        Higgins et al., beta-VAE (ICLR 2017), for a KL weight that is too large. The comparison is ours.
    """

    spec = Spec(
        name="growing_penalty",
        severity=Severity.WARNING,
        rank=56,
        reads_error=True,
        reads=(Role.PART,),
        patience=2,
        relief=2,
        thresholds={
            "ratio": Threshold(default=1, low=0.01, high=100, doc="penalty over the sum of the data parts"),
            "rise": Threshold(default=0.5, low=0, high=100, doc="rise of the penalty as a share of its low"),
            "z": Threshold(default=6, low=1, high=100, doc="rise in multiples of the noise of a bucket"),
            "rows": rows(64),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the penalty is larger than the data parts and its growth has not paid off."""
        seen = run.parts
        data = seen.data
        if not data or seen.n < limits["rows"] or seen.k < 6:
            return None
        gained = seen.weighted[:, data].sum(axis=1)
        for i in seen.penalties:
            x = seen.weighted[:, i]
            low_at = self._paid_for_nothing(x, gained, limits)
            now, spent = middle(x[-3:].tolist()), middle(gained[-3:].tolist())
            ratio = now / max(spent, 1e-300)
            if low_at is None or ratio < limits["ratio"] * (0.8 if firing else 1.0):
                continue
            low = float(smooth(x)[low_at])
            weights = seen.weights[:, i]
            onset = next((k for k in range(low_at, seen.k) if x[k] > limits["ratio"] * gained[k]), seen.k - 1)
            return Reading(
                seen.step[onset],
                {"part": seen.names[i], "level": now, "data": spent, "ratio": ratio, "limit": limits["ratio"],
                 "low": low, "rise": now - low, "gained": max(float(smooth(gained)[low_at]) - spent, 0.0),
                 "weight_then": float(weights[low_at]), "weight": float(weights[-1])},
            )  # fmt: skip
        return None

    @staticmethod
    def _paid_for_nothing(x: Floats, gained: Floats, limits: Mapping[str, float]) -> int | None:
        """The bucket since which the penalty has cost more than the data gained: its low, or that of both, or None."""
        level, both = smooth(x), smooth(x + gained)
        own = int(level.argmin())
        joint = own + int(both[own:].argmin())
        for at, more in ((own, 0.0), (joint, limits["rise"] * float(both[joint]))):
            fall = max(float(smooth(gained)[at]) - middle(gained[-3:].tolist()), 0.0)
            need = max(limits["rise"] * float(level[at]), limits["z"] * noise(x), fall + more)
            if middle(x[-3:].tolist()) - float(level[at]) > need and len(x) - at >= 4:
                return at
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        then, now = e["weight_then"], e["weight"]
        turned = ""
        if isinstance(then, float) and isinstance(now, float) and math.isfinite(then) and now > 1.5 * then:
            turned = f", as its weight went from {number(then, 3)} to {number(now, 3)}"
        paid = reading.number("gained")
        gained = (
            f"; the data parts fell by {number(paid, 3)} meanwhile" if paid > 0 else "; the data parts did not fall"
        )
        return (
            f"The penalty loss/{e['part']} has outgrown the data since {position(unit, reading.onset)}: weighted, it "
            f"is at {reading.shown('level')}, {reading.shown('ratio', 2)} times the data parts "
            f"({reading.shown('data')}), up from {reading.shown('low')}{turned}{gained}.",
            "Lower its weight, or stop its schedule earlier; for the size of the weights, also lower the learning "
            "rate: weights that keep growing are the start of a divergence.",
        )
