"""Rule `conflicting_parts`: two parts of the loss work against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Final

import numpy as np

from monitor.domain import Severity
from monitor.domain.formats import number, position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold, rows
from monitor.rules.sketch.noise import Floats

_EVEN: Final = 1.5
"""Weighted parts that differ by less than this factor count as equal; no other weight is suggested then."""


class ConflictingParts:
    """When one of two parts falls, the other one rises, again and again and by more than the noise of batches.

    The rule reads the correlation of the changes from bucket to bucket, without the first quarter of the run, where all
    parts fall together. A batch that is hard for one part may be easy for another. That is noise, and it changes sign
    at every bucket, so only movements that last over several buckets count (von Neumann's ratio), and only those of at
    least `swing` of the part's level. Penalties work against the data by design and are not read.

    Source:
        Yu et al., Gradient Surgery for Multi-Task Learning (NeurIPS 2020); von Neumann, Distribution of the ratio of
        the mean square successive difference to the variance (Ann. Math. Stat. 1941); Fisher's z for the correlation.
    """

    spec = Spec(
        name="conflicting_parts",
        severity=Severity.WARNING,
        rank=64,
        reads_error=True,
        reads=(Role.PART,),
        patience=3,
        relief=3,
        thresholds={
            "correlation": Threshold(default=-0.8, low=-1, high=0, doc="correlation of the changes, at most"),
            "z": Threshold(default=3, low=0, high=100, doc="Fisher's z of the correlation, in standard errors"),
            "ratio": Threshold(default=1, low=0, high=2, doc="von Neumann's ratio, at most; white noise has 2"),
            "swing": Threshold(default=0.1, low=0, high=10, doc="spread of the part as a share of its level"),
            "rows": rows(200),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while two parts move against each other."""
        seen = run.parts
        begin = seen.k // 4
        if seen.n < limits["rows"] or seen.k - begin < 8:
            return None
        moving = {i: seen.raw[begin:, i] for i in seen.data if _moves(seen.raw[begin:, i], limits)}
        limit = limits["correlation"] * (0.8 if firing else 1.0)
        found: tuple[float, int, int] | None = None
        for i, j in combinations(moving, 2):
            a, b = np.diff(moving[i]), np.diff(moving[j])
            r = float(np.corrcoef(a, b)[0, 1])
            z = math.atanh(max(min(-r, 0.9999), -0.9999)) * math.sqrt(len(a) - 3)
            if r <= limit and z >= limits["z"] * (0.7 if firing else 1.0) and (found is None or r < found[0]):
                found = r, i, j
        if found is None:
            return None
        r, i, j = found
        apart = float(np.mean(np.sign(np.diff(moving[i])) * np.sign(np.diff(moving[j])) < 0))
        return Reading(
            seen.step[begin],
            {"part": seen.names[i], "other": seen.names[j], "correlation": r, "limit": limits["correlation"],
             "opposite": apart, "buckets": len(moving[i]), "weight": seen.parts.parts[j].weight,
             "suggested": seen.weight_by_level(j, i)},
        )  # fmt: skip

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        now, even = reading.number("weight"), e["suggested"]
        apart = even is not None and now > 0 and not 1 / _EVEN < float(even) / now < _EVEN
        weight = f"a weight of about {reading.shown('suggested', 2)} for loss/{e['other']}, {number(now, 3)} now"
        by = f": {weight}, makes them equally large" if apart else ""
        return (
            f"loss/{e['part']} and loss/{e['other']} have worked against each other since "
            f"{position(unit, reading.onset)}: their changes correlate by {e['correlation']:.2f} (limit "
            f"{e['limit']:g}), opposite in {e['opposite']:.0%} of the steps from bucket to bucket.",
            "Lower the learning rate of what they share, give each a head or an adapter of its own, or project "
            f"conflicting gradients (PCGrad); if it is a trade-off, settle it by the weights{by}.",
        )


def _moves(x: Floats, limits: Mapping[str, float]) -> bool:
    """Whether a part's buckets move persistently, instead of only jumping around."""
    if not np.isfinite(x).all():
        return False
    spread = float(np.square(x - x.mean()).mean())
    if not spread or math.sqrt(spread) < limits["swing"] * abs(float(x.mean())):
        return False
    return float(np.square(np.diff(x)).mean()) <= limits["ratio"] * spread
