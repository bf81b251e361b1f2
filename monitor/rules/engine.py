"""The engine takes in points, runs the rules whenever a bucket closes, and returns the findings that fired or resolved.

It is pure: no clock, no randomness, no I/O, and a state passed to it is never modified. The same points give the same
changes at the same steps, however they are batched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import is_
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.domain import Counts, Diagnosis, Finding, Recommendation
from monitor.losses.specs.run_config import terms_of
from monitor.roles import Role
from monitor.rules.advice import games
from monitor.rules.advice.conflicts import ended, silenced
from monitor.rules.advice.recommend import recommend, settle
from monitor.rules.advice.verdict import headline_of, verdict_of
from monitor.rules.config import RulesConfig, RuleSettings
from monitor.rules.describe.features import Features
from monitor.rules.describe.progress import progress_of
from monitor.rules.describe.regimes import regimes_of
from monitor.rules.lifecycle import move, retold, warming, without
from monitor.rules.rule import LOUD, Foreseeing, Quiet, Reading, Rule
from monitor.rules.sketch.curve import BUCKET
from monitor.rules.sketch.goal_points import take_goal
from monitor.rules.sketch.noise import Floats
from monitor.rules.sketch.parts import Parts, of_spec
from monitor.rules.sketch.patience import wait
from monitor.rules.sketch.points import ROLE_CODES, EnginePoints
from monitor.rules.sketch.resumed import late
from monitor.rules.sketch.rows import take_point, take_rows
from monitor.rules.sketch.state import FIRING, LR, TRAIN, VAL, State
from monitor.rules.spans import AHEAD, MANY, finite, in_order, lanes_of, learning_rate, take_in_order

Roles = NDArray[np.uint8]
Asked = tuple[str, Callable[[Features, Mapping[str, float], bool], Reading | None], Rule, RuleSettings]
Foresight = Callable[[Features, Mapping[str, float], bool], Quiet]
NAN_CHECKS: Final = 16
"""After this many non-finite losses in a row, the next one tells nothing new, so the rules are not run for it."""
ALONE: Final = 32
"""Points taken one at a time, starting with one that cannot be taken in bulk, before bulk is tried again."""


@dataclass(frozen=True, slots=True)
class Update:
    """The result of a batch of points.

    Attributes:
        state: pass it to the next `update`.
        changes: findings that fired or resolved, in order.
        verdict, headline: as in `Diagnosis`.
        recommendation: after the last point of the batch.
        counts: of all points so far.
    """

    state: State
    changes: tuple[Finding, ...]
    verdict: str
    headline: str
    recommendation: Recommendation
    counts: Counts


class Engine:
    """Rules bound to a configuration. It holds no run's data, so one engine serves any number of runs.

    Args:
        config: thresholds, severities, and which rules are enabled.

    Example:
        >>> import numpy as np
        >>> engine = Engine()
        >>> state = engine.start(unit="step")
        >>> points = EnginePoints(np.zeros(3, "u1"), np.arange(3.0), np.array([1.0, 0.9, np.nan]))
        >>> update = engine.update(state, points)
        >>> update.verdict, [change.fired_step for change in update.changes]
        ('nan', [2.0])
    """

    def __init__(self, config: RulesConfig | None = None) -> None:
        self.config = config or RulesConfig()
        self._names = frozenset(rule.spec.name for rule in self.config.rules)
        self._asked: dict[tuple[int, bool], tuple[Asked, ...]] = {}
        self._urgent: dict[int, tuple[tuple[str, Foresight | None, Mapping[str, float]], ...]] = {}
        for role, code in ROLE_CODES.items():
            rules = [rule for rule in self.config.rules if role in rule.spec.reads]
            urgent = [rule for rule in rules if rule.spec.urgent]
            for whole, asked in ((True, rules), (False, urgent)):
                self._asked[code, whole] = tuple(
                    (rule.spec.name, rule.check, rule, self.config.settings[rule.spec.name]) for rule in asked
                )
            self._urgent[code] = tuple(
                (
                    rule.spec.name,
                    rule.quiet if isinstance(rule, Foreseeing) else None,
                    self.config.settings[rule.spec.name].limits,
                )
                for rule in urgent
            )

    def start(
        self, unit: str = "step", loss: Mapping[str, object] | None = None,
        config: Mapping[str, object] | None = None, *, aimed: bool = False,
    ) -> State:  # fmt: skip
        """The state of a run that has logged nothing.

        Args:
            unit: what steps count, "step" or "epoch".
            loss: what is known about the loss function: `chance_level` (or `chance`), `initial_level`, `floor`,
                `range`, `reduction`, and the parts of a composite loss.
            config: the run's configuration; the batch size, the accumulation steps and the tokens per example are read.
            aimed: whether the user named the goal explicitly.
        """
        known = loss or {}
        state = State(unit, _number(known, "chance", "chance_level"), _number(known, "floor"))
        state.initial, state.summed = _number(known, "initial_level"), float(known.get("reduction") == "sum")
        span = known.get("range")
        if isinstance(span, Sequence) and len(span) == 2:
            state.ceiling = _number({"high": span[1]}, "high")
        games.read(state, known)
        state.aimed = aimed
        terms = terms_of(config or {})
        for name in ("batch_size", "accumulation", "tokens"):
            setattr(state, name, float(getattr(terms, name) or math.nan))
        state.parts = of_spec(known)
        return state

    def update(self, state: State, points: EnginePoints) -> Update:
        """Take in points in the order in which they were logged. `state` is not modified."""
        new = state.fork()
        changes: list[Finding] = []
        if not self._names.issuperset(new.slots):  # rules were switched off since the state was stored
            changes += without(new, self._names, self.config)
            settle(new, Features(new, new.last_step))
        if points.goal is None:
            self._losses(new, points, changes)
        else:
            self._with_goal(new, points, changes)
        verdict = verdict_of(new)
        return Update(
            new,
            tuple(changes),
            verdict,
            headline_of(new, verdict, self.config),
            recommend(new, self.config),
            new.counts,
        )

    def diagnosis(self, state: State, findings: Iterable[Finding]) -> Diagnosis:
        """The full diagnosis of a run.

        Args:
            state: after its last point.
            findings: all changes returned so far; the latest one of each number counts.
        """
        latest = {finding.number: finding for finding in retold(state.unit, findings)}
        verdict, run = verdict_of(state), Features(state, state.last_step)
        return Diagnosis(
            verdict=verdict,
            headline=headline_of(state, verdict, self.config),
            findings=tuple(latest[number] for number in sorted(latest)),
            recommendation=recommend(state, self.config),
            counts=state.counts,
            regimes=regimes_of(run),
            progress=progress_of(run),
        )

    def _losses(self, state: State, points: EnginePoints, changes: list[Finding]) -> None:
        """Take in points of all series except the goal."""
        if points.part is not None or state.parts is not None:
            self._with_parts(state, points, changes)
        elif len(points) == 1:
            self._one(state, int(points.role[0]), float(points.step[0]), float(points.value[0]), changes)
        else:
            self._take(state, points.role, points.step, points.value, changes)

    def _with_goal(self, state: State, points: EnginePoints, changes: list[Finding]) -> None:
        """Take in points that include the goal; the others are taken in up to each point that changes its buckets."""
        assert points.goal is not None
        name, rises = points.goal
        of_goal = points.role == ROLE_CODES[Role.GOAL]
        at = np.flatnonzero(of_goal)
        others, done = points.at(np.flatnonzero(~of_goal)), 0
        shown, goal = state.goal, state.own_goal(name, rises=rises)
        steps = points.step[at]
        for taken, closed in take_goal(state, goal, steps, points.value[at]):
            until = int(at[taken - 1]) - (taken - 1)
            if until > done:
                state.goal = shown  # rules run before this point must not see what it changes
                self._losses(state, others.at(slice(done, until)), changes)
                state.goal = goal
            done = until
            if closed:
                self._check(state, ROLE_CODES[Role.GOAL], True, float(steps[taken - 1]), changes)
            if done < len(others):
                shown = goal.fork()
        if done < len(others):
            self._losses(state, others.at(slice(done, None)), changes)
        state.advice = None

    def _with_parts(self, state: State, points: EnginePoints, changes: list[Finding]) -> None:
        """Take in points that include parts; the curves take in theirs up to each point that closes a parts bucket."""

        def closed(parts: Parts) -> None:
            self._check(state, ROLE_CODES[Role.PART], True, parts.step[-1], changes)

        if len(points) == 1:
            take_point(state, points, closed)
            if points.role[0] < ROLE_CODES[Role.PART]:
                self._one(state, int(points.role[0]), float(points.step[0]), float(points.value[0]), changes)
            return
        curves = np.flatnonzero(points.role < ROLE_CODES[Role.PART])
        done, shown = 0, state.parts.fork() if state.parts is not None else None
        for stop in chain(take_rows(state, points), (len(points),)):
            until = int(np.searchsorted(curves, stop))
            at = curves[done:until]
            ahead, state.parts = state.parts, shown  # rules run before `stop` must not see the bucket that closes there
            self._take(state, points.role[at], points.step[at], points.value[at], changes)
            done, state.parts = until, ahead
            if stop < len(points) and ahead is not None:
                closed(ahead)
                shown = ahead.fork()

    def _take(self, state: State, roles: Roles, steps: Floats, values: Floats, changes: list[Finding]) -> None:
        """Take in points of the curves: in bulk while they are finite and in order, else one at a time."""
        steps, values = np.ascontiguousarray(steps, float), np.ascontiguousarray(values, float)
        at, n = 0, len(roles)

        def closed(role: int, done: int, step: float) -> None:
            self._check(state, role, done == BUCKET, step, changes)

        def quiet(role: int) -> Quiet:
            return self._quiet(state, role)

        while at < n:
            many, fit = min(n - at, AHEAD), 0
            if many >= MANY:
                span = slice(at, at + AHEAD)
                lanes = lanes_of(roles[span], steps[span], values[span])
                fit = in_order(state, lanes, many)
            if fit >= MANY:
                if fit < many:
                    span = slice(at, at + fit)
                    lanes = lanes_of(roles[span], steps[span], values[span])
                take_in_order(state, lanes, fit, closed, quiet)
                at += fit
                if fit == many:
                    continue
                fit = 0
            stop = min(n, at + fit + ALONE)
            for role, step, value in zip(
                roles[at:stop].tolist(), steps[at:stop].tolist(), values[at:stop].tolist(), strict=True
            ):
                self._one(state, role, step, value, changes)
            at = stop

    def _one(self, state: State, role: int, step: float, value: float, changes: list[Finding]) -> None:
        """Take in one point of any role."""
        if role == LR:
            learning_rate(state, step, value)
            return
        if not math.isfinite(step):
            state.late += 1
            return
        curve = state.curve(role)
        self._seen(state, role, 1, step, step)
        if not math.isfinite(value):
            self._not_finite(state, role, step, changes)
            return
        if step < curve.seen_step and not late(state, curve, step):
            return
        finite(state, role)
        closed = curve.push(value, step)
        if role == VAL:
            wait(state, value, step)
        if closed == BUCKET or (closed and not self._calm(state, role)):
            self._check(state, role, closed == BUCKET, step, changes)

    def _calm(self, state: State, role: int) -> bool:
        """Whether the completed quarter cannot change any answer, so that no rule needs to run."""
        state.said, quiet = None, self._quiet(state, role)
        return state.curves[role].quarters[-1] <= quiet.level and all(
            quiet.low <= curve.best and curve.top <= quiet.high for curve in state.curves[: VAL + 1]
        )

    def _quiet(self, state: State, role: int) -> Quiet:
        """The bounds within which no urgent rule needs to run until the next bucket of a series closes."""
        xs, slots = tuple(curve.x for curve in state.curves), state.slots
        known = state.quiet.get(role)
        if known is not None and known[0] is slots and all(map(is_, known[1], xs)):
            return known[2]
        level, low, high = Quiet()
        run = Features(state, state.last_step)
        for name, quiet, limits in self._urgent[role]:
            slot = state.slots.get(name)
            one = LOUD
            if quiet is not None and (slot is None or (slot.phase == FIRING and not slot.checks)):
                one = quiet(run, limits, slot is not None)
            level, low, high = min(level, one.level), max(low, one.low), min(high, one.high)
            if level == -math.inf:
                break
        found = Quiet(level, low, high)
        state.quiet = {**state.quiet, role: (slots, xs, found)}
        return found

    def _not_finite(self, state: State, role: int, step: float, changes: list[Finding]) -> None:
        if role not in (TRAIN, VAL):
            return
        state.non_finite += 1
        if not state.nan_train and not state.nan_val:
            state.nan_first = step
        state.nan_last = step
        if role == TRAIN:
            if not state.nan_train:
                state.nan_train_first = step
            state.nan_train += 1
        else:
            state.nan_val += 1
            wait(state, math.inf, step)
        state.quiet = {}  # those bounds were worked out for finite losses
        if (state.nan_train if role == TRAIN else state.nan_val) <= NAN_CHECKS:
            self._check(state, role, True, step, changes)

    def _seen(self, state: State, role: int, count: int, step: float, first: float) -> None:
        """Count points, whatever their values."""
        if role == TRAIN:
            state.train_seen += count
        elif role == VAL:
            if state.train_seen > state.val_at:
                state.val_gap = max(state.val_gap, state.train_seen - state.val_at)
            state.val_at, state.val_step = state.train_seen, step
            state.val_seen += count
        if math.isnan(state.first_step):
            state.first_step = first
        curve = state.curves[role]
        curve.seen_step = max(curve.seen_step, step)
        state.last_step = step

    def _check(self, state: State, role: int, whole: bool, step: float, changes: list[Finding]) -> None:
        """Run the rules that read this series."""
        run = Features(state, step)
        state.said = None
        before = len(changes)
        self._ask(self._asked[role, whole], run, state, changes)
        # Without a new finding, parts change nothing that a stop depends on.
        if len(changes) != before or (whole and role != ROLE_CODES[Role.PART]):
            settle(state, run)

    def _ask(self, asked: tuple[Asked, ...], run: Features, state: State, changes: list[Finding]) -> None:
        """Run rules, and advance the findings of those whose answer changes something."""
        for name, check, rule, settings in asked:
            if settings.warmup and warming(settings, run):
                continue
            slot = state.slots.get(name)
            firing = slot is not None and slot.phase == FIRING
            quiet = silenced(name, state) or (state.game and games.silent(state, rule, settings))
            reading = None if quiet else check(run, settings.limits, firing)
            if slot is None and reading is None:
                continue
            # It fires, held at the last check, and still holds: nothing changes.
            if firing and slot and not slot.checks and reading is not None and not reading.likely:
                continue
            over = reading is None and ended(name, state)
            change = move(rule, settings, run, slot, reading, self.config.hash, ended=over)
            if change is not None:
                changes.append(games.doubted(state, change))


def _number(known: Mapping[str, object], *names: str) -> float:
    for name in names:
        value = known.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return math.nan
