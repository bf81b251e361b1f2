"""`monitor sync` and `monitor doctor`: unsent data in the journals of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from monitor import settings as settings_
from monitor.domain.formats import count
from monitor.screen import emit, escape, progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.settings import Settings
    from monitor.shipping.sync import Leftover, SyncReport

_FOLDER = typer.Argument(None, metavar="[DIR]", help="Folder of the store and journals; default MONITOR_DIR.")
_SERVER = typer.Option(
    None,
    "--server",
    help="Server to send to; default: each run's own, else MONITOR_SERVER_URL, else the embedded store.",
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(rich_help_panel="Manage")(sync)
    app.command(rich_help_panel="Manage")(doctor)


def sync(
    directory: Path = _FOLDER,
    server: str = _SERVER,
    json: bool = typer.Option(False, "--json", help="Print what was sent and what remains as JSON."),
) -> None:
    """Send the unsent data of ended processes, and delete the journals that are stored."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    from monitor.shipping.sync import own_destination, unsent
    from monitor.shipping.sync import sync as ship

    loaded = settings_.load(dir=directory, server_url=server)
    open_sink = own_destination(loaded, server)
    waiting = [item for item in unsent(loaded.journal_dir) if not item.live]
    with progress(TextColumn("{task.description}"), BarColumn(30), MofNCompleteColumn()) as bar:
        tasks = {item.folder: bar.add_task(escape(_title(item)), total=item.records) for item in waiting}

        def report(item: Leftover, done: int) -> None:
            if item.folder in tasks:
                bar.update(tasks[item.folder], completed=done)

        done = ship(loaded.journal_dir, open_sink, report)
    sent = [item for item in done.sent if item.records]
    data = {"sent": _rows(sent), "left": _rows(done.left), "lost_records": done.lost}
    emit(data, "\n".join(_outcome(done, sent, loaded.journal_dir)), json)
    if done.left:
        raise typer.Exit(1)


def _outcome(done: SyncReport, sent: list[Leftover], folder: Path) -> list[str]:
    lines = [f"sent {count(sum(item.points for item in sent), 'point')} of {count(len(sent), 'journal')}"]
    if not sent:
        lines = ["nothing was sent" if done.left else f"nothing is left to send in {escape(str(folder))}"]
    for item in (*done.sent, *done.left):
        lines += [f"[yellow]{escape(_title(item))}: {escape(note)}[/]" for note in _notes(item)]
    lines += [f"[yellow]left {escape(_title(item))}: {escape(item.problem or 'not sent')}[/]" for item in done.left]
    if done.lost:
        lines.append(f"[yellow]{count(done.lost, 'record')} could not be read; `monitor runs show RUN` counts them[/]")
    return lines


def doctor(
    directory: Path = _FOLDER,
    server: str = _SERVER,
    json: bool = typer.Option(False, "--json", help="Print the findings as JSON."),
) -> None:
    """Show unsent data on this machine, why it was not sent, and whether its destination is reachable."""
    from monitor.http.address import shown
    from monitor.shipping.sync import meant_for, unsent

    loaded = settings_.load(dir=directory, server_url=server)
    found = unsent(loaded.journal_dir)
    meant = {item.folder: meant_for(item, loaded.server_url) for item in found}
    places = dict.fromkeys([loaded.server_url, *meant.values()])
    states = {shown(to or loaded.store_url): _state(loaded, to) for to in places}
    receivers = [{"receiver": where, "problem": state.problem} for where, state in states.items()]
    data = {"dir": str(loaded.dir), **receivers[0], "receivers": receivers, "journals": _rows(found)}
    lines = [f"receiver  {escape(where)}: {state.text}" for where, state in states.items()]
    lines.append(f"journals  {escape(str(loaded.journal_dir))}: {_count(found)}")
    for item in found:
        goes = f" for {shown(meant[item.folder] or 'the embedded store')}" if len(states) > 1 else ""
        lines.append(
            f"  {escape(_title(item))}: {count(item.points, 'point')} unsent{escape(goes)}; {_why(item, loaded)}"
        )
    if any(not item.live for item in found):
        lines.append("`monitor sync` sends the data of ended processes")
    emit(data, "\n".join(lines), json)
    if any(state.problem for state in states.values()):
        raise typer.Exit(1)


class _State(NamedTuple):
    """The state of a receiver: its problem (None: none), and a text with Rich markup."""

    problem: str | None
    text: str


def _state(loaded: Settings, server: str | None) -> _State:
    """Query a server, or the embedded store if it exists, in a way that needs the token."""
    from monitor.errors import MonitorError
    from monitor.reader.api import Api

    own = not loaded.database_url and (loaded.dir.is_dir() or not loaded.dir.exists())
    if server is None and own and not loaded.store_file.exists():
        return _State(None, "not created yet; the first run creates it")
    try:
        with Api(settings=loaded.model_copy(update={"server_url": server})) as api:
            api.health()
            api.projects()
    except MonitorError as error:
        return _State(str(error), f"[red]{escape(str(error))}[/]")
    return _State(None, "[green]answers[/]")


def _why(item: Leftover, loaded: Settings) -> str:
    """Why a journal was not sent, and what was lost from it."""
    why = "it was logged offline" if item.offline else "the process ended before they were sent"
    if item.problem:
        why = f"the last try failed: {item.problem}"
    if item.live and item.writing:
        why = f"process {item.pid} is running and {'logs them offline' if item.offline else 'is sending them'}"
    elif item.live:
        why = "its process has ended, and another one is sending the rest"
    if item.size > 0.9 * (loaded.journal_quota_mb << 20):
        why += f"; it is near its quota of {loaded.journal_quota_mb} MiB, so points are dropped"
    if item.lost:
        why += f"; {count(item.lost, 'record')} cannot be read and will be dropped"
    return escape("; ".join([why, *_notes(item)]))


def _notes(item: Leftover) -> list[str]:
    """Further notes on a journal: refused records, and problems with its files."""
    aside = f"{count(item.aside, 'record')} refused and left out, the last one as {item.why_aside}"
    return [*([aside] if item.aside else []), *([item.odd] if item.odd else [])]


def _title(item: Leftover) -> str:
    return f"{item.project}/{item.run_name or item.run_id[:8]} ({item.writer})"


def _count(found: tuple[Leftover, ...]) -> str:
    if not found:
        return "nothing is unsent"
    return f"{count(sum(item.points for item in found), 'point')} unsent in {count(len(found), 'journal')}"


def _rows(items: Iterable[Leftover]) -> list[dict[str, object]]:
    from monitor.http.address import shown

    return [
        {
            "run_id": item.run_id, "run": item.run_name, "project": item.project, "writer": item.writer,
            "server": None if item.server is None else shown(item.server), "embedded": item.embedded,
            "offline": item.offline, "live": item.live,
            "records": item.records, "points": item.points, "lost": item.lost, "bytes": item.size,
            "refused": item.aside, "problem": item.problem, "folder": str(item.folder),
        }
        for item in items
    ]  # fmt: skip
