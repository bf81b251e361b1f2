"""Which rules judge a run: the global ones, overridden by those of its project.

Five layers, each over the one before, key by key: the defaults, `[rules]` of the settings file, what is saved in the
store for all projects, `[projects.NAME.rules]`, what is saved for the project. The file is read when the process
starts, what is saved again every `LOOK_S`. If the rules have changed since a run began, its next batch continues under
the new ones; see `docs/rules.md`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from monitor.alerts import thresholds
from monitor.alerts.thresholds import Threshold
from monitor.documents import line_of
from monitor.domain.rules_version import RulesVersion, SavedRule
from monitor.errors import RulesError, StoreError, suggestion
from monitor.rules import RULE_NAMES, Engine, RulesConfig
from monitor.rules.registry import all_rules, spec_of
from monitor.settings import OF_PROJECT, Settings
from monitor.stop_modes import EVERY, is_off, merged, stop_modes

LOOK_S: Final = 2.0
"""Seconds after which saved settings are read again, and so how long a server may still judge by those before."""
_log: Final = logging.getLogger(__name__)


class Engines:
    """One engine for each project with its own rules, and one for all others.

    Args:
        projects: project -> `{"rules": {...}}` with its overrides; settings that are not named are as in `rules`.
        stops: stop modes by rule, for every project.
        thresholds: alerts by expression.
        saved: settings of rules from the store. Those that this release cannot use are left out; see `unusable`.

    Raises:
        RulesError: a rule, key or value that cannot be used; names the nearest valid one.

    Example:
        >>> engines = Engines({"spike": False}, {"vision": {"rules": {"overfitting": {"patience": 5}}}})
        >>> engines.of("vision").config.settings["overfitting"].patience, engines.of("text") is engines.of("audio")
        (5.0, True)
    """

    def __init__(
        self,
        rules: Mapping[str, object] | None = None,
        projects: Mapping[str, object] | None = None,
        stops: Mapping[str, str] | None = None,
        thresholds: Sequence[Threshold] = (),
        saved: Sequence[SavedRule] = (),
    ) -> None:
        self._thresholds = tuple(thresholds)
        self._stops = _of_rules(dict(stops or {}), ("stop",))
        self._own_stops: dict[str, dict[str, str]] = {}
        self._file = _checked(dict(rules or {}), ("rules",))
        self._file_own: dict[str, RulesConfig] = {}
        self._read: Callable[[], Sequence[SavedRule]] = lambda: saved
        self._looked_s = math.inf
        for name, data in (projects or {}).items():
            self._file_own[str(name)] = _of_project(str(name), data)
            own = stop_modes(data.get("stop")) if isinstance(data, Mapping) else {}
            self._own_stops[str(name)] = merged(self._stops, _of_rules(own, ("projects", str(name), "stop")))
        self._lay(saved)

    def follow(self, read: Callable[[], Sequence[SavedRule]]) -> None:
        """Lay what is saved over the settings file from now on; `look` reads it again.

        Raises:
            StoreError: it cannot be read.
        """
        self._read = read
        self.look(now=True)

    def look(self, *, now: bool = False) -> None:
        """Read the saved settings again if they were read more than `LOOK_S` ago, or at once.

        A store that does not answer leaves the rules as they are, except at once.

        Raises:
            StoreError: they cannot be read, and `now` is true.
        """
        if not now and time.monotonic() - self._looked_s < LOOK_S:
            return
        self._looked_s = time.monotonic()
        try:
            saved = tuple(self._read())
        except StoreError as error:
            if now:
                raise
            _log.warning("the saved rules could not be read, those before stay in effect: %s", error)
            return
        if saved != self.saved:
            self._lay(saved)
            for row, problem in self.unusable:
                _log.warning("saved settings of %s (%s) are left out: %s", row.rule, row.project or "all", problem)

    def under(self, saved: Sequence[SavedRule]) -> Engines:
        """The same settings file under other saved settings."""
        other = Engines()
        other._file, other._file_own = self._file, self._file_own
        other._stops, other._own_stops, other._thresholds = self._stops, self._own_stops, self._thresholds
        other._lay(saved)
        return other

    def _lay(self, saved: Sequence[SavedRule]) -> None:
        self.saved = tuple(saved)
        self.unusable: tuple[tuple[SavedRule, str], ...] = ()
        usable: dict[str | None, dict[str, Mapping[str, object]]] = {}
        for row in saved:
            try:
                RulesConfig.from_mapping({row.rule: row.settings})
            except RulesError as error:
                self.unusable += ((row, f"{error.problem}; {error.fix}"),)
            else:
                usable.setdefault(row.project, {})[row.rule] = row.settings
        base = _over(self._file, RulesConfig(usable.pop(None, {})))
        own = {}
        for name in dict.fromkeys((*self._file_own, *map(str, usable))):
            above = _over(self._file_own.get(name, RulesConfig()), RulesConfig(usable.get(name, {})))
            own[name] = Engine(_over(base, above))
        self._default, self._own = Engine(base), own

    def versions(self, known: Sequence[str | None], *, who: str, now_ms: int) -> tuple[RulesVersion, ...]:
        """The rules in effect: the global ones, those of each project with its own, and those of `known` projects."""
        numbers = {rule.spec.name: rule.spec.version for rule in all_rules()}
        found = []
        for project in sorted({*known, *self._own, None}, key=str):
            config = (self._default if project is None else self.of(project)).config
            overrides = {name: dict(given) for name, given in config.overrides.items()}
            found.append(
                RulesVersion(
                    time_ms=now_ms, who=who, project=project, hash=config.hash, overrides=overrides, versions=numbers
                )
            )
        return tuple(found)

    def of(self, project: str) -> Engine:
        """The engine for the runs of a project."""
        return self._own.get(project, self._default)

    def thresholds(self, project: str) -> tuple[Threshold, ...]:
        """The thresholds that apply to the runs of a project."""
        return tuple(each for each in self._thresholds if each.watches(project)) if self._thresholds else ()

    @property
    def stops(self) -> Mapping[str, str]:
        """The global stop modes, by rule."""
        return self._stops

    def stops_of(self, project: str) -> Mapping[str, str]:
        """A project's stop modes by rule: its own override the global ones, but a global `off` always wins."""
        return self._stops if is_off(self._stops) else self._own_stops.get(project, self._stops)

    @property
    def hashes(self) -> dict[str, str]:
        """Project -> hash of its own rules, if it has any."""
        return {name: engine.config.hash for name, engine in self._own.items()}

    @property
    def default(self) -> Engine:
        """The engine for projects without rules of their own."""
        return self._default


