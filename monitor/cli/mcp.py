"""`monitor mcp`: the runs as tools for agents (Model Context Protocol)."""

from __future__ import annotations

from pathlib import Path

import typer

from monitor import settings as settings_
from monitor.cli.options import SERVER
from monitor.errors import SettingsError

_LEAST_TOKEN = 16  # a shorter one is too easy to guess for whoever reaches the port


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel="Manage")(mcp)


def mcp(
    http: bool = typer.Option(False, "--http", help="Serve over HTTP instead of standard input and output."),
    host: str = typer.Option("127.0.0.1", help="Address to bind with --http; any but loopback needs MONITOR_TOKEN."),
    port: int = typer.Option(8472, min=0, max=65535, help="Port with --http; 0 picks a free one."),
    write: bool = typer.Option(
        False,
        "--write",
        help="Also offer tools that change things: stop runs, acknowledge and silence alerts, annotate runs.",
    ),
    project: list[str] = typer.Option([], "--project", help="Only runs of this project; repeat it for several."),
    files: Path = typer.Option(
        None,
        "--files",
        help="Folder with files that agents may diagnose; default: the current one, or none with --http.",
    ),
    who: str = typer.Option("agent", "--who", help="Name shown to people for the agent's stops and alert changes."),
    server: str = SERVER,
) -> None:
    """Serve the runs as tools for agents, over the Model Context Protocol."""
    from monitor.mcp import Options, create_server
    from monitor.reader.api import Api

    loaded = settings_.load(server_url=server)
    given: Path | None = files  # typer's default is None, whatever the annotation says
    folder = Path() if given is None and not http else given
    options = Options(write=write, projects=tuple(project), files=folder, who=who)
    with Api(settings=loaded) as api:
        served = create_server(api, options)
        if not http:
            served.run()
            return
        from monitor.mcp.http import serve

        bound = loaded.model_copy(update={"host": host})
        if not bound.loopback and len(loaded.token or "") < _LEAST_TOKEN:
            problem = f"{host} can be reached by others, and no token of {_LEAST_TOKEN} characters is set"
            raise SettingsError("token", problem, "set MONITOR_TOKEN, or bind 127.0.0.1")
        serve(served, host, port, loaded.token)
