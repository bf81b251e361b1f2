"""Rule `parts_sum`: the total is not the sum of the weighted parts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from monitor.domain import Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.composition import Composition
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold


class PartsSum:
    """In all of the last buckets, the total differs from the weighted parts with the same sign and beyond rounding.

    Only steps at which all parts and the total were logged are compared, and only if there are no more parts than the
    eight that are judged. If changing the weight of a single part would make the sum right in every bucket, the finding
    names it. While this holds, shares refer to the logged parts, not to the loss.

    Source:
        Ours; the tolerance is above what two parts in bfloat16 lose (8 bits, 0.4% each).
    """

    spec = Spec(
        name="parts_sum",
        severity=Severity.INFO,
        rank=None,
        reads_error=True,
        reads=(Role.PART,),
        patience=2,
        relief=2,
        thresholds={
            "gap": Threshold(default=0.02, low=0, high=1, doc="difference as a share of the larger side"),
            "buckets": Threshold(default=4, low=1, high=15, doc="last buckets that must all show it"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the sum differs from the total."""
        seen, last = run.parts, int(limits["buckets"])
        if seen.k < last or seen.parts.beyond:
            return None
        gap = seen.gap[-last:]
        size = np.maximum(np.abs(seen.total[-last:]), np.array(seen.parts.mass[-last:]))
        if not np.isfinite(gap).all() or not size.all():
            return None
        ratio = gap / size
        if np.abs(ratio).min() < limits["gap"] * (0.8 if firing else 1.0) or abs(np.sign(ratio).sum()) < last:
            return None
        total = float(seen.total[-1])
        part, weight = _one_weight(seen)
        first = next(
            (k for k in range(seen.k) if abs(seen.gap[k]) >= limits["gap"] * abs(seen.total[k])), seen.k - last
        )
        return Reading(
            seen.step[first],
            {"total": total, "sum": total - float(gap[-1]), "missing": float(ratio[-1]), "limit": limits["gap"],
             "part": part, "told": None if part is None else _told(seen, part), "weight": weight},
        )  # fmt: skip

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        missing = reading.number("missing")
        over = (
            f"{missing:.1%} of the total is in no part" if missing > 0 else f"{-missing:.1%} of the parts is not in it"
        )
        said = f"The weighted parts add up to {reading.shown('sum')}, the total is {reading.shown('total')}: {over}."
        if e["part"] is not None:
            return (
                f"{said} With a weight of {reading.shown('weight', 3)} instead of {reading.shown('told', 3)} for "
                f"loss/{e['part']}, they match.",
                f'Pass weights={{"{e["part"]}": {e["weight"]:.3g}}} to log(), so that shares are those of the loss.',
            )
        return (
            said,
            "Log the part that is missing, or pass the factors as log(..., weights={...}); parts that are "
            f"weighted already need none. Seen since {position(unit, reading.onset)}.",
        )


def _told(seen: Composition, name: str) -> float:
    return seen.parts.parts[seen.names.index(name)].weight


def _one_weight(seen: Composition) -> tuple[str | None, float | None]:
    """The one part whose weight alone would make the sum right, with that weight; (None, None) if not exactly one."""
    rows = np.isfinite(seen.gap) & np.isfinite(seen.raw).all(axis=1)
    if rows.sum() < 4:
        return None, None
    found = []
    for i, name in enumerate(seen.names):
        raw = seen.raw[rows, i]
        if not raw.all():
            continue
        implied = seen.parts.parts[i].weight + seen.gap[rows] / raw
        middle = float(np.median(implied))
        spread = float(np.abs(implied - middle).max()) / max(abs(middle), 1e-12)
        found.append((spread, name, middle))
    found.sort(key=lambda item: item[0])
    if not found or found[0][0] > 0.02 or (len(found) > 1 and found[1][0] < 3 * found[0][0] + 0.02):
        return None, None
    return found[0][1], found[0][2]
