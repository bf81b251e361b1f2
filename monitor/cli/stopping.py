"""`monitor runs stop`: asks a loop to stop, or withdraws the request."""

from __future__ import annotations

import getpass

import typer

from monitor.cli.options import JSON, RUN, SERVER
from monitor.cli.reader import open_api
from monitor.screen import emit, escape


def register(runs: typer.Typer) -> None:
    """Add the command of this file to its group."""
    runs.command("stop")(stop)


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