def open_engines(settings: Settings) -> Engines:
    """The engines that the settings describe.

    Raises:
        RulesError: names what cannot be used, the nearest valid name, and its line in the settings file.
    """
    try:
        return Engines(settings.rules, settings.projects, settings.stop, thresholds.read(settings.thresholds))
    except RulesError as error:
        raise _with_line(error, settings.file) from None


def _over(base: RulesConfig, own: RulesConfig) -> RulesConfig:
    names = dict.fromkeys((*base.overrides, *own.overrides))
    return RulesConfig({name: {**base.overrides.get(name, {}), **own.overrides.get(name, {})} for name in names})


def _of_project(project: str, data: object) -> RulesConfig:
    place = ("projects", project)
    if not isinstance(data, Mapping):
        raise RulesError(".".join(place), f"is {data!r}", "give a table: [projects.NAME.rules.RULE]", place)
    for key in data:
        if key not in OF_PROJECT:
            keys = (*place, str(key))
            raise RulesError(".".join(keys), "is not known", suggestion(str(key), OF_PROJECT), keys)
    rules = data.get("rules", {})
    if not isinstance(rules, Mapping):
        raise RulesError(".".join((*place, "rules")), f"is {rules!r}", "give a table of rules", (*place, "rules"))
    return _checked(dict(rules), (*place, "rules"))


def _of_rules(modes: dict[str, str], above: tuple[str, ...]) -> dict[str, str]:
    """Check that the modes name existing rules; the error names the nearest one."""
    for rule in modes:
        if rule != EVERY and spec_of(rule) is None:
            fix = suggestion(rule, RULE_NAMES, otherwise=f'name a rule, or "{EVERY}" for all others')
            raise RulesError(".".join((*above, rule)), "is not a rule", fix, (*above, rule))
    return modes


def _checked(rules: Mapping[str, object], above: tuple[str, ...]) -> RulesConfig:
    """Parse the rules. Errors give their place from the top of the file."""
    try:
        return RulesConfig.from_mapping(rules)
    except RulesError as error:
        prefix = ".".join(above[:-1])
        place = f"{prefix}.rules.{error.place}" if prefix else error.place
        raise error.moved(place, (*above, *error.place.split("."))) from None


def _with_line(error: RulesError, file: Path | None) -> RulesError:
    line = line_of(file, error.keys) if file is not None and error.keys else None
    return error if line is None else error.moved(f"{error.place} ({file}, line {line})", error.keys)
