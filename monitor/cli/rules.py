"""`monitor rules`: lists the rules and tests them; `monitor.cli.backtest` has the backtest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from monitor.cli import backtest, rule_changes
from monitor.cli.options import JSON, SERVER
from monitor.domain.formats import count, number
from monitor.screen import COLOURS, emit, escape, out, table_of

if TYPE_CHECKING:
    from monitor.rules import RulesConfig
    from monitor.rules.lab.unit_tests import Outcome


def register(app: typer.Typer) -> typer.Typer:
    """Add the commands of this file, and return their group."""
    group = typer.Typer(no_args_is_help=True, help="List, test and change the rules.")
    group.command("ls")(ls)
    group.command("test")(run_tests)
    backtest.register(group)
    rule_changes.register(group)
    app.add_typer(group, name="rules", rich_help_panel="Watch")
    return group


def ls(
    rules: Path = typer.Option(None, "--rules", help="YAML or TOML file of rules; default: the rules in effect."),
    project: str = typer.Option(None, help="Show the rules of this project, if it has its own."),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """List the rules in effect with their thresholds. A star marks values that differ from the default."""
    from monitor.cli.rule_files import rules_in_effect
    from monitor.rules.registry import all_rules, broken_rules

    config = rules_in_effect(rules, project, server)
    rows = _rows(config)
    if json:
        left_out = [
            {"name": b.name, "value": b.value, "package": b.package, "problem": b.problem} for b in broken_rules()
        ]
        emit({"hash": config.hash, "rules": rows, "broken": left_out}, "", True)
        return
    whole = ("rule", "severity", "version", "fires after")
    table = table_of(*whole, "thresholds", whole=whole)
    for rule in all_rules():
        spec, chosen = rule.spec, config.settings[rule.spec.name]
        default = chosen.patience is None
        after = count(spec.patience, "check") if default else f"{number(chosen.patience)} {chosen.unit}*"
        if chosen.warmup:
            after += f", from {number(chosen.warmup)} {chosen.unit} on*"
        limits = ", ".join(
            f"{name}={value:g}{'' if value == spec.thresholds[name].default else '*'}"
            for name, value in chosen.limits.items()
        )
        colour = COLOURS[chosen.severity]
        severity = f"[{colour}]{chosen.severity}[/]{'' if chosen.severity is spec.severity else '*'}"
        table.add_row(
            escape(spec.name),
            severity if chosen.enabled else "[dim]off[/]*",
            str(spec.version),
            escape(after),
            escape(limits),
        )
    out.print(table)
    out.print(f"[dim]hash {config.hash}; * marks a value that is not the default[/]")
    for broken in broken_rules():
        out.print(f"[bold red]broken[/] {escape(str(broken))}")


def run_tests(
    file: Path = typer.Argument(..., metavar="FILE", help="YAML file with tests.", show_default=False),
    json: bool = JSON,
) -> None:
    """Unit-test rules on curves. Exit status 1 if a test fails, 2 if the file cannot be read."""
    from monitor.cli.rule_files import read_suite
    from monitor.rules.lab.unit_tests import run_test

    suite = read_suite(file)
    found = [run_test(case, suite.config) for case in suite.tests]
    failed = sum(not outcome.passed for outcome in found)
    data = {
        "file": str(file), "rules_hash": suite.config.hash, "passed": len(found) - failed, "failed": failed,
        "tests": [outcome.to_dict() for outcome in found],
    }  # fmt: skip
    emit(data, "\n".join([*map(_line, found), f"{len(found) - failed} passed, {failed} failed"]), json)
    if failed:
        raise typer.Exit(1)


def _line(outcome: Outcome) -> str:
    if outcome.passed:
        return f"[green]ok[/]      {escape(outcome.name)}"
    lines = [f"[bold red]FAILED[/]  {escape(outcome.name)}"]
    for amiss in outcome.mismatches:
        lines += [
            f"        {escape(amiss.place)}",
            f"          [green]expected {escape(amiss.expected)}[/]",
            f"          [red]got      {escape(amiss.got)}[/]",
        ]
    return "\n".join(lines)


def _rows(config: RulesConfig) -> list[dict[str, object]]:
    from monitor.rules.registry import all_rules

    rows: list[dict[str, object]] = []
    for rule in all_rules():
        spec, chosen = rule.spec, config.settings[rule.spec.name]
        rows.append({
            "rule": spec.name, "enabled": chosen.enabled, "severity": str(chosen.severity), "version": spec.version,
            "warmup": chosen.warmup, "patience": chosen.patience, "unit": chosen.unit, "checks": spec.patience,
            "reads": [str(role) for role in spec.reads],
            "thresholds": {
                name: {"value": chosen.limits[name], "default": limit.default, "low": limit.low, "high": limit.high,
                       "doc": limit.doc}
                for name, limit in spec.thresholds.items()
            },
        })  # fmt: skip
    return rows
