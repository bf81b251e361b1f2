"""Rule `divergence`: the training loss goes up for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rises import comes_back, levelled, seen_before, stays
from monitor.rules.rule import LOUD, Quiet, Reading, Spec, Threshold
from monitor.rules.trend import mann_kendall

_HUGE: Final = 100
"""Times all that a loss had covered from which it does not come back."""
_BEGUN: Final = 100
"""Points of a run that is logged by the step before a rise counts that is no more than `_FAR` times its first value."""
_BEGUN_LEARNED: Final = 150
"""The same for a loss that had come down before, by when most waves have turned round twice."""
_FAR: Final = 20
_ABOVE: Final = 3
"""Times its first value that both losses must stay above it: more than noise explains, whatever its size."""
_PLAIN: Final = 3
"""Times what it must exceed that a rise which stays near its peak needs no time to be told."""
_DRAW: Final = 6
"""Times the noise of a point that a loss must lie above its first value, which is a single draw."""


class Divergence:
    """The training loss has lost a good part of what it had gained and does not come back, or stays non-finite.

    With `low` the lowest smoothed level, `range` the way down to it, `peak` the highest smoothed level since and
    `level` the level now, it holds where `level - low` exceeds `lost * range` and `z` times the noise that the loss had
    before, and the loss is not on its way back: falling from level to level, or below `low + held * (peak - low)`, or
    steadily down, unless it has levelled off. A hump like one that has come back before is waited out for as long as
    that took. A jump must hold for a while; a climb that is steady since the low, one three times as large as it had to
    be that stays near its peak, or an explosion, need not.

    None of this looks at the distance from zero. Where that is known to mean something it only helps: in the first
    150 steps (100, where nothing has been learned yet) a rise counts from twenty times the first value on, or once it
    is flat: a warm-up goes up first, and a wave that has turned once looks like a divergence. Where nothing has been
    learned yet it takes more of the range, and four fifths of the run so far must lie above, as a loss that wanders
    around its start looks like a rise for a while. A loss that never came back to its first value rises from there;
    where both losses stay three times that above it, noise explains nothing.

    An explosion is two or three levels in a row a hundred times above all that the loss had covered; one that is not
    finite after such a value needs no second. On its way down it is still one while three levels lie that far up.

    Source:
        AutoTrainer (Zhang et al., ICSE 2021), exploding and oscillating loss; the hold against the peak is ours.
    """

    spec = Spec(
        name="divergence",
        version=4,
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
        state, view = run.state, run.descent
        if state.nan_train >= limits["confirm"] or (state.nan_train and _blew(view)):
            return Reading(state.nan_train_first, {"non_finite_in_a_row": int(state.nan_train)}, sure=True)
        burst = _explosion(view)
        if burst:
            onset = view.step[-2] if view.closed > 1 else run.step
            return Reading(onset, {"level": _latest(view)[-1], "low": min(view.xs), "needed": burst}, sure=True)
        if view.closed < 5:
            return None
        return (_blown(run, view) if firing else None) or self._lost(run, limits, firing)

    def quiet(self, run: Features, limits: Mapping[str, float], firing: bool) -> Quiet:
        """Levels that are no explosion, where the last two buckets leave nothing lost whatever comes."""
        state, view = run.state, run.descent
        if firing or state.nan_train or view is not run.train:
            return LOUD
        if view.closed < 3:
            return Quiet()
        first = view.curve.first
        low, reach = (view.low, view.start - view.low) if view.low <= first else (first, 0.0)
        rise = max(view.centres[-2:]) - low  # the level is the median of these two and of what is open
        if view.closed > 4 and rise > max(min(limits["lost"], limits["lost_unlearned"]) * reach, 0.0):
            least = min(_ABOVE * abs(first), _DRAW * view.roughness) if low < view.low else _share(view, limits) * reach
            if rise > least:
                return LOUD
        return Quiet(level=view.lowest + _HUGE * _covered(view, 1))

    def _lost(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while a good part of the way down is lost."""
        view, first = run.descent, run.descent.curve.first
        low, low_at = (view.low, view.low_at) if view.low <= first else (first, 0)
        rise, reach = view.level - low, view.start - low if view.low <= first else 0.0
        ease = 0.5 if firing else 1.0
        if rise <= max(min(limits["lost"], limits["lost_unlearned"]) * ease * reach, 0.0):
            return None
        learned = view.low <= first and (view.learned or _came_down(view, ease))
        lost = _share(view, limits, ease) * ease
        if rise <= max(lost * reach, 0.0):
            return None
        surely = learned or rise > 3 * abs(first)
        need = max(lost * reach, _doubt(view, limits["z"] * ease, rise, learned=learned))
        both = low < view.low and _both_above(run)
        if low < view.low:
            need = _ABOVE * abs(first) if both else max(need, _DRAW * view.roughness)
        shift = surely or float(view.smooth[view.closed // 5 :].min()) > low + 0.5 * need
        if rise <= need or not shift or (not firing and _early(run, rise, learned=learned)):
            return None
        peak = max(float(view.smooth[low_at:].max()), view.level)
        enough = limits["held"] * (peak - low)
        blown = min(view.xs[-3:]) > low + _HUGE * max(reach, abs(first))
        waits = comes_back(view, low_at, rise, enough) or seen_before(view, rise)
        if not firing and not both and not blown and waits:
            return None
        above = view.smooth[low_at:] > low + 0.5 * need
        onset = view.step[low_at + int(above.argmax())] if above.any() else run.step
        evidence = {"level": view.level, "low": low, "rise": rise, "needed": need, "range": reach, "noise": view.calm}
        tau, trend_z = mann_kendall(view.x[low_at:])
        climbing = tau >= limits["climb"] and trend_z >= 3 and view.level >= 0.8 * peak + 0.2 * low
        sure = climbing or blown or (rise >= _PLAIN * need and stays(view, low, peak))
        return Reading(onset, {**evidence, "trend": tau}, sure=sure)

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


def _share(view: View, limits: Mapping[str, float], ease: float = 1.0) -> float:
    """The share of the way down that has to be lost: all of it, where only its length beside the noise makes it one."""
    if view.low > view.curve.first or not (view.learned or _came_down(view, ease)):
        return limits["lost_unlearned"]
    return limits["lost"] if view.learned else max(limits["lost"], min(1.0, limits["lost_unlearned"]))


def _came_down(view: View, ease: float) -> bool:
    """Whether the way down is one beside noise and wandering: its distance from zero says nothing.

    `View.learned` asks for less where the way is a good part of the loss.
    """
    return view.low_at >= 8 * ease and view.range >= ease * max(0.6 * view.travel, 20 * view.calm)


def _doubt(view: View, z: float, rise: float, *, learned: bool) -> float:
    """What the rise must exceed because of the noise.

    A steep way down looks like noise to a coarse sketch, so no more than the whole way is asked of a loss that had
    learned. One that is ten times where it began has its noise from there, which is not what it began with.
    """
    if learned:
        return min(z * view.calm, max(view.range, 0.4 * z * view.calm))
    first = abs(view.curve.first)
    return z * view.calm * (0.25 if rise > 10 * first else 1)


def _early(run: Features, rise: float, *, learned: bool) -> bool:
    """Whether a run that is logged by the step has hardly begun: a first transient goes up by a few times the loss.

    A wave that has turned round once looks like a divergence of a loss that had learned, until it is flat up there.
    """
    few = run.state.unit == "step" and run.descent.n < (_BEGUN_LEARNED if learned else _BEGUN)
    return few and rise <= _FAR * abs(run.descent.curve.first) and not (learned and levelled(run.descent, rise))


def _both_above(run: Features) -> bool:
    """Whether neither loss has come near its first value again since the first fifth of the run."""
    return all(
        view.closed >= 5
        and float(view.smooth[view.closed // 5 :].min()) > view.curve.first + _ABOVE * abs(view.curve.first) > 0
        for view in (run.train, run.val)
    )


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
    """The rise that the latest levels have far exceeded, 0 where they have not.

    Two accelerating steps, each five times the one before, or two or three levels in a row that do not go down, are a
    hundred times above all that the loss had covered until then (its first value, in the first steps): nothing comes
    back from there.
    """
    x = _latest(view)
    enough = 3 if view.size in (1, 4) else 2
    if len(x) < 3 or view.closed < 3 or x[-1] <= view.lowest:
        return 0.0
    scale = _HUGE * _covered(view, len(view.curve.quarters))
    if scale <= 0:
        return 0.0
    first, second = x[-2] - x[-3], x[-1] - x[-2]
    if view.size == 1 and first > 0 and second > 5 * first and first + second > scale:
        return scale
    low = view.lowest
    held = all(value > low + scale for value in x[-enough:]) and x[-1] >= 0.9 * x[-2]
    return scale if held and len(x) > enough else 0.0


def _latest(view: View) -> list[float]:
    """The last centres, and the quarters of the open bucket after them: the finest levels that are known."""
    return [*view.centres[-3:], *view.curve.quarters]


def _covered(view: View, quarters: int) -> float:
    """What the loss had covered before its last levels; at least its first value where there are only a few.

    Of one that never came below where it began it is what the first step was: an explosion covers ever more.
    """
    x, first = view.centres, view.curve.first
    if min(first, x[0]) <= view.lowest:
        return max(abs(first), abs(x[1 if view.size == 1 else 0] - first))
    before = x[: -max(1, 3 - quarters)] or x[:1]
    covered = max(before) - min(before)
    return covered if view.closed > 7 else max(covered, abs(first))


def _blew(view: View) -> bool:
    """Whether a value just before lies so far above all others that what follows is no accident."""
    curve = view.curve
    return view.closed > 3 and max(curve.top, curve.last) > view.lowest + _HUGE * _covered(
        view, len(view.curve.quarters)
    )
