"""Rule `stagnation`: no real progress from the start."""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.guessing import at_chance, could_guess, guessing
from monitor.rules.noise import middle
from monitor.rules.overfitting import memorises
from monitor.rules.rule import Reading, Spec, Threshold


class Stagnation:
    spec = Spec(
        name="stagnation",
        version=5,
        severity=Severity.WARNING,
        reads=(Role.TRAIN, Role.VAL),
        patience=3,
        hold=0.1,
        relief=3,
        thresholds={
            "progress": Threshold(default=0.05, low=0, high=1, doc="progress as a share of the first level"),
            "checks": Threshold(default=8, low=4, high=1000, doc="buckets of the series, at least"),
            "points": Threshold(default=100, low=1, high=1e9, doc="training points, where they are logged by the step"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while there is no progress."""
        views = _views(run, limits, firing)
        if not views or run.diverging or run.fires("oscillation"):
            return None
        limit = limits["progress"] * (1.2 if firing else 1.0)
        view = run.judged
        dead = all(_dead(one, limit) for one in views)
        chance = not dead and could_guess(middle(view.centres[view.closed // 12 :]), run.state.chance) and all(_flat(one) for one in views)
        if chance and len(views) == 2:
            chance = abs(views[0].level - views[1].level) < 0.05 * abs(view.level)
        if not dead and not chance:
            if memorises(run.val, run.train, run.state.unit) if run.val.closed and run.train.closed else False:
                return self._memory(run)
            return None
        evidence = {"progress": view.log(view.start) - view.now, "limit": limit, "first": view.start, "level": view.level,
                    "within_noise": True, **guessing(view.level, run.state.chance)}
        return Reading(run.state.first_step, evidence)

    def _memory(self, run: Features) -> Reading | None:
        val, train = run.val, run.train
        if val.now < val.log(val.curve.first) - 0.05 or run.fires("overfitting") or train.smooth[0] - train.now < 0.3:
            return None
        return Reading(val.curve.first_step, {"progress": 0.0, "limit": 0.05, "first": val.start, "level": val.level, "train": train.level})

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        if "train" in e:
            return (
                f"The model memorises: since {unit} {reading.onset:g} the training loss fell to {e['train']:.4g}, and "
                f"the validation loss has never come down from {e['first']:.4g} (it is at {e['level']:.4g}).",
                "Check that the validation set is of the same kind; weight decay and patience can bring delayed "
                "generalisation (grokking), more data is surer.",
            )
        return (
            f"No progress: {e['first']:.4g} at the start, {e['level']:.4g} now (needs a drop of {e['limit']:.0%}).{at_chance(e)}",
            "Check that the optimiser sees the parameters, that labels match inputs, and the learning rate; "
            f"try to overfit a single batch. Judged over the {unit}s so far.",
        )


def _views(run: Features, limits: Mapping[str, float], firing: bool) -> list[View]:
    train, val, state = run.train, run.val, run.state
    views = [view for view in (train, val) if view.n]
    least = limits["checks"]
    if state.unit == "step" and state.train_seen > 2 * state.val_seen:
        if state.train_seen < limits["points"] * (1 if val.n else 4):
            return []
        if state.train_seen >= 4 * limits["points"]:
            least /= 2
        if firing and val.closed < limits["checks"] / 2:
            views = [train]
    enough = train.closed >= limits["checks"] or not train.n
    return views if enough and (val.closed >= least or val not in views) else []


def _dead(view: View, limit: float) -> bool:
    """Whether a series is where it began, and was never clearly below."""
    y, doubt = view.y, 3 * view.error(1)
    limit = max(-math.log1p(-limit), doubt)
    gone = y[0] - view.now
    slow = min(0.025, 0.001 * view.n)
    if gone > max(slow, doubt) and view.line[0] > 0.2 * gone * (view.closed - 1 - view.fifth) / view.closed:
        return False
    return gone <= limit and y[0] - view.low <= 2 * limit


def _flat(view: View) -> bool:
    """Whether a series has not moved since its first fifth."""
    y, smooth = view.y[max(1, view.closed // 12) :], view.smooth[max(1, view.closed // 12) :]
    half = len(y) // 2
    if len(y) < 4 or abs(middle(y[:half]) - middle(y[half:])) >= max(0.01, view.error(half)):
        return False
    return max(smooth) - min(smooth) < max(0.01, 6 * view.noise)
