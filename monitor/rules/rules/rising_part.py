"""Rule `rising_part`: one part of the loss gets worse while the total gets better."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.composition import noise, smooth
from monitor.rules.describe.features import Features
from monitor.rules.describe.trend import mann_kendall
from monitor.rules.rule import Evidence, Reading, Spec, Threshold, rows
from monitor.rules.sketch.noise import Floats, middle


class RisingPart:
    """A part that the model is trained for has risen from its low, steadily and beyond noise, while the total fell.

    The total hides this: what one task loses, another one gains. Penalties rise as the weights grow, and a KL term as
    the latent code fills, so they are not read here. Neither is a part whose weight was reduced to almost zero.

    Source:
        Yu et al., Gradient Surgery for Multi-Task Learning (NeurIPS 2020), for what conflicting tasks do; Mann (1945)
        and Kendall (1975) for the trend. The limits are ours.
    """

    spec = Spec(
        name="rising_part",
        version=2,
        severity=Severity.WARNING,
        rank=60,
        reads_error=True,
        reads=(Role.PART,),
        patience=3,
        relief=3,
        thresholds={
            "rise": Threshold(
                default=0.2, low=0.01, high=10, doc="rise as a share of the way down, or of the low itself"
            ),
            "z": Threshold(default=6, low=1, high=100, doc="rise in multiples of the noise of a bucket"),
            "tau": Threshold(default=0.6, low=0, high=1, doc="Kendall's tau of the part since its low"),
            "rows": rows(64),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the part is up and the total is down."""
        seen = run.parts
        if len(seen.names) < 2 or seen.n < limits["rows"] or seen.k < 6:
            return None
        total = seen.total
        worst: tuple[float, int, Evidence] | None = None
        for i in seen.data:
            x = seen.raw[:, i]
            if not float(abs(x).sum()) < float("inf"):  # logged late, or with gaps
                continue
            level = smooth(x)
            low_at = int(level.argmin())
            low, rise = float(level[low_at]), seen.level(i) - float(level[low_at])
            reach = max(seen.start(i) - low, abs(low))
            need = max(limits["rise"] * reach * (0.7 if firing else 1.0), limits["z"] * noise(x))
            if seen.k - low_at < 5 or rise <= need or not _fell(total[low_at:], noise(total)):
                continue
            tau, z = mann_kendall(level[low_at:])
            if tau >= limits["tau"] and z >= 2 and (worst is None or rise / need > worst[0]):
                worst = rise / need, low_at, {
                    "part": seen.names[i], "low": low, "level": seen.level(i), "rise": rise, "needed": need,
                    "trend": tau,
                    "total_then": float(total[low_at]), "total": middle(total[-3:].tolist()),
                }  # fmt: skip
        return None if worst is None else Reading(seen.step[worst[1]], worst[2])

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        return (
            f"loss/{e['part']} has risen from {reading.shown('low')} to {reading.shown('level')} since "
            f"{position(unit, reading.onset)}, while the total fell from {reading.shown('total_then')} to "
            f"{reading.shown('total')}.",
            f"The other parts improve at the expense of loss/{e['part']}: raise its weight, lower theirs, or keep "
            "their gradients from working against it (PCGrad, separate heads); judge it by its own validation metric.",
        )


def _fell(total: Floats, spread: float) -> bool:
    """Whether the total is lower at the end than at the beginning, beyond its noise and not by chance.

    Where the total was not logged at some steps, it is NaN, and so are its trend and the answer.
    """
    drop = middle(total[:3].tolist()) - middle(total[-3:].tolist())
    return drop > 2 * spread and mann_kendall(smooth(total))[0] <= -0.5
