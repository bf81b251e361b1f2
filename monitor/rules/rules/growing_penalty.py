"""Rule `growing_penalty`: a penalty has outgrown what the model is for."""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.describe.composition import noise, smooth
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold, rows
from monitor.rules.sketch.noise import middle


class GrowingPenalty:
    """A weighted penalty is larger than all data parts together, and has cost more than the data has gained.

    A penalty is what its name says it is (l1, l2, weight_decay, kl, reg, entropy, penalty ...) or a KL term by the
    loss's specification. That it is larger alone means nothing: the data part of a model that has learned is small. So
    its rise, beyond noise, must exceed what the data parts came down by in that time. Both are counted from where the
    penalty and the data together were lowest since the penalty's own low: what the data gained before was not bought
    by what the penalty cost after.

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
        """Holds while the penalty is above the data and growing has not paid."""
        seen = run.parts
        data = seen.data
        if not data or seen.n < limits["rows"] or seen.k < 6:
            return None
        gained = seen.weighted[:, data].sum(axis=1)
        for i in seen.penalties:
            x = seen.weighted[:, i]
            level = smooth(x)
            low_at = int(level.argmin())
            low_at += int(smooth(x + gained)[low_at:].argmin())
            now, low = middle(x[-3:].tolist()), float(level[low_at])
            ratio = now / max(middle(gained[-3:].tolist()), 1e-300)
            rise = now - low
            fall = max(float(smooth(gained)[low_at]) - middle(gained[-3:].tolist()), 0.0)
            need = max(limits["rise"] * low, limits["z"] * noise(x), fall + limits["z"] * noise(x + gained))
            if ratio < limits["ratio"] * (0.8 if firing else 1.0) or rise <= need or seen.k - low_at < 4:
                continue
            weights = seen.weights[:, i]
            onset = next((k for k in range(low_at, seen.k) if x[k] > limits["ratio"] * gained[k]), seen.k - 1)
            return Reading(
                seen.step[onset],
                {"part": seen.names[i], "level": now, "data": middle(gained[-3:].tolist()), "ratio": ratio,
                 "limit": limits["ratio"], "low": low, "rise": rise, "gained": fall,
                 "weight_then": float(weights[low_at]), "weight": float(weights[-1])},
            )  # fmt: skip
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        then, now = e["weight_then"], e["weight"]
        turned = ""
        if isinstance(then, float) and isinstance(now, float) and math.isfinite(then) and now > 1.5 * then:
            turned = f", as its weight went from {then:.3g} to {now:.3g}"
        gained = f"; the data gained {e['gained']:.3g} meanwhile" if e["gained"] > 0 else "; the data gained nothing"
        return (
            f"The penalty loss/{e['part']} has outgrown the data since {unit} {reading.onset:g}: weighted it is at "
            f"{e['level']:.4g}, {e['ratio']:.2g} times the data parts ({e['data']:.4g}), up from "
            f"{e['low']:.4g}{turned}{gained}.",
            "Lower its weight, or stop its schedule earlier; for the size of the weights, also lower the learning "
            "rate: weights that grow without end are a beginning divergence.",
        )
