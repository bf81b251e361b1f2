"""`monitor rules set|reset|history`: settings of rules that are saved in the store, over `monitor.toml`."""

from __future__ import annotations

import json as json_
from typing import TYPE_CHECKING

import typer

from monitor.cli.options import JSON, SERVER
from monitor.cli.reader import open_api, refuse_project
from monitor.screen import ago, emit, escape, table_of

if TYPE_CHECKING:
    from monitor.rules import RulesConfig

_RULE = typer.Argument(..., help="Name of the rule; `monitor rules ls` lists them.", show_default=False)
_PROJECT = typer.Option(None, help="Only for the runs of this project; default: of every project.")


def register(group: typer.Typer) -> None:
    """Add the commands of this file to their group."""
    group.command("set")(set_rule)
    group.command("reset")(reset)
    group.command("history")(history)


def set_rule(
    rule: str = _RULE,
    settings: list[str] = typer.Argument(..., metavar="KEY=VALUE…", help="Such as rise=0.2 unit=evals enabled=false."),
    project: str = _PROJECT,
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Save settings of a rule, over monitor.toml. Try them first: `monitor rules backtest --set RULE.KEY=VALUE`."""
    from monitor.cli.rule_files import as_settings

    wanted = as_settings(settings)
    with open_api(server) as api:
        refuse_project(api, project)
        before = api.rules(project)
        mine = [row for row in api.saved_rules(project) if (row.project, row.rule) == (project, rule)]
        api.save_rule(rule, {**(mine[0].settings if mine else {}), **wanted}, project, basis=before.hash)
        after = api.rules(project)
    _report(rule, project, after, f"saved {rule}", json)


def reset(rule: str = _RULE, project: str = _PROJECT, server: str = SERVER, json: bool = JSON) -> None:
    """Forget the saved settings of a rule, so that those of monitor.toml apply again."""
    with open_api(server) as api:
        refuse_project(api, project)
        api.save_rule(rule, {}, project)
        after = api.rules(project)
    _report(rule, project, after, f"reset {rule}", json)


def history(project: str = _PROJECT, server: str = SERVER, json: bool = JSON) -> None:
    """List who changed which rules when, newest first: starts of servers with other rules, and saved changes."""
    with open_api(server) as api:
        refuse_project(api, project)
        found = api.rules_history(project)
    table = table_of("when", "who", "project", "hash", "what changed", whole=("when", "hash"))
    for at, each in enumerate(found):
        before = next((older for older in found[at + 1 :] if older.project == each.project), None)
        changes = ", ".join(f"{rule}.{what}" for rule, what in each.since(before)) or "nothing"
        cells = (each.who, each.project or "all", each.hash, changes)
        table.add_row(ago(each.time_ms), *map(escape, cells))
    text = table if found else "No server has started over this store yet, and nothing was saved."
    emit({"versions": [each.to_dict() for each in found]}, text, json)


def _report(rule: str, project: str | None, config: RulesConfig, done: str, json: bool) -> None:
    where = "all projects" if project is None else f"project {project}"
    settings = dict(config.overrides.get(rule, {}))
    now = ", ".join(f"{key}={json_.dumps(value)}" for key, value in sorted(settings.items())) or "the defaults"
    text = f"{escape(done)} for {escape(where)}; in effect: {escape(now)} [dim](hash {config.hash})[/]"
    emit({"rule": rule, "project": project, "hash": config.hash, "settings": settings}, text, json)
