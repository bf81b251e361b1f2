"""One run judged by many configurations at once: its points are taken in once, and each rule gives an answer once.

Most configurations of a calibration differ from the first in the thresholds of one rule. Until an answer of that rule
is another one, all that they say is the same: they follow. What has parted is asked for itself, with answers kept by
thresholds and by the findings that are out, which is all that they depend on besides the curves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from monitor.domain import Finding
from monitor.rules import Engine, RulesConfig
from monitor.rules.advice.recommend import settle
from monitor.rules.config import RuleSettings
from monitor.rules.describe.features import Features
from monitor.rules.rule import LOUD, Quiet, Reading, Rule
from monitor.rules.sketch.points import EnginePoints
from monitor.rules.sketch.state import Slot, State

Check = Callable[[Features, Mapping[str, float], bool], Reading | None]


@dataclass(slots=True, eq=False)
class Own:
    """What is one configuration's own while a run goes on: its findings, and the steps of its stops."""

    engine: Engine
    changes: list[Finding] = field(default_factory=list)
    slots: dict[str, Slot] = field(default_factory=dict)
    numbered: float = 0.0
    first_stop: float = math.nan
    stop_since: float = math.nan

    def like(self, other: Own) -> Own:
        """One that is where another is now."""
        return Own(self.engine, list(other.changes), other.slots, other.numbered, other.first_stop, other.stop_since)

    @property
    def stop(self) -> float | None:
        """Where a stop was advised first."""
        return None if math.isnan(self.first_stop) else self.first_stop

    @property
    def findings(self) -> dict[float, Finding]:
        """The latest state of every finding, by its number."""
        return {finding.number: finding for finding in self.changes}


class ManyEngines(Engine):
    """An engine of several configurations, for one run.

    Args:
        configs: one or more; those that differ from the first in more than thresholds never follow it.
    """

    def __init__(self, configs: Sequence[RulesConfig]) -> None:
        super().__init__(configs[0])
        self._kept: dict[tuple[int, bool, int], Reading | None] = {}
        self._numbers: dict[tuple[object, ...], int] = {}
        self._out: tuple[dict[str, Slot] | None, int] = (None, 0)
        self._first = Own(Engine(configs[0]))
        self._parted: dict[int, Own] = {}
        self._parting: list[int] = []
        self._engines = [Engine(config) for config in configs]
        self._following: dict[str, list[tuple[int, Check, Mapping[str, float]]]] = {}
        for at, config in enumerate(configs):
            if _besides_thresholds(config) != _besides_thresholds(configs[0]):
                self._parted[at] = Own(self._engines[at])
                continue
            for rule in config.rules:
                settings = config.settings[rule.spec.name]
                if settings != configs[0].settings[rule.spec.name]:
                    follower = (at, self._keeping(rule, settings.limits), settings.limits)
                    self._following.setdefault(rule.spec.name, []).append(follower)
        for at, engine in enumerate(self._engines):
            wrap = self._keeping if at else self._followed
            engine._asked = {
                key: tuple((name, wrap(rule, settings.limits), rule, settings) for name, _, rule, settings in asked)
                for key, asked in engine._asked.items()
            }

    def judge(self, points: EnginePoints, unit: str) -> list[Own]:
        """What each configuration says of a run, from its first point to its last."""
        self.update(self.start(unit), points)
        return [self._parted.get(at, self._first) for at in range(len(self._engines))]

    def _quiet(self, state: State, role: int) -> Quiet:  # noqa: ARG002 - the engine asks for it
        """Ask at every quarter: what one configuration needs not be asked about, another may."""
        return LOUD

    def _check(self, state: State, role: int, whole: bool, step: float, changes: list[Finding]) -> None:  # noqa: ARG002
        """Ask the rules of the first configuration, and of those that have parted from it."""
        run, before, self._parting = Features(state, step), self._first.like(self._first), []
        self._kept.clear()
        self._turn(self._first, self._engines[0], run, role, whole)
        for at in self._parting:
            self._parted[at] = before.like(before)
        for at, own in self._parted.items():
            self._turn(own, self._engines[at], run, role, whole)
        if self._parting:
            self._following = {name: [one for one in ones if one[0] not in self._parted]
                               for name, ones in self._following.items()}  # fmt: skip

    def _turn(self, own: Own, engine: Engine, run: Features, role: int, whole: bool) -> None:
        state, before = run.state, len(own.changes)
        state.slots, state.numbered = own.slots, own.numbered
        state.first_stop, state.stop_since = own.first_stop, own.stop_since
        engine._ask(engine._asked[role, whole], run, state, own.changes)
        if len(own.changes) != before or whole:
            settle(state, run)
        own.slots, own.numbered = state.slots, state.numbered
        own.first_stop, own.stop_since = state.first_stop, state.stop_since

    def _followed(self, rule: Rule, limits: Mapping[str, float]) -> Check:
        """A rule of the first configuration; those whose own answer is another one part."""
        kept, name = self._keeping(rule, limits), rule.spec.name

        def check(run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
            reading = kept(run, limits, firing)
            for at, other, theirs in self._following.get(name, ()):
                if _news(reading) != _news(other(run, theirs, firing)) and at not in self._parting:
                    self._parting.append(at)
            return reading

        return check

    def _keeping(self, rule: Rule, limits: Mapping[str, float]) -> Check:
        """A rule that remembers its answers until the next check."""
        number = self._number(rule.spec.name, *limits.values())

        def check(run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
            slots = run.state.slots
            if self._out[0] is not slots:
                self._out = (slots, self._number(*sorted((name, slot.phase) for name, slot in slots.items())))
            asked = (number, firing, self._out[1])
            if asked not in self._kept:
                self._kept[asked] = rule.check(run, limits, firing)
            return self._kept[asked]

        return check

    def _number(self, *what: object) -> int:
        return self._numbers.setdefault(what, len(self._numbers))


def _besides_thresholds(config: RulesConfig) -> list[RuleSettings]:
    return [replace(settings, limits={}) for settings in config.settings.values()]


def _news(reading: Reading | None) -> tuple[float, bool, bool] | None:
    """What of an answer moves a finding on; its evidence only tells of it."""
    return None if reading is None else (reading.onset, reading.sure, reading.likely)
