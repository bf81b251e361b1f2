"""Which rules judge a run: the global ones, overridden by those of its project.

A run is judged by the rules that the storing process was started with. If they have changed since the run began, the
next batch continues under the new ones; see `docs/rules.md`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from monitor.alerts import thresholds
from monitor.alerts.thresholds import Threshold
from monitor.documents import line_of
from monitor.errors import RulesError
from monitor.rules import RULE_NAMES, Engine, RulesConfig
from monitor.rules.registry import spec_of
from monitor.settings import OF_PROJECT, Settings
from monitor.stop_modes import EVERY, is_off, merged, stop_modes


class Judges(Protocol):
    """What `ingest` needs to find a project's engine: a single `Engine` for all projects, or `Engines`."""

    def of(self, project: str) -> Engine:
        """The engine for the runs of a project."""

    @property
    def default(self) -> Engine:
        """The engine for projects without rules of their own."""

    @property
    def hashes(self) -> Mapping[str, str]:
        """Project -> hash of its own rules, if it has any."""


class Engines:
    """One engine for each project with its own rules, and one for all others.

    Args:
        projects: project -> `{"rules": {...}}` with its overrides; settings that are not named are as in `rules`.
        stops: stop modes by rule, for every project.
        thresholds: alerts by expression.

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
    ) -> None:
        self._thresholds = tuple(thresholds)
        self._stops = _of_rules(dict(stops or {}), ("stop",))
        self._own_stops: dict[str, dict[str, str]] = {}
        base = _checked(dict(rules or {}), ("rules",))
        self._default = Engine(base)
        self._own: dict[str, Engine] = {}
        for name, data in (projects or {}).items():
            self._own[str(name)] = Engine(_of_project(base, str(name), data))
            own = stop_modes(data.get("stop")) if isinstance(data, Mapping) else {}
            self._own_stops[str(name)] = merged(self._stops, _of_rules(own, ("projects", str(name), "stop")))

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


def _of_project(base: RulesConfig, project: str, data: object) -> RulesConfig:
    place = ("projects", project)
    if not isinstance(data, Mapping):
        raise RulesError(".".join(place), f"is {data!r}", "give a table: [projects.NAME.rules.RULE]", place)
    for key in data:
        if key not in OF_PROJECT:
            keys = (*place, str(key))
            near = difflib.get_close_matches(str(key), OF_PROJECT, n=1)
            fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(OF_PROJECT)}"
            raise RulesError(".".join(keys), "is not known", fix, keys)
    rules = data.get("rules", {})
    if not isinstance(rules, Mapping):
        raise RulesError(".".join((*place, "rules")), f"is {rules!r}", "give a table of rules", (*place, "rules"))
    own = _checked(dict(rules), (*place, "rules"))
    names = dict.fromkeys((*base.overrides, *own.overrides))
    both = {name: {**base.overrides.get(name, {}), **own.overrides.get(name, {})} for name in names}
    return _checked(both, (*place, "rules"))


def _of_rules(modes: dict[str, str], above: tuple[str, ...]) -> dict[str, str]:
    """Check that the modes name existing rules; the error names the nearest one."""
    for rule in modes:
        if rule != EVERY and spec_of(rule) is None:
            near = difflib.get_close_matches(rule, RULE_NAMES, n=1)
            fix = f"did you mean {near[0]!r}?" if near else f'name a rule, or "{EVERY}" for all others'
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
