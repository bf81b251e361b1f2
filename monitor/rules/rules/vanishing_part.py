"""Rule `vanishing_part`: a part of the loss has come down to nothing although it should not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from monitor.domain import Action, Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.composition import Composition, smooth
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold, rows
from monitor.rules.sketch.parts import COLLAPSIBLE, DATA, HELPER


class VanishingPart:
    """A part that mattered has become nothing, but not because it was learned.

    The rule reports two cases. One is a KL term, an entropy, a commitment term or the size of the weights that falls to
    `ratio` of its former level while the data is not learned (its parts are still at `unlearned` of where they began):
    the posterior has collapsed, the policy always takes one action, or the weights are gone. The other is any part that
    is exactly zero in the last two buckets although its weight is not: it no longer applies to any example, or it is
    not computed. A part that falls far because it is learned does not vanish, and neither does one whose weight was
    reduced to almost zero.

    Source:
        Bowman et al., Generating Sentences from a Continuous Space (CoNLL 2016), and Lucas et al., Don't Blame the ELBO
        (NeurIPS 2019), for posterior collapse; Schroff et al., FaceNet (CVPR 2015), for triplets that are all easy.
    """

    spec = Spec(
        name="vanishing_part",
        severity=Severity.WARNING,
        rank=32,
        action=Action.INVESTIGATE,
        reads_error=True,
        reads=(Role.PART,),
        patience=2,
        relief=2,
        thresholds={
            "share": Threshold(default=0.02, low=0, high=1, doc="share of the loss that the part once had"),
            "ratio": Threshold(default=0.01, low=0, high=1, doc="level now over the highest level before"),
            "unlearned": Threshold(default=0.3, low=0, high=1, doc="data parts now over where they began, at least"),
            "rows": rows(64),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the part is next to zero."""
        seen = run.parts
        if seen.n < limits["rows"] or seen.k < 6 or len(seen.names) < 2:
            return None
        for i in seen.of_kind(DATA, COLLAPSIBLE, HELPER):
            size = np.abs(smooth(seen.raw[:, i])[:-2])
            share = 0.0 if firing else limits["share"]  # the coarser the buckets, the less of the peak is left
            if not np.isfinite(size).any() or seen.share[:-2, i].max() < share or seen.faded(i):
                continue
            top = float(np.nanmax(size))
            now = float(np.abs(seen.raw[-2:, i]).max())
            collapsed = seen.parts.parts[i].kind == COLLAPSIBLE and now <= limits["ratio"] * top
            left = _left(seen)
            if now == 0 or (collapsed and left >= limits["unlearned"]):
                below = np.abs(seen.raw[:, i]) > max(limits["ratio"] * top, 0.0)
                onset = seen.step[min(int(np.flatnonzero(below)[-1]) + 1, seen.k - 1)]
                return Reading(
                    onset,
                    {"part": seen.names[i], "level": now, "before": top, "limit": limits["ratio"] * top,
                     "share_before": float(seen.share[:, i].max()), "exactly_zero": now == 0,
                     "data_left": left},
                )  # fmt: skip
        return None

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        was = f"it was {reading.shown('before')}, up to {e['share_before']:.0%} of the loss"
        if e["exactly_zero"]:
            return (
                f"loss/{e['part']} has been exactly 0 since {position(unit, reading.onset)}; {was}.",
                "Check that it is still computed, that its mask is not empty, and for a margin loss that some examples "
                "still violate the margin (mine harder ones); it gives no gradient now.",
            )
        return (
            f"loss/{e['part']} has collapsed to {reading.shown('level', 3)} since {position(unit, reading.onset)} "
            f"({was}), and the data parts are still at {e['data_left']:.0%} of where they began.",
            "For a KL term: raise its weight slowly from 0, or give it free bits; for an entropy or a commitment term, "
            "lower what works against it; for the size of the weights, lower the penalty's weight.",
        )


def _left(seen: Composition) -> float:
    """The current level of the data parts, as a share of where they began; 1 if there are none."""
    data = seen.data
    if not data:
        return 1.0
    began = float(seen.weighted[:2][:, data].sum(axis=1).max())
    return float(seen.weighted[-3:][:, data].sum(axis=1).min()) / max(began, 1e-300)
