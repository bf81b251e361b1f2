"""Rule `stagnation`: no real progress from the start."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.guessing import at_chance, could_guess, guessing
from monitor.rules.overfitting import memorises
from monitor.rules.rule import Reading, Spec, Threshold


class Stagnation:
    """Neither loss has come down noticeably: the model is broken, frozen, or learns far too slowly.

    Progress is measured against the first level, or against the noise of a point where that is larger: the level of a
    loss near zero says nothing of its size. So an added constant matters here, as in `oscillation`: 1 % of a
    cross-entropy is nothing, and a curve cannot tell which constant it hides. Two things guard it. Progress
    that goes on and stands out from the noise of single points is slow learning, not stagnation, unless it is hardly
    any; and a flat curve far above the noise it began with counts only where its level could be the chance level ln(k)
    of k classes, or of the loss function, if that is known. Neither does where hardly any progress is that of training
    alone.

    Progress within the noise of the levels that it lies between is none. A run that has learned and lost it again, as
    at a jump of the learning rate, has not stagnated from the start: that is left to `divergence` and `spike`.

    Four evaluations do, instead of eight, beside four times as many training points; so many are needed where there is
    no evaluation, as learning rates warm up over hundreds of steps.

    Also holds where training memorises and validation has never come down.

    Source:
        AutoTrainer (ICSE 2021), slow convergence; SageMaker Debugger's LossNotDecreasing; ln(k): Karpathy, A Recipe
        for Training Neural Networks (2019).
    """

    spec = Spec(
        name="stagnation",
        version=4,
        severity=Severity.WARNING,
        reads=(Role.TRAIN, Role.VAL),
        patience=3,
        relief=2,
        thresholds={
            "progress": Threshold(default=0.05, low=0, high=1, doc="progress as a share of the first level"),
            "hardly": Threshold(default=0.01, low=0, high=1, doc="progress that is none, even where it goes on"),
            "checks": Threshold(default=8, low=4, high=1000, doc="buckets of the series, at least"),
            "points": Threshold(default=100, low=1, high=1e9, doc="training points, where they are logged by the step"),
            "noise": Threshold(default=3, low=0, high=100, doc="progress in multiples of the noise of a point"),
            "doubt": Threshold(default=3, low=0, high=100, doc="progress in multiples of the noise of a bucket"),
            "flat": Threshold(default=0.1, low=0, high=1, doc="share of the progress that the last half made"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while there is no progress."""
        views = _views(run, limits, firing)
        if not views or run.diverging or run.fires("oscillation"):
            return None
        rough = run.descent.roughness
        limit = limits["progress"] * (1.2 if firing else 1.0)
        progress = min(_progress(view, rough) for view in views)
        if progress <= limit:
            sure = [view for view in views if not _doubted(view, limits)]
            progress = max((_progress(view, rough) for view in sure), default=progress)
        if progress > limit:
            return self._memory(run)
        if any(_learned_before(view, rough, limit, limits["doubt"]) for view in views):
            return None
        alone = progress <= limits["hardly"] and run.val in views and _doubted(run.val, limits)
        if not alone and any(_guarded(view, rough, progress, limits, run.state.chance) for view in views):
            return None
        view = run.judged
        return Reading(
            run.state.first_step,
            {"progress": progress, "limit": limit, "first": view.start, "level": view.level, "low": view.low,
             "within_noise": not sure, **guessing(view.level, run.state.chance)},
        )  # fmt: skip

    def _memory(self, run: Features) -> Reading | None:
        val, train = run.val, run.train
        if not (val.n and train.n) or val.level < val.start or run.fires("overfitting"):
            return None
        if not (train.learned and memorises(val, train, run.state.unit)):
            return None
        progress = _progress(val, run.descent.roughness)
        return Reading(
            val.curve.first_step,
            {"progress": progress, "limit": 0.05, "first": val.start, "level": val.level, "low": val.low,
             "train": train.level},
        )  # fmt: skip

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
        progress, first, level = float(e["progress"] or 0), float(e["first"] or 0), float(e["level"] or 0)
        came_down = "which is within its noise" if level < first else "and has not come down"
        if progress >= 0.0005 and not e["within_noise"]:
            came_down = f"and came down by {progress:.1%} at most"
        return (
            f"The loss has made no progress: it began at {first:.4g} and is at {level:.4g}, {came_down} "
            f"({e['limit']:.0%} would count as learning).{at_chance(e)}",
            "Check that the optimiser sees the parameters, that labels match inputs, and the learning rate; "
            f"try to overfit a single batch. Judged over the {unit}s so far.",
        )


def _views(run: Features, limits: Mapping[str, float], firing: bool) -> list[View]:
    """The series that can be judged; none where it is too early to tell.

    What a training loss has begun to say before the first evaluations is not taken back because these are few.
    """
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


def _progress(view: View, rough: float) -> float:
    return (view.centres[0] - view.level) / _scale(view, rough)


def _scale(view: View, rough: float) -> float:
    """The size of a loss: its first level, or the noise of a point where that is larger, as it is near zero."""
    return max(abs(view.centres[0]), rough, 1e-300)


def _doubted(view: View, limits: Mapping[str, float]) -> bool:
    """Whether progress is within what the noise of the two levels that it lies between would give."""
    return view.centres[0] - view.level <= limits["doubt"] * view.noise


def _learned_before(view: View, rough: float, limit: float, doubt: float) -> bool:
    """Whether the series has once come down by twice the limit, and by more than its noise then explains."""
    return view.centres[0] - view.low > max(2 * limit * _scale(view, rough), 2 * doubt * view.calm)


def _guarded(view: View, rough: float, progress: float, limits: Mapping[str, float], chance: float) -> bool:
    """Whether a little progress is slow learning, or too certain for a loss that does not lie at chance."""
    gained = view.centres[0] - view.level
    half = view.way.smooth[view.closed // 2] - view.level
    goes_on = half > max(limits["flat"] * gained, limits["doubt"] * view.noise)
    if progress > limits["hardly"] and gained > limits["noise"] * rough and goes_on:
        return True
    return gained > 20 * max(rough, view.noise) and not could_guess(view.level, chance)
