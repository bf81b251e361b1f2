"""Rule `dominant_part`: only one part of the loss is learned, and another one's gradient hardly counts."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import Reading, Spec, Threshold, rows


class DominantPart:
    """One part makes up nearly the whole loss and is learned, while another one stays where it began.

    The rule reads only the parts that the model is trained for: a penalty is meant to be small, the size of an
    auxiliary or adversarial term means nothing, and a part whose weight was reduced to almost zero is meant to be off.
    The dominant part must hold `share` in every bucket of the later half of the run. The part left behind must have
    come down by less than `behind` times as much, each relative to where it began. So a part that is small because it
    was learned is not left behind.

    Source:
        Chen et al., GradNorm (ICML 2018), for the imbalance of tasks; Kendall, Gal, Cipolla, Multi-task learning using
        uncertainty (CVPR 2018), for what weights do to it. The limits are ours.
    """

    spec = Spec(
        name="dominant_part",
        severity=Severity.WARNING,
        rank=68,
        reads_error=True,
        reads=(Role.PART,),
        patience=3,
        relief=2,
        thresholds={
            "share": Threshold(default=0.95, low=0.5, high=1, doc="share of the weighted data parts"),
            "learned": Threshold(default=0.3, low=0, high=1, doc="way down of the dominant part, share of its start"),
            "behind": Threshold(default=0.2, low=0, high=1, doc="way down of the other one over that"),
            "rows": rows(64),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the dominant part is learned and another one is not."""
        seen = run.parts
        data = seen.data
        if len(data) < 2 or seen.n < limits["rows"] or seen.k < 6:
            return None
        later = seen.weighted[seen.k // 2 :][:, data]
        if not later.sum(axis=1).all():
            return None
        shares = later / later.sum(axis=1, keepdims=True)
        most = int(shares.mean(axis=0).argmax())
        limit = limits["share"] * (0.97 if firing else 1.0)
        learned = seen.fallen(data[most])
        if shares[:, most].min() < limit or learned < limits["learned"]:
            return None
        others = [i for k, i in enumerate(data) if k != most]
        least = min(others, key=seen.fallen)
        if seen.fallen(least) > limits["behind"] * learned * (1.5 if firing else 1.0):
            return None
        return Reading(
            seen.step[seen.k // 2],
            {"part": seen.names[data[most]], "share": float(shares[-1, most]), "limit": limits["share"],
             "fallen": learned, "other": seen.names[least], "other_share": float(shares[-1, data.index(least)]),
             "other_fallen": seen.fallen(least), "weight": seen.parts.parts[least].weight,
             "suggested": seen.weight_by_start(least, data[most])},
        )  # fmt: skip

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        fell = reading.number("other_fallen")
        moved = f"come down by {fell:.1%}" if fell >= 0 else f"gone up by {-fell:.1%}"
        to = "until its gradient counts" if e["suggested"] is None else (
            f"to about {reading.shown('suggested', 2)}, with which it would have begun as large as loss/{e['part']}"
        )  # fmt: skip
        return (
            f"loss/{e['part']} makes up {e['share']:.1%} of the weighted parts (limit {e['limit']:.0%}) and came "
            f"down by {e['fallen']:.0%}; loss/{e['other']}, at {e['other_share']:.2%} with a weight of "
            f"{reading.shown('weight', 3)}, has {moved}.",
            f"Raise the weight of loss/{e['other']} {to}, or let monitor.losses.Balancer find the weights. "
            f"Seen since {position(unit, reading.onset)}.",
        )
