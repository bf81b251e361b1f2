"""`monitor import`: stores existing files and runs of other trackers as finished runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from monitor import settings as settings_
from monitor.cli.curves import EPOCH, GOAL, PATTERN, STEP, TRAIN, VAL
from monitor.domain.formats import number
from monitor.errors import FileUnreadable, MonitorError, RunNotFound, WireError
from monitor.screen import emit, err, escape, fail, out, progress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from monitor.importers import ImportedRun, NotTraining, Sent, Source, Twins
    from monitor.settings import Settings
    from monitor.shipping.sinks import Sink

_SHOWN = 10
"""Skipped items listed in text output, at most; `--json` lists all."""


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("import", rich_help_panel="Manage")(import_)


@dataclass(slots=True)
class _Summary:
    """The results of an import so far."""

    stored: list[tuple[ImportedRun, Sent]] = field(default_factory=list)
    broken: list[tuple[str, str, str]] = field(default_factory=list)
    ignored: list[NotTraining] = field(default_factory=list)

    @property
    def damaged(self) -> bool:
        return bool(self.broken) or any(note.broken for run, _ in self.stored for note in run.skipped)


def import_(
    source: list[str] = typer.Argument(
        ...,
        metavar="SOURCE",
        help="Files, folders to search, or `mlflow URI` with a server, a database or a folder such as mlruns.",
        show_default=False,
    ),
    project: str = typer.Option(None, help="Project for all runs; default: named by the source, else `imported`."),
    name: str = typer.Option(None, help="Name of the run; only if there is one."),
    train: str = TRAIN,
    val: str = VAL,
    goal: str = GOAL,
    step: str = STEP,
    epoch: str = EPOCH,
    pattern: str = PATTERN,
    server: str = typer.Option(None, help="Server to store in; default MONITOR_SERVER_URL, else the embedded store."),
    json: bool = typer.Option(False, "--json", help="Print what was stored and what was skipped as JSON."),
) -> None:
    """Import files and runs of other trackers: all series, parameters and times, diagnosed like live runs.

    Reads CSV, JSON and JSONL of many frameworks, text logs, TensorBoard events, offline W&B runs, folders of trackers,
    and MLflow; docs/importing.md has the list. Importing the same source again changes nothing. Exit status 1 if
    something is damaged, 2 if nothing could be read.
    """
    from monitor.cli.rule_files import said_for
    from monitor.importers.mlflow_source import without_password
    from monitor.importers.sources import sources

    loaded = settings_.load(server_url=server)
    said = said_for({"train": train, "val": val, "goal": goal, "step": step, "epoch": epoch})
    found = [item for given in _addresses(source) for item in _present(given, sources(given, pattern, said))]
    if name and (len(found) > 1 or any(item.many for item in found)):
        fail("--name names one run, but the sources hold several; leave it out, or give one source")
    summary = _Summary()
    if found:
        _store_all(found, loaded, summary, project, name)
    if not summary.stored and len(summary.broken) == 1 and not summary.ignored:
        fail(_line(*summary.broken[0]))
    if not summary.stored:
        for place in summary.broken:
            err.print(f"[red]broken[/]  {escape(_line(*place))}")
        for item in summary.ignored[:_SHOWN]:
            err.print(f"[dim]ignored {escape(item.source)}: {escape(item.reason)}[/]")
        if found:
            fail(f"no run could be read from {', '.join(map(without_password, source))}")
        raise typer.Exit(2)
    verdicts = _verdicts(loaded, summary)
    emit(_data(summary, verdicts), "", True) if json else _print(summary, verdicts)
    if summary.damaged:
        raise typer.Exit(1)


def _addresses(given: Sequence[str]) -> list[str]:
    """The sources, with `mlflow URI` joined to one.

    >>> _addresses(["a.csv", "mlflow", "http://h:5000"])
    ['a.csv', 'mlflow:http://h:5000']
    """
    found: list[str] = []
    words = iter(given)
    for word in words:
        place = next(words, None) if word == "mlflow" else None
        if word == "mlflow" and place is None and not Path(word).exists():
            fail("mlflow: name a server, a database or a folder, as in `monitor import mlflow http://localhost:5000`")
        found.append(word if place is None else f"mlflow:{place.removeprefix('mlflow:')}")
    return found


def _present(given: str, found: list[Source]) -> list[Source]:
    if not found:
        err.print(
            f"[bold red]error:[/] {escape(given)}: no training found there; docs/importing.md lists what is read",
            soft_wrap=True,
        )
    return found


def _store_all(
    found: Sequence[Source], settings: Settings, summary: _Summary, project: str | None, name: str | None
) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    from monitor.importers import Twins
    from monitor.shipping.sinks import Destination

    bars = (TextColumn("{task.description}"), BarColumn(30), MofNCompleteColumn(), TextColumn("{task.fields[points]}"))
    twins = Twins()
    sink = Destination(settings, settings.server_url or None)()
    try:
        with progress(*bars) as bar:
            task = bar.add_task("reading", total=len(found), points="")
            for item in found:
                bar.update(task, description=escape(item.shown[-60:]))
                _store(item, twins, sink, summary, project, name, bar, task)
                bar.advance(task)
    finally:
        sink.close()


def _store(
    item: Source,
    twins: Twins,
    sink: Sink,
    summary: _Summary,
    project: str | None,
    name: str | None,
    progress: Progress,
    task: TaskID,
) -> None:
    """Store the runs of one source. A refused run is recorded as broken; an unreachable store raises."""
    from monitor.importers import ImportedRun, NotTraining, send_run

    for found in item.read(twins):
        if isinstance(found, NotTraining):
            summary.ignored.append(found)
            progress.update(task, points=f"{len(summary.stored) + len(summary.ignored):,} runs")
            continue
        if isinstance(found, FileUnreadable):
            summary.broken.append((found.path, found.place, _problem(found)))
            continue
        assert isinstance(found, ImportedRun)
        before = sum(len(run.points) for run, _ in summary.stored)

        def report(done: int, before: int = before) -> None:
            runs = len(summary.stored) + len(summary.ignored) + 1
            progress.update(task, points=f"{runs:,} runs, {before + done:,} points")

        called = f"{name}/{found.part}" if name and found.part else name  # the file has several runs
        try:
            summary.stored.append((found, send_run(found, sink.send, project=project, name=called, progress=report)))
        except (WireError, RunNotFound) as error:
            summary.broken.append((found.source, "", _refusal(error)))


def _refusal(error: MonitorError) -> str:
    if isinstance(error, RunNotFound):
        return f"run {error.run_id} was deleted; `monitor runs restore {error.run_id}` brings it back"
    return f"is refused: {error}"


def _problem(error: FileUnreadable) -> str:
    return str(error).removeprefix(error.path).removeprefix(f", {error.place}").removeprefix(": ")


def _line(source: str, place: str, problem: str) -> str:
    return f"{source}{', ' + place if place else ''}: {problem}"


def _verdicts(settings: Settings, summary: _Summary) -> dict[str, str]:
    """The verdict of each stored run, by id."""
    from monitor.reader.api import Api

    found: dict[str, str] = {}
    with contextlib.suppress(MonitorError), Api(settings=settings) as api:  # everything is stored already
        for _, sent in summary.stored:
            found[sent.run_id] = api.run(sent.run_id).info.verdict
    return found


def _print(summary: _Summary, verdicts: Mapping[str, str]) -> None:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("run", "name", "from", "steps", "points", "not judged", "verdict", ""):
        table.add_column(column, justify="right" if column == "points" else "left", overflow="fold")
    for run, sent in summary.stored:
        table.add_row(
            escape(sent.run_id[:8]),
            escape(run.name),
            escape(run.kind),
            escape(_steps(run)),
            number(len(run.points)),
            escape(_some(run.unmapped())),
            escape(verdicts.get(sent.run_id, "")),
            "[dim]was there[/]" if sent.known else "",
        )
    out.print(table)
    for run, _ in summary.stored[:_SHOWN]:
        out.print(f"[dim]{escape(run.name)}: {escape(run.reading().line())}[/]", soft_wrap=True)
    new = [sent for _, sent in summary.stored if not sent.known]
    known = len(summary.stored) - len(new)
    tail = f", {number(known)} were there already" if known else ""
    runs = "1 run" if len(new) == 1 else f"{number(len(new))} runs"
    out.print(f"stored {runs} with {number(sum(sent.points for sent in new))} points{tail}")
    if len(new) == 1:
        out.print(f"[dim]`monitor runs show {new[0].run_id[:8]}` shows it, `monitor up` the dashboard[/]")
    _print_notes(summary)


def _print_notes(summary: _Summary) -> None:
    """What was broken, noted and ignored, each once: several runs of one file have the same notes."""
    notes = [(run.source, note) for run, _ in summary.stored for note in run.skipped]
    lines = [f"[red]broken[/]  {escape(_line(*place))}" for place in summary.broken]
    lines += [f"[red]broken[/]  {escape(_line(s, n.place, n.reason))}" for s, n in notes if n.broken]
    lines += [f"[dim]note    {escape(_line(s, n.place, n.reason))}[/]" for s, n in notes if not n.broken]
    lines += [f"[dim]ignored {escape(item.source)}: {escape(item.reason)}[/]" for item in summary.ignored]
    lines = list(dict.fromkeys(lines))
    for line in lines[:_SHOWN]:
        out.print(line, soft_wrap=True)
    if len(lines) > _SHOWN:
        ignored = sum(line.startswith("[dim]ignored") for line in lines[_SHOWN:])
        files = f", {number(ignored)} of them ignored files" if ignored else ""
        out.print(f"[dim]and {number(len(lines) - _SHOWN)} more{files}; --json lists all[/]")


def _steps(run: ImportedRun) -> str:
    """How the steps were found, and the number of attempts."""
    again = f", {len(run.attempts) + 1} attempts" if run.attempts else ""
    return f"{run.steps or 'its own'}{again}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _data(summary: _Summary, verdicts: Mapping[str, str]) -> dict[str, object]:
    return {
        "runs": [
            {
                "run_id": sent.run_id, "name": run.name, "source": run.source, "kind": run.kind,
                "unit": run.unit, "steps": run.steps, "attempts": len(run.attempts) + 1,
                "points": len(run.points), "stored_points": sent.points, "known": sent.known,
                "verdict": verdicts.get(sent.run_id),
                "series": list(run.keys), "mapped": {str(role): key for role, key in run.mapped().items()},
                "unmapped": list(run.unmapped()),
                "skipped": [{"place": n.place, "reason": n.reason, "broken": n.broken} for n in run.skipped],
            }
            for run, sent in summary.stored
        ],
        "broken": [{"source": s, "place": place, "problem": problem} for s, place, problem in summary.broken],
        "ignored": [{"source": item.source, "reason": item.reason} for item in summary.ignored],
    }  # fmt: skip
