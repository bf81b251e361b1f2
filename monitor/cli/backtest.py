"""`monitor rules backtest`: replays rules over stored runs or files, on all cores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from monitor.cli.options import JSON, SERVER
from monitor.cli.reader import open_api
from monitor.domain.formats import number, step
from monitor.screen import emit, escape, fail, out, progress, table_of

if TYPE_CHECKING:
    from monitor.cli.replays import Failed
    from monitor.rules import RulesConfig
    from monitor.rules.lab.backtest import Replayed, RuleSummary, StopSummary

_SHOWN = 20
"""Runs listed in text output, at most."""


def register(group: typer.Typer) -> None:
    """Add the command of this file to its group."""
    group.command("backtest")(backtest)


def backtest(
    runs: list[str] = typer.Argument(
        None, metavar="[RUN…]", help="Ids or names of runs, or paths with --files; default: all stored runs."
    ),
    files: bool = typer.Option(False, "--files", help="The arguments are files with losses, or folders of them."),
    project: str = typer.Option(None, help="Only stored runs of this project."),
    query: str = typer.Option(None, help="Only stored runs that match this query, such as: val.best < 0.3"),
    rules: Path = typer.Option(None, "--rules", help="YAML or TOML file of rules; default: the rules in effect."),
    changes: list[str] = typer.Option(
        None, "--set", metavar="RULE.KEY=VALUE", help="A change to compare with; repeat it for several."
    ),
    against: Path = typer.Option(None, "--against", help="A second file of rules, to compare with."),
    labels: Path = typer.Option(
        None, "--labels", help="CSV with columns run and label; default: the tag `label` of each run."
    ),
    jobs: int = typer.Option(None, min=1, help="Number of processes; default: one per core."),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Replay rules over stored runs or files: what fires when, and what stops save and miss, next to patience 10."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from monitor.cli import replays
    from monitor.cli.rule_files import changed, effective_rules, read_rules, rules_in_effect

    _check(runs or [], files, bool(project or query), server)
    if against and changes:
        fail("--set and --against both name what to compare with; give only one of them")
    now = effective_rules(rules, project) if files else rules_in_effect(rules, project, server)
    configs = [now, *([read_rules(against)] if against else [changed(now, changes)] if changes else [])]
    items = replays.files(runs) if files else replays.stored(server, runs or [], project, query)
    notes: list[str] = []
    items, foreign, strangers = replays.labelled(items, labels)
    if foreign:
        notes.append(f"labels that are not a rule or a verdict: {', '.join(foreign[:_SHOWN])}")
    if strangers:
        more = f" and {len(strangers) - 3:,} more" if len(strangers) > 3 else ""
        notes.append(f"labelled, but not among the runs: {', '.join(strangers[:3])}{more}")
    with progress(TextColumn("replaying"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=len(items))
        done, failed = replays.run(items, configs, server, jobs, lambda: bar.advance(task))
    if not done:
        fail(failed[0].problem if failed else "no run matches; `monitor runs ls` lists all runs")
    names = [str(rules or "in effect"), *([str(against)] if against else [", ".join(changes)] if changes else [])]
    report = Report(names, configs, done, failed, notes, {} if files else _marks(server, project))
    if json:
        emit(report.data(), "", True)
    else:
        report.show()


def _marks(server: str | None, project: str | None) -> Mapping[str, Mapping[str, int]]:
    """For each rule, how many alerts were marked as helpful and as false alarms."""
    with open_api(server) as api:
        return api.alert_marks(project)


def _check(runs: Sequence[str], files: bool, chosen: bool, server: str | None) -> None:
    if files and (chosen or server):
        fail("--files reads files; do not give --project, --query or --server")
    if runs and chosen:
        fail("give names of runs, or --project and --query, not both")
    if files and not runs:
        fail("--files needs paths, such as: monitor rules backtest --files losses/*.csv")


class Report:
    """The output of a backtest.

    Args:
        names: of the configurations; one or two.
        marks: for each rule, the number of alerts with each mark.
    """

    def __init__(
        self,
        names: Sequence[str],
        configs: Sequence[RulesConfig],
        done: Sequence[Replayed],
        failed: Sequence[Failed],
        notes: Sequence[str],
        marks: Mapping[str, Mapping[str, int]],
    ) -> None:
        from monitor.rules.lab import backtest as core

        self.names, self.configs, self.done, self.failed, self.notes = names, configs, done, failed, notes
        self.marks = marks
        rules = [name for name in configs[0].settings if any(c.settings[name].enabled for c in configs)]
        self.rules = [core.summarise(done, k, rules) for k in range(len(configs))]
        self.stops = [core.stops(run.sides[k].stop for run in done) for k in range(len(configs))]
        self.patience = core.stops(run.patience for run in done)
        self.changed = core.changed(done)

    def data(self) -> dict[str, object]:
        """Everything as strict JSON data."""
        sides = [
            {"rules": name, "hash": config.hash, "per_rule": [row.to_dict() for row in rows], "stops": stops.to_dict()}
            for name, config, rows, stops in zip(self.names, self.configs, self.rules, self.stops, strict=True)
        ]
        return {
            "schema": 1,
            "runs": len(self.done),
            "marks": {rule: dict(n) for rule, n in self.marks.items()},
            "labelled": sum(bool(run.labels) for run in self.done),
            "sides": sides,
            "patience_10": self.patience.to_dict(),
            "changed": [
                {"run": run.ref, "name": run.name, "verdicts": [side.verdict for side in run.sides],
                 "stop_steps": [side.stop.step for side in run.sides]}
                for run in self.changed
            ],
            "skipped": [{"run": run.ref, "name": run.name, "problem": run.problem} for run in self.failed],
            "notes": list(self.notes),
        }  # fmt: skip

    def show(self) -> None:
        """Print it as text."""
        labelled = sum(bool(run.labels) for run in self.done)
        out.print(f"[bold]{len(self.done):,}[/] runs" + (f", {labelled:,} of them labelled" if labelled else ""))
        for name, config in zip(self.names, self.configs, strict=True):
            out.print(f"[dim]rules {escape(name)}: hash {config.hash}[/]")
        out.print("")
        out.print(self._rules_table(labelled > 0))
        if silent := self._silent():
            out.print(f"[dim]never fired: {escape(', '.join(silent))}[/]")
        if self.marks:
            found = sorted(self.marks.items())
            said = (f"{rule} {n.get('helpful', 0):,}/{n.get('false alarm', 0):,}" for rule, n in found)
            out.print(f"[dim]alerts marked helpful/false alarm: {escape(', '.join(said))}[/]")
        out.print("")
        out.print(self._stops_table())
        if len(self.configs) > 1:
            self._show_changed()
        if self.failed:
            out.print(f"\n[yellow]{len(self.failed):,} could not be read[/]")
            for run in self.failed[:_SHOWN]:
                out.print(f"  {escape(run.problem)}")
        for note in self.notes:
            out.print(f"[yellow]{escape(note)}[/]")

    def _rules_table(self, labelled: bool) -> Table:
        columns = ["fired on", "at end", "median at", *(["labelled", "precision", "recall"] if labelled else [])]
        table = table_of("rule", *columns, right=columns, whole=("rule", *columns))
        for rows in zip(*self.rules, strict=True):
            if any(row.fired or row.labelled for row in rows):
                cells = [_rule_cells(row, labelled) for row in rows]
                table.add_row(escape(rows[0].rule), *(_pair(column) for column in zip(*cells, strict=True)))
        return table

    def _silent(self) -> list[str]:
        """Rules that never fired and that no label names."""
        return [rows[0].rule for rows in zip(*self.rules, strict=True) if not any(r.fired or r.labelled for r in rows)]

    def _stops_table(self) -> Table:
        columns = ("stopped", "steps saved", "saved", "missed", "regret", "p90", "> 2%")
        table = table_of("stops by rules", *columns, right=columns, whole=("stops by rules", *columns))
        for name, stops in zip([*self.names, "patience 10"], [*self.stops, self.patience], strict=True):
            table.add_row(escape(name), *_stop_cells(stops))
        table.add_section()
        for rows in zip(*self.rules, strict=True):
            if any(row.fired for row in rows):
                cells = [_stop_cells(row.stops) for row in rows]
                table.add_row(f"first {escape(rows[0].rule)}", *cells[0])
                for name, other in zip(self.names[1:], cells[1:], strict=True):
                    if other != cells[0]:
                        table.add_row(f"  by {escape(name)}", *other)
        return table

    def _show_changed(self) -> None:
        same = len(self.done) - len(self.changed)
        out.print(f"\n[bold]{len(self.changed):,}[/] runs changed verdict, {same:,} did not")
        for run in self.changed[:_SHOWN]:
            steps = " → ".join(step(side.stop.step) for side in run.sides)
            verdicts = " → ".join(escape(side.verdict) for side in run.sides)
            stop = f" [dim](stop at {steps})[/]" if any(side.stop.step is not None for side in run.sides) else ""
            out.print(f"  {escape(run.name)}: {verdicts}{stop}")
        if len(self.changed) > _SHOWN:
            out.print(f"  [dim]and {len(self.changed) - _SHOWN:,} more; --json lists all[/]")


def _pair(cells: Sequence[str]) -> str:
    """A cell of one configuration, or of both where they differ."""
    return f"[bold]{' → '.join(cells)}[/]" if len(set(cells)) > 1 else cells[0]


def _rule_cells(row: RuleSummary, labelled: bool) -> list[str]:
    cells = [number(row.fired), number(row.firing), _share(row.position)]
    return [*cells, number(row.labelled), _two(row.precision), _two(row.recall)] if labelled else cells


def _stop_cells(stops: StopSummary) -> list[str]:
    return [
        f"{stops.stopped:,}/{stops.runs:,}",
        step(stops.saved_steps),
        _share(stops.saved),
        f"{stops.missed:,}/{stops.judged:,}",
        "-" if stops.regret_mean is None else f"{stops.regret_mean:.3f}",
        "-" if stops.regret_p90 is None else f"{stops.regret_p90:.3f}",
        _share(stops.bad),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f}%"


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
