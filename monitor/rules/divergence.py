"""Rule `divergence`: the training loss goes up for good."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.trend import mann_kendall


class Divergence:
    """The training loss has lost a good part of what it had gained and does not come back, or stays non-finite.

    With `low` the lowest smoothed level, `range` the way down to it, `peak` the highest smoothed level since and
    `level` the level now, it holds where `level - low` exceeds `lost * range` and `z` times the noise that the loss had
    before, and the level is still above `low + held * (peak - low)`: a spike that decays is on its way back and is left
    to `spike`. A jump must hold for a while; a climb that is steady since the low, or an explosion, need not.

    Where nothing has been learned yet it takes more of both, and four fifths of the run so far must lie above: a
    warm-up goes up first, and a loss that wanders around its start looks like a rise for a while.

    Source:
        AutoTrainer (Zhang et al., ICSE 2021), exploding and oscillating loss; the hold against the peak is ours.
    """

    spec = Spec(
        name="divergence",
        version=2,
        severity=Severity.CRITICAL,
        reads=(Role.TRAIN,),
        urgent=True,
        counts=True,
        patience=3,
        hold=0.1,
        relief=6,
        thresholds={
            "lost": Threshold(default=0.4, low=0.05, high=10, doc="share of the range that has to be lost"),
            "lost_unlearned": Threshold(default=1.5, low=0.05, high=10, doc="the same where nothing was learned yet"),
            "z": Threshold(default=20, low=1, high=100, doc="rise in multiples of the noise of a bucket"),
            "held": Threshold(default=0.6, low=0, high=1, doc="share of the climb that the level must still hold"),
            "climb": Threshold(default=0.6, low=0, high=1, doc="Kendall's tau since the low that needs no patience"),
            "confirm": Threshold(default=2, low=1, high=1000, doc="non-finite training losses in a row"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the level stays up, or the loss is not finite."""
        state = run.state
        if state.nan_train >= limits["confirm"]:
            return Reading(state.nan_train_first, {"non_finite_in_a_row": int(state.nan_train)}, sure=True)
        view = run.descent
        burst = _explosion(view)
        if burst:
            return Reading(view.step[-2], {"level": view.xs[-1], "low": view.xs[-3], "needed": burst}, sure=True)
        if view.closed < 5:
            return None
        return (_blown(run, view) if firing else None) or self._lost(run, limits, firing)

    def _lost(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while a good part of the way down is lost."""
        view = run.descent
        if _near(view, limits):
            return None
        rise, reach = view.level - view.low, view.start - view.low
        lost = limits["lost"] if view.learned else limits["lost_unlearned"]
        lost *= 0.5 if firing else 1.0
        surely = view.learned or rise > 3 * abs(view.start)
        need = max(lost * reach, _doubt(view, limits["z"], rise, surely=surely))
        shift = surely or float(view.smooth[view.closed // 5 :].min()) > view.low + 0.5 * need
        if rise <= max(need, 0.0) or not shift:
            return None
        peak = max(float(view.smooth[view.low_at :].max()), view.level)
        if not firing and rise < limits["held"] * (peak - view.low):
            return None
        above = view.smooth[view.low_at :] > view.low + 0.5 * need
        onset = view.step[view.low_at + int(above.argmax())] if above.any() else run.step
        evidence = {
            "level": view.level,
            "low": view.low,
            "rise": rise,
            "needed": need,
            "range": reach,
            "noise": view.calm,
        }
        tau, trend_z = mann_kendall(view.x[view.low_at :])
        climbing = tau >= limits["climb"] and trend_z >= 3 and view.level >= 0.8 * peak + 0.2 * view.low
        return Reading(onset, {**evidence, "trend": tau}, sure=climbing)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        advice = (
            "Stop, go back to a checkpoint from before the rise, and lower the learning rate or clip gradients; "
            "a warm-up helps where it began early."
        )
        if "level" not in e:
            return (
                f"The training loss has been non-finite since {unit} {reading.onset:g} "
                f"({e['non_finite_in_a_row']} in a row).",
                advice,
            )
        return (
            f"The training loss has gone up for good since {unit} {reading.onset:g}: it is at {e['level']:.4g}, its "
            f"lowest level was {e['low']:.4g}, and a rise of {e['needed']:.2g} would have been enough to tell.",
            advice,
        )


def _near(view: View, limits: Mapping[str, float]) -> bool:
    """Whether the level is so near its low that nothing else need be asked: most checks end here."""
    least = 0.5 * min(limits["lost"], limits["lost_unlearned"]) * (view.start - view.low)
    return view.level - view.low <= max(least, 0.0)


def _doubt(view: View, z: float, rise: float, *, surely: bool) -> float:
    """What the rise must exceed because of the noise.

    A steep way down looks like noise to a coarse sketch, so no more than the whole way is asked of a loss that had
    learned. One that is ten times where it began has its noise from there, which is not what it began with.
    """
    if view.learned:
        return min(z * view.calm, max(view.start - view.low, 0.4 * z * view.calm))
    return z * view.calm * (2 if not surely else 0.5 if rise > 10 * abs(view.start) else 1)


def _blown(run: Features, view: View) -> Reading | None:
    """Holds while a loss that blew up before it had learned anything is still half as high again as its first value.

    It never came below that value: levelling off up there is no recovery.
    """
    first = view.curve.first
    needed = 0.5 * abs(first)
    if float(view.smooth[view.closed // 5 :].min()) <= first or view.level <= first + needed:
        return None
    return Reading(run.step, {"level": view.level, "low": first, "needed": needed})


def _explosion(view: View) -> float:
    """The rise that two accelerating steps have far exceeded, 0 where they have not.

    Each is five times the one before, and together they are a hundred times all that the loss had covered until then
    (its first value, in the first steps): nothing comes back from there.
    """
    x = view.xs
    if len(x) < 3 or view.size > 1:
        return 0.0
    first, second = x[-2] - x[-3], x[-1] - x[-2]
    covered = max(x[:-2]) - min(x[:-2])
    scale = 100 * (covered if len(x) > 7 else max(covered, abs(x[0])))
    return scale if first > 0 and second > 5 * first and first + second > scale > 0 else 0.0
