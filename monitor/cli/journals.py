"""`monitor sync` and `monitor doctor`: points that are still in a journal on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from monitor import settings as settings_
from monitor.screen import emit, err, escape, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.client.sync import Leftover

_FOLDER = typer.Argument(None, metavar="[DIR]", help="Folder of the store and the journals; default MONITOR_DIR.")
_SERVER = typer.Option(
    None, "--server", help="Server to send to; default: where each run was meant to go, MONITOR_SERVER_URL, the store."
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(rich_help_panel="Look after")(sync)
    app.command(rich_help_panel="Look after")(doctor)


def sync(
    directory: Path = _FOLDER,
    server: str = _SERVER,
    json: bool = typer.Option(False, "--json", help="Print what was sent and what was left as JSON."),
) -> None:
    """Send the points that ended processes left in their journals, and delete the journals that are stored."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from monitor.client.sync import own_destination, unsent
    from monitor.client.sync import sync as ship

    loaded = settings_.load(dir=directory, server_url=server)
    waiting = [item for item in unsent(loaded.journal_dir) if not item.live]
    bars = (TextColumn("{task.description}"), BarColumn(30), MofNCompleteColumn())
    with Progress(*bars, console=err) as progress:
        tasks = {item.folder: progress.add_task(escape(_title(item)), total=item.records) for item in waiting}

        def report(item: Leftover, done: int) -> None:
            if item.folder in tasks:
                progress.update(tasks[item.folder], completed=done)

        done = ship(loaded.journal_dir, own_destination(loaded, server), report)
    sent = [item for item in done.sent if item.records]
    data = {"sent": _rows(sent), "left": _rows(done.left), "lost_records": done.lost}
    lines = [f"sent {number(sum(item.points for item in sent))} points of {number(len(sent))} journals"]
    lines += [f"[yellow]left {escape(_title(item))}: {escape(item.problem or 'not sent')}[/]" for item in done.left]
    if done.lost:
        lines.append(f"[yellow]{number(done.lost)} records could not be read; their runs say so in their warnings[/]")
    emit(data, "\n".join(lines), json)
    if done.left:
        raise typer.Exit(1)


def doctor(
    directory: Path = _FOLDER,
    server: str = _SERVER,
    json: bool = typer.Option(False, "--json", help="Print the findings as JSON."),
) -> None:
    """Say what is unsent on this machine and why, and whether the server or the embedded store answers."""
    from monitor.client.reader import Api
    from monitor.client.sync import unsent
    from monitor.errors import MonitorError

    loaded = settings_.load(dir=directory, server_url=server)
    where = loaded.server_url or loaded.store_url
    problem = None
    try:
        with Api(loaded.server_url, settings=loaded) as api:
            api.health()
    except MonitorError as error:
        problem = str(error)
    found = unsent(loaded.journal_dir)
    data = {"dir": str(loaded.dir), "receiver": where, "problem": problem, "journals": _rows(found)}
    state = f"[red]{escape(problem)}[/]" if problem else "[green]answers[/]"
    lines = [f"receiver  {escape(where)}: {state}", f"journals  {escape(str(loaded.journal_dir))}: {_count(found)}"]
    for item in found:
        reason = (
            f"process {item.pid} runs and sends them"
            if item.live
            else item.problem or "the process ended before they were sent"
        )
        meant = f" for {item.server}" if item.server and item.server != loaded.server_url else ""
        meant = " for the embedded store" if item.embedded and loaded.server_url else meant
        lost = f"; {number(item.lost)} records of it cannot be read and will be left out" if item.lost else ""
        lines.append(
            f"  {escape(_title(item))}: {number(item.points)} points unsent{escape(meant)}; {escape(reason)}{lost}"
        )
    if any(not item.live for item in found):
        lines.append("`monitor sync` sends what ended processes left")
    emit(data, "\n".join(lines), json)
    if problem:
        raise typer.Exit(1)


def _title(item: Leftover) -> str:
    return f"{item.project}/{item.run_name or item.run_id[:8]} ({item.writer})"


def _count(found: tuple[Leftover, ...]) -> str:
    if not found:
        return "nothing is unsent"
    return f"{number(sum(item.points for item in found))} points unsent in {number(len(found))} journals"


def _rows(items: Iterable[Leftover]) -> list[dict[str, object]]:
    return [
        {
            "run_id": item.run_id, "run": item.run_name, "project": item.project, "writer": item.writer,
            "server": item.server, "embedded": item.embedded, "live": item.live, "records": item.records,
            "points": item.points, "lost": item.lost, "bytes": item.size, "problem": item.problem,
            "folder": str(item.folder),
        }
        for item in items
    ]  # fmt: skip
