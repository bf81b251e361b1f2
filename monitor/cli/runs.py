"""`monitor runs`: the stored runs, from a server or from the embedded store."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import Final

import typer
from rich.table import Table
from rich.text import Text

from monitor.cli.options import JSON, PROJECT, RUN, SERVER
from monitor.cli.reader import open_api, refuse_project
from monitor.domain import SET_ASIDE, Action, RunInfo, RunStatus
from monitor.domain.formats import NOTHING, number, step
from monitor.screen import ACTIONS, STATUSES, ago, diagnosis_text, emit, err, escape, out, refuse_typo, table_of

_COLUMNS = (
    ("run", False), ("name", False), ("status", False), ("verdict", False), ("do", False), ("best", True),
    ("goal", True), ("last step", True), ("started", False),
)  # fmt: skip
_WIDE = 100
"""Terminal width from which all columns fit."""
_NAME: Final = 1
"""The column that is cut if the terminal is too narrow."""
_NAME_LEAST: Final = 16  # characters of a name that are shown however narrow the terminal is
ALL: Final = typer.Option(False, "--all", help="Show all findings, including resolved ones; --json always does.")


def register(app: typer.Typer) -> typer.Typer:
    """Add the commands of this file, and return their group."""
    group = typer.Typer(no_args_is_help=True, help="List, show and manage runs.")
    group.command("ls")(ls)
    group.command("show")(show)
    group.command("output")(output)
    group.command("stop")(stop)
    app.add_typer(group, name="runs", rich_help_panel="Watch")
    return group


def ls(
    project: str = PROJECT,
    status: str = typer.Option(
        None, help="Only runs with this status: running, stalled, lost, finished, stopped, failed."
    ),
    verdict: str = typer.Option(None, help="Only runs with this verdict, such as overfitting."),
    search: str = typer.Option(None, help="Only runs whose name or id contains this text."),
    query: str = typer.Option(
        None, help='Filter and order, such as: status = "running" and val.best < 0.3 order by val.best'
    ),
    order: str = typer.Option("-created", help='Column to sort by; prefix "-" for descending.'),
    limit: int = typer.Option(20, min=1, max=1000, help="Number of runs to print, at most."),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """List runs, newest first, with their verdicts and recommendations."""
    with open_api(server) as api:
        refuse_typo("status", status, [str(each) for each in RunStatus], complete=True)
        page = api.runs_page(
            project=project, status=status, verdict=verdict, search=search, query=query, order=order, limit=limit
        )
        if not page.items:
            from monitor.rules import RULE_NAMES

            refuse_typo("verdict", verdict, ["healthy", "too_early", "not_judged", *RULE_NAMES])
            refuse_project(api, project)
    if json:
        emit({"total": page.total, "runs": [run.to_dict() for run in page.items]}, "", True)
        return
    if not page.items:
        out.print("No runs yet. Log one: https://pypi.org/project/lossmonitor or `monitor demo`" if not any(
            (project, status, verdict, search, query)) else "No run matches.")  # fmt: skip
        return
    out.print(_table(page.items))
    if page.total > len(page.items):
        out.print(f"[dim]{len(page.items)} of {page.total:,} runs; --limit shows more[/]")


def _table(runs: Sequence[RunInfo]) -> Table:
    """The runs as a table that fits the terminal; only names are cut."""
    narrow = out.width < _WIDE
    columns = _COLUMNS[:-2] if narrow else _COLUMNS
    rows = [[Text.from_markup(cell, emoji=False) for cell in _row(run, narrow=narrow)[: len(columns)]] for run in runs]
    taken = [max(len(name), *(row[i].cell_len for row in rows)) for i, (name, _) in enumerate(columns)]
    room = out.width - sum(taken) + taken[_NAME] - 2 * (len(columns) - 1)
    table = Table(box=None, header_style="dim", pad_edge=False)
    for i, (column, right) in enumerate(columns):
        most = max(room, _NAME_LEAST) if i == _NAME else None
        table.add_column(
            column, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", max_width=most
        )
    for row in rows:
        table.add_row(*row)
    return table


def _row(run: RunInfo, *, narrow: bool) -> list[str]:
    rec = run.recommendation
    return [
        escape(run.id[:8]),
        escape(f"{run.project}/{run.name}"),
        f"[{STATUSES[run.status]}]{run.status}[/]",
        escape(run.verdict),
        NOTHING
        if run.status.ended or (run.status.over and rec.action is Action.CONTINUE)
        else f"[{ACTIONS[rec.action]}]{rec.action}[/]",
        NOTHING
        if rec.best_step is None
        else number(rec.best_val_loss) + ("" if narrow else f" @ {step(rec.best_step)}"),
        NOTHING
        if run.goal_best is None
        else number(run.goal_best) + ("" if narrow else f" @ {step(run.goal_best_step)}"),
        step(run.last_step),
        ago(run.created_ms),
    ]


def _aside(name: str, count: int, points: int) -> str:
    """A run's warning counter in words.

    Args:
        name: the counter.
        count: its value.
        points: points that the run has now.
    """
    if name == "thinned":
        return f"downsampled: {points:,} of {points + count:,} points kept"
    return f"{name}: {count:,} {SET_ASIDE.get(name, '')}".rstrip()


def output(
    run: str = RUN,
    search: str = typer.Option(None, help="Only output that contains this text."),
    pieces: int = typer.Option(
        1000, min=1, max=10_000, help="Number of pieces of output to print, at most: the last ones."
    ),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Print a run's output and logged texts; `monitor run` and `capture_output` store the output."""
    with open_api(server) as api:
        found = api.run(run).output(search, limit=pieces)
    lost = found[0].position - len(found[0].text) if found and found[0].id > 1 and search is None else 0
    if json:
        emit([piece.to_dict() for piece in found], "", True)
        return
    if lost:
        err.print(f"[dim]{lost:,} characters before this are not shown[/]")
    for piece in found:
        out.print(escape(piece.text.removesuffix("\n"), lines=True), soft_wrap=True)


