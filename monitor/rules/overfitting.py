"""Rule `overfitting`: the validation loss turns up while the training loss goes on falling."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, Floats
from monitor.rules.rule import Reading, Spec, Threshold


class Overfitting:
    """The validation loss has risen from its minimum, steadily and beyond its noise, and the training loss has not.

    A growing gap alone is not overfitting: while the validation loss is flat, training longer costs nothing.

    Source:
        Prechelt, Early Stopping - But When? (1998), GL and UP; Li et al., Keeping Deep Learning Models in Check
        (OverfitGuard, FSE 2024); Mann (1945) and Kendall (1975) for the trend since the minimum.
    """

    spec = Spec(
        name="overfitting",
        severity=Severity.CRITICAL,
        reads=(Role.VAL,),
        patience=2,
        relief=3,
        thresholds={
            "min_rise": Threshold(default=0.05, low=0, high=10, doc="rise as a share of the validation loss's range"),
            "z": Threshold(default=4, low=1, high=100, doc="rise in multiples of the noise of a bucket"),
            "trend": Threshold(default=0.3, low=0, high=1, doc="Kendall's tau of the buckets since the minimum"),
            "after": Threshold(default=3, low=2, high=1000, doc="buckets after the minimum, at least"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the validation loss is up and the training loss is down from where it was then."""
        view, train = run.val, run.train
        if view.closed < 5 or train.closed < 3:
            return None
        after = view.closed - 1 - view.low_at
        rise = view.level - view.low
        ease = 0.5 if firing else 1.0
        need = ease * max(limits["min_rise"] * view.range, limits["z"] * view.sigma, 0.005 * abs(view.low))
        if after < limits["after"] or rise <= need:
            return None
        best_step = view.step[view.low_at]
        fell = train.level_at(best_step) - train.level
        if fell < -0.02 * train.range:
            return None
        tau, z = mann_kendall(view.x[view.low_at :])
        if not firing and (tau < limits["trend"] or z < 2.3):
            return None
        evidence = {
            "val_best": view.low,
            "best_step": best_step,
            "val_now": view.level,
            "rise": rise,
            "needed": need,
            "range": view.range,
            "noise": view.sigma,
            "trend": tau,
            "train_fell": fell,
        }
        return Reading(best_step, evidence)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        return (
            f"The validation loss has risen from {e['val_best']:.4g} at {unit} {e['best_step']:g} to "
            f"{e['val_now']:.4g} (a rise of {e['rise']:.2g}, {e['needed']:.2g} would have been enough to tell), "
            f"while the training loss fell by {e['train_fell']:.2g}.",
            f"Keep the checkpoint of {unit} {e['best_step']:g} and stop; to go further, add data, augmentation, "
            "weight decay or dropout, or use a smaller model.",
        )


def mann_kendall(x: Floats) -> tuple[float, float]:
    """Kendall's tau of x against time, and the Mann-Kendall z.

    Args:
        x: (n,).

    >>> import numpy as np
    >>> tau, z = mann_kendall(np.arange(5.0))
    >>> tau, round(z, 2)
    (1.0, 2.2)
    """
    n = len(x)
    if n < 3:
        return 0.0, 0.0
    score = float(np.sign(x[None, :] - x[:, None])[np.triu_indices(n, 1)].sum())
    spread = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return 2 * score / (n * (n - 1)), (score - math.copysign(1, score)) / spread if score else 0.0
