"""Reads rules and their unit tests from YAML or TOML files, strictly, and the curves they refer to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from monitor import settings as settings_
from monitor.cli.reader import open_api
from monitor.documents import line_of, read_data
from monitor.errors import FileUnreadable, MonitorError, RulesError, suggestion
from monitor.importers import Curves, read_one_run
from monitor.importers.curves import series_of
from monitor.ingest.engines import open_engines
from monitor.roles import Role, Said, said_of
from monitor.rules import RulesConfig
from monitor.rules.lab.suites import Suite, parse_suite
from monitor.rules.sketch.noise import Floats


def read_rules(path: Path) -> RulesConfig:
    """Read rules: the table `rules`, as in `monitor.toml` and in a file of tests, else the whole file.

    Raises:
        FileUnreadable: names the file, the rule and the key, and suggests the nearest valid one.
    """
    data = read_data(path)
    found = data.get("rules", data) if isinstance(data, Mapping) else data
    if found is not None and not isinstance(found, Mapping):
        raise FileUnreadable(str(path), "", "holds no table of rules")
    try:
        return RulesConfig.from_mapping({str(key): value for key, value in (found or {}).items()})
    except RulesError as error:
        inside = isinstance(data, Mapping) and "rules" in data
        line = line_of(path, [*(["rules"] if inside else []), *error.place.split(".")])
        raise _in_file(path, error, f"line {line}" if line else "") from None


def effective_rules(path: Path | None, project: str | None = None) -> RulesConfig:
    """The rules of a file; without one, the rules in the settings (of a project, if given).

    Raises:
        MonitorError: the file or a setting is invalid.
    """
    if path is not None:
        return read_rules(path)
    engines = open_engines(settings_.load())
    return (engines.default if project is None else engines.of(project)).config


def changed(config: RulesConfig, changes: Sequence[str]) -> RulesConfig:
    """The rules with changes such as "overfitting.rise=0.2".

    Raises:
        RulesError: a change names no rule, or a setting that it does not have.
    """
    overrides = {name: dict(given) for name, given in config.overrides.items()}
    for each in changes:
        rule, dot, setting = each.partition(".")
        if not dot:
            raise RulesError(each, "is not a change", "write RULE.KEY=VALUE, such as overfitting.rise=0.2")
        overrides.setdefault(rule, {}).update(as_settings([setting]))
    return RulesConfig.from_mapping(overrides)


def as_settings(given: Sequence[str]) -> dict[str, object]:
    """Settings as they are typed: numbers, true and false, "null" for the rule's own patience, else text.

    Raises:
        RulesError: one is not KEY=VALUE.

    >>> as_settings(["rise=0.2", "unit=evals", "enabled=false", "patience=null"])
    {'rise': 0.2, 'unit': 'evals', 'enabled': False, 'patience': None}
    """
    found: dict[str, object] = {}
    for each in given:
        key, equals, text = each.partition("=")
        if not key or not equals:
            raise RulesError(each, "is not a setting", "write KEY=VALUE, such as rise=0.2")
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found


def rules_in_effect(path: Path | None, project: str | None, server: str | None) -> RulesConfig:
    """The rules of a file; without one, those by which the server or the embedded store judges.

    Raises:
        MonitorError: the file or a setting is invalid, or the server does not answer.
    """
    if path is not None:
        return read_rules(path)
    with open_api(server) as api:
        return api.rules(project)


def read_suite(path: Path) -> Suite:
    """Read a file of rule tests, with the curves it refers to.

    Raises:
        FileUnreadable: names the file and the place, and suggests the nearest valid key.
    """
    try:
        return parse_suite(read_data(path), _Beside(path.parent))
    except FileUnreadable:
        raise
    except MonitorError as error:
        raise _in_file(path, error) from None


class _Beside:
    """Loads what a file of tests refers to; paths are relative to its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def series(self, path: str, column: str | None, role: Role) -> Floats:
        """A series of a file, by its column or by its role."""
        run, _ = read_one_run(self._folder / path)
        key = run.mapped().get(role) if column is None else column
        if key is None:
            raise FileUnreadable(run.source, "", f"has no column for {role}; name one with column:")
        if key not in run.keys:
            raise FileUnreadable(run.source, "", f"has no column {key!r}; {suggestion(key, run.keys)}")
        return series_of(run, key)

    def loss(self, text: str) -> Mapping[str, object]:
        """A loss function by its specification."""
        from monitor import losses

        return dict(losses.parse(text).to_dict())


def said_for(given: Mapping[str, str | None]) -> Said:
    """The roles of a source's names: from a command's options, which must exist, else from the settings.

    Raises:
        SettingsError: a role or a direction is invalid.
    """
    options = {role: name for role, name in given.items() if name is not None}
    if options:
        return said_of(options, place="--", strict=True).distinct()
    return said_of(settings_.load().roles)


def role_series(curves: Curves) -> dict[Role, Floats]:
    """The curves of a file, by role."""
    found = {Role.TRAIN: curves.train, Role.VAL: curves.val, Role.GRAD_NORM: curves.grad_norm, Role.LR: curves.lr}
    return {role: series for role, series in found.items() if series is not None and len(series)}


def _in_file(path: Path, error: MonitorError, place: str = "") -> FileUnreadable:
    return FileUnreadable(str(path), place, str(error).removeprefix("rules "))
