"""`monitor sync` and `monitor doctor`: points that are still in a journal on this machine."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(rich_help_panel="Look after")(sync)
    app.command(rich_help_panel="Look after")(doctor)
