"""Backtests: replay rules over complete runs, and report what they would have found, saved and missed.

A run is judged by its validation loss. If it has fewer than three finite values, the cost of a stop is unknown. A rule
*claims* its condition if its finding fires at the end of the run; for `spike` and `nan`, resolved findings count too.

Source:
    Prechelt, Early Stopping - But When? (1998), for steps saved against loss missed; Keras `EarlyStopping` with
    patience 10 and min_delta 0, for the baseline.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from monitor.domain import FindingState
from monitor.domain.plain import Row
from monitor.roles import Role
from monitor.rules.config import RulesConfig
from monitor.rules.lab.suites import CALM
from monitor.rules.replay import Curves
from monitor.rules.sketch.noise import Floats
from monitor.rules.sketch.patience import PATIENCE

BAD_REGRET: Final = 0.02
"""A stop with a regret above this, as a share of the curve's descent, was a bad one."""
ENOUGH: Final = 3
"""The cost of a stop is known from this many finite validation losses on."""
PASSING: Final = ("spike", "nan")
"""Rules that are right even if their finding has resolved."""
HEALTHY: Final = "healthy"
MILD: Final = ("convergence", "improving")
"""Rules that are neither right nor wrong about a run that is labelled healthy, but not with their own name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case(Curves):
    """A run to replay.

    Attributes:
        ref: the run's id, or the file.
        labels: what is true of the run: names of rules, or of verdicts without a finding. Empty if unknown.
    """

    ref: str
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The effect of a policy's stop on a run.

    Attributes:
        step: where it stops; None if it never does.
        saved_steps: steps of the run after the stop.
        saved: the same, as a share of the run.
        missed: True if the validation loss was better after the stop than before; None if unknown.
        regret: how much better, as a share of the descent from the first validation loss to the best; None if unknown.
    """

    step: float | None
    saved_steps: float
    saved: float
    missed: bool | None
    regret: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """What a rule did on a run.

    Attributes:
        fired: where it first fired, as a share of the run.
        firing: True if it was still firing at the end.
        stop: what a stop there would have done.
    """

    fired: float
    firing: bool
    stop: Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The result of one configuration on a run."""

    verdict: str
    hits: Mapping[str, Hit]
    stop: Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A run's results under each configuration and under the baseline."""

    ref: str
    name: str
    labels: frozenset[str]
    sides: tuple[Side, ...]
    patience: Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSummary(Row):
    """The stops of one policy over all runs.

    Attributes:
        runs: number of runs.
        stopped: number of runs that it stops.
        saved: mean share of the steps saved; 0 for a run that is not stopped.
        saved_steps: steps saved in total.
        judged: runs with enough validation losses. The fields below are over these; a run that is not stopped costs
            nothing.
        missed: runs whose validation loss was better after the stop.
        regret_mean, regret_p90: mean and 90th percentile of the regret; None if there are no such runs.
        bad: share of the runs with a regret above `BAD_REGRET`.
    """

    runs: int
    stopped: int
    saved: float
    saved_steps: float
    judged: int
    missed: int
    regret_mean: float | None
    regret_p90: float | None
    bad: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSummary(Row):
    """One rule over all runs.

    Attributes:
        fired: runs on which it fired at any step.
        firing: runs on which it was firing at the end.
        position: median of where it first fired, as a share of the run; None if it never did.
        labelled: runs labelled with the rule's name.
        precision: share of the rule's claims on labelled runs that are right; None if it claims nothing, or if no run
            is labelled with it.
        recall: share of the runs labelled with the rule on which it claims its condition; None if there are none.
        stops: the stops if each run had been stopped where the rule first fired.
    """

    rule: str
    fired: int
    firing: int
    position: float | None
    labelled: int
    precision: float | None
    recall: float | None
    stops: StopSummary


def replay(case: Case, configs: Sequence[RulesConfig]) -> Replayed:
    """Replay a run under each configuration.

    Raises:
        RulesError: a series cannot be read as points.
    """
    series = case.series
    first, last = _span(series)
    sides = []
    for config in configs:
        said = case.diagnose(config)
        hits: dict[str, Hit] = {}
        for found in said.findings:
            before = hits.get(found.rule)
            position = float(np.clip((found.fired_step - first) / max(last - first, 1e-12), 0.0, 1.0))
            firing = found.state is FindingState.FIRING
            hits[found.rule] = (
                Hit(fired=position, firing=firing, stop=outcome(series, found.fired_step))
                if before is None
                else replace(before, firing=firing or before.firing)
            )
        stop = outcome(series, said.recommendation.first_stop_step)
        sides.append(Side(verdict=said.verdict, hits=hits, stop=stop))
    patience = outcome(series, patience_stop(series.get(Role.VAL, np.empty((0, 2)))))
    return Replayed(ref=case.ref, name=case.name, labels=case.labels, sides=tuple(sides), patience=patience)


