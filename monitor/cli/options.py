"""Options that several commands have."""

from __future__ import annotations

import typer

RUN = typer.Argument(..., metavar="RUN", help="Id, its first digits, or name.", show_default=False)
PROJECT = typer.Option(None, help="Only runs of this project.")
SERVER = typer.Option(None, "--server", help="Server to ask; default MONITOR_SERVER_URL, else the embedded store.")
URL = typer.Option(None, "--url", help="SQLAlchemy URL of the database; default: the one in the settings.")
JSON = typer.Option(False, "--json", help="Print as JSON.")