def show(run: str = RUN, every: bool = ALL, server: str = SERVER, json: bool = JSON) -> None:
    """Show one run: its series, its findings with their evidence, and the recommendation."""
    from monitor.losses import meaning_sentence

    with open_api(server) as api:
        view = api.run(run)
        info, series, diagnosis, checkpoints = view.info, view.series(), view.diagnosis(), view.checkpoints()
        stops, saving = view.stops(), view.saving()
        seen = api.snapshot(info.id)
    if json:
        data = {
            **info.to_dict(),
            "series": [s.to_dict() for s in series],
            "checkpoints": [c.to_dict() for c in checkpoints],
            "stops": [stop.to_dict() for stop in stops],
            "saving": saving.to_dict(),
            "examples": dict(seen.examples),
            "remedies": [dict(remedy) for remedy in seen.remedies],
            "diagnosis": diagnosis.to_dict(),
        }
        emit(data, "", True)
        return
    out.print(f"[bold]{escape(info.project)}/{escape(info.name)}[/] [dim]{escape(info.id)}[/]")
    out.print(f"[{STATUSES[info.status]}]{info.status}[/], started {ago(info.created_ms)}, attempt {info.attempt}")
    if info.reading is not None:
        out.print(f"[dim]{escape(str(info.reading.get('line', '')))}[/]", soft_wrap=True)
    if info.error:
        out.print(f"[red]{escape(info.error, lines=True)}[/]".replace("\n", "\n  "))
    for name, count in sorted(info.warnings.items()):
        out.print(f"[yellow]{escape(_aside(name, count, sum(s.count for s in series)))}[/]")
    for stop in stops:
        out.print(f"stop {stop.id}: {escape(str(stop))}", soft_wrap=True)
    if info.stop_step is not None:
        out.print(f"would have stopped at step {step(info.stop_step)}")
    out.print("")
    out.print(diagnosis_text(diagnosis, every=every))
    if saving.amount:
        out.print(f"[dim]{escape(saving.sentence)}[/]", soft_wrap=True)
    if means := meaning_sentence(info.loss, info.recommendation.best_val_loss, info.config):
        out.print(f"[dim]{escape(means)}[/]", soft_wrap=True)
    for said in (*seen.of_remedies(), *seen.of_examples()):
        out.print(escape(said), soft_wrap=True)
    numbers = ("points", "last step", "last", "min", "at step")
    table = table_of("series", "role", *numbers, right=numbers)
    for s in series:
        table.add_row(escape(s.key), str(s.role), number(s.count), step(s.last_step), number(s.last), number(s.min),
                      step(s.min_step))  # fmt: skip
    out.print("")
    out.print(table)


def stop(
    run: str = RUN,
    reason: str = typer.Option("", "--reason", help="Why, in a sentence; shown to the loop and to people."),
    who: str = typer.Option(None, "--who", help="Who asks; default: your user name."),
    withdraw: bool = typer.Option(False, "--withdraw", help="Withdraw the request, if the loop has not received it."),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Ask a run's loop to stop: its `should_stop()` becomes True after its next batch or heartbeat."""
    asker = who or _user()
    with open_api(server) as api:
        view = api.run(run)
        found = view.withdraw_stop(asker) if withdraw else view.request_stop(asker, reason)
    shown = f"{escape(f'{view.info.project}/{view.name}')}: stop {escape(str(found))}"
    emit({"run_id": view.id, "stop": found.to_dict()}, shown, json)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # the user id has no name
        return "cli"
