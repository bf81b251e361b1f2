"""Rule `convergence`: the loss has flattened out below its start."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules.features import Features, View
from monitor.rules.rule import Reading, Spec, Threshold
from monitor.rules.trend import mann_kendall


class Convergence:
    """Over the last fifth of the run the validation loss gained next to nothing of the range it has covered.

    Where no validation loss is logged, the training loss is read instead. A validation loss that has turned up is not
    flat: while `overfitting` is out or likely, this is not, nor is it while `stagnation` or `oscillation` is.

    A gain of no more than `within` times the noise is none, if the last third has no trend (Kendall's tau over -0.35).
    Without any validation, a hundred training points are asked for where they are logged by the step.

    Source:
        The plateau criterion of learning-rate schedulers, made relative to the run's own range and length; Kendall
        (1975) for the trend.
    """

    spec = Spec(
        name="convergence",
        version=4,
        severity=Severity.INFO,
        reads=(Role.TRAIN, Role.VAL),
        relief=2,
        thresholds={
            "gain": Threshold(default=0.012, low=0, high=1, doc="share of the range gained over the last fifth"),
            "relative": Threshold(
                default=0.3, low=0, high=1, doc="share of the loss itself gained over the last fifth"
            ),
            "within": Threshold(default=0.8, low=0, high=10, doc="gain in multiples of the noise, that is none"),
            "points": Threshold(
                default=100,
                low=1,
                high=1e9,
                doc="training points, where they are logged by the step without validation",
            ),
            "z": Threshold(default=4, low=1, high=100, doc="range in multiples of the noise of a bucket"),
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the gain is small."""
        view, state = run.judged, run.state
        if view.closed < 8 or view.range <= 0.05 * abs(view.start) or run.diverging or run.told("overfitting"):
            return None
        if run.fires("stagnation") or run.fires("oscillation"):
            return None
        if state.unit == "step" and not state.val_seen and state.train_seen < limits["points"]:
            return None
        gain = view.gain / view.range
        limit = limits["gain"] * (1.25 if firing else 1.0)
        large = gain > limit or view.relative_gain > limits["relative"]
        if large and not (view.gain <= limits["within"] * view.noise and _trendless(view)):
            return None
        if view.range <= limits["z"] * view.sigma or view.level - view.low > 0.1 * view.range + 3 * view.sigma:
            return None
        evidence = {"gain": gain, "limit": limit, "level": view.level, "range": view.range, "noise": view.noise}
        return Reading(view.step[view.fifth], evidence)

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        """The sentence and the advice."""
        e = reading.evidence
        gain = float(e["gain"] or 0)
        gained = f"gained {gain:.1%} of the range of {e['range']:.3g}" if gain >= 0.0005 else "gained nothing"
        why = f"a gain up to {e['limit']:.1%} counts as flat"
        if gain > float(e["limit"] or 0):
            why = f"no more than the noise of {e['noise']:.2g}, and without a trend"
        return (
            f"The loss has been flat since {unit} {reading.onset:g}: the last fifth of the run {gained} ({why}).",
            "Continuing gains little at this learning rate; lower it, or finish.",
        )


def _trendless(view: View) -> bool:
    """Whether the last third has no trend to speak of."""
    return view.once(("late trend",), lambda: mann_kendall(view.x[-max(5, view.closed // 3) :])[0]) > -0.35