def outcome(series: Mapping[Role, Floats], stop: float | None) -> Stop:
    """What a stop at a step saves and misses.

    >>> val = np.array([[0, 1.0], [10, 0.4], [20, 0.5], [30, 0.3], [40, 0.6]])
    >>> stop = outcome({Role.VAL: val}, 20)
    >>> stop.saved_steps, stop.saved, stop.missed, round(stop.regret, 3)
    (20.0, 0.5, True, 0.143)
    """
    first, last = _span(series)
    saved = 0.0 if stop is None else max(0.0, last - max(stop, first))
    val = series.get(Role.VAL, np.empty((0, 2)))
    val = val[np.isfinite(val).all(axis=1)]
    missed, regret = None, None
    if len(val) >= ENOUGH:
        seen = val[:, 1] if stop is None else val[val[:, 0] <= stop, 1]
        had, best = float(seen.min() if len(seen) else val[0, 1]), float(val[:, 1].min())
        missed = best < had
        way = float(val[0, 1]) / 2 - best / 2  # halved, so that no difference overflows
        regret = (had / 2 - best / 2) / way if missed and way > 0 else 0.0
    return Stop(step=stop, saved_steps=saved, saved=saved / max(last - first, 1e-12), missed=missed, regret=regret)


def patience_stop(val: Floats, patience: int = PATIENCE) -> float | None:
    """The step at which simple patience stops: `patience` evaluations in a row without a new best. NaN is never a best.

    >>> patience_stop(np.array([[0, 1.0], [1, 0.5], [2, 0.6], [3, 0.5]]), patience=2)
    3.0
    """
    values = np.where(np.isnan(val[:, 1]), np.inf, val[:, 1])
    best, wait = math.inf, 0
    for k, value in enumerate(values.tolist()):
        best, wait = (value, 0) if value < best else (best, wait + 1)
        if wait >= patience:
            return float(val[k, 0])
    return None


def summarise(replayed: Sequence[Replayed], side: int, rules: Iterable[str]) -> tuple[RuleSummary, ...]:
    """Each rule over all runs.

    Args:
        side: which configuration, from 0.
        rules: their names, in the order of the result.
    """
    return tuple(_rule(replayed, side, name) for name in rules)


def stops(found: Iterable[Stop]) -> StopSummary:
    """Summarise the stops of one policy, one per run."""
    each = list(found)
    regrets = [stop.regret for stop in each if stop.regret is not None]
    return StopSummary(
        runs=len(each),
        stopped=sum(stop.step is not None for stop in each),
        saved=float(np.mean([stop.saved for stop in each])) if each else 0.0,
        saved_steps=math.fsum(stop.saved_steps for stop in each),
        judged=len(regrets),
        missed=sum(stop.missed is True for stop in each),
        regret_mean=float(np.mean(regrets)) if regrets else None,
        regret_p90=float(np.percentile(regrets, 90)) if regrets else None,
        bad=float(np.mean([regret > BAD_REGRET for regret in regrets])) if regrets else None,
    )


def changed(replayed: Iterable[Replayed]) -> tuple[Replayed, ...]:
    """Runs to which the configurations give different verdicts."""
    return tuple(run for run in replayed if len({side.verdict for side in run.sides}) > 1)


def labels_of(text: str, rules: Iterable[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The labels in a tag or a cell, and the words that are not labels.

    >>> labels_of("Overfitting; lovely", ["overfitting", "spike"])
    (frozenset({'overfitting'}), ('lovely',))
    """
    words = [word for word in text.lower().replace(";", ",").replace("|", ",").replace(",", " ").split() if word]
    known = {*rules, *CALM}
    return frozenset(word for word in words if word in known), tuple(word for word in words if word not in known)


def _rule(replayed: Sequence[Replayed], side: int, name: str) -> RuleSummary:
    hits = [hit for run in replayed if (hit := run.sides[side].hits.get(name)) is not None]
    counted = [
        run for run in replayed if name in run.labels or (run.labels and not (name in MILD and HEALTHY in run.labels))
    ]
    pairs = [(name in run.labels, _says(run.sides[side], name)) for run in counted]
    right, said, true = pairs.count((True, True)), sum(p[1] for p in pairs), sum(p[0] for p in pairs)
    return RuleSummary(
        rule=name,
        fired=len(hits),
        firing=sum(hit.firing for hit in hits),
        position=float(np.median([hit.fired for hit in hits])) if hits else None,
        labelled=true,
        precision=right / said if true and said else None,
        recall=right / true if true else None,
        stops=stops(_first(run, side, name) for run in replayed),
    )


def _first(run: Replayed, side: int, name: str) -> Stop:
    """The stop where a rule first fired, or one without a step if it never did."""
    hit = run.sides[side].hits.get(name)
    if hit is not None:
        return hit.stop
    known = run.patience.regret is not None
    return Stop(step=None, saved_steps=0.0, saved=0.0, missed=False if known else None, regret=0.0 if known else None)


def _says(side: Side, name: str) -> bool:
    hit = side.hits.get(name)
    return hit is not None and (hit.firing or name in PASSING)


def _span(series: Mapping[Role, Floats]) -> tuple[float, float]:
    """The first and the last step of the losses."""
    steps = [series[role][:, 0] for role in (Role.TRAIN, Role.VAL) if role in series and len(series[role])]
    ends = [(float(np.nanmin(s)), float(np.nanmax(s))) for s in steps if not np.isnan(s).all()]
    return (min(e[0] for e in ends), max(e[1] for e in ends)) if ends else (0.0, 0.0)
