"""`monitor mlflow`: a database shared with MLflow."""

from __future__ import annotations

import typer

from monitor.cli.database import own_database
from monitor.cli.options import JSON, URL
from monitor.screen import emit, err, escape


def register(app: typer.Typer) -> typer.Typer:
    """Add the commands of this file, and return their group."""
    group = typer.Typer(no_args_is_help=True, help="Manage a database shared with MLflow.")
    group.callback()(lambda: None)  # with a callback, a single command keeps its name
    group.command("unpack")(unpack)
    app.add_typer(group, name="mlflow", rich_help_panel="Manage")
    return group


def unpack(url: str = URL, json: bool = JSON) -> None:
    """Write all metric histories to MLflow's own table, so that MLflow can serve them alone. Can be repeated."""
    from monitor.store.mlflow import MlflowStore

    runs = points = 0
    with MlflowStore.open(own_database(url, "monitor mlflow unpack"), create=False) as store:
        for run_id, written in store.unpack():
            runs, points = runs + 1, points + written
            if not json:
                err.print(f"{run_id}  {written} points", highlight=False)
        shown = store.url
    emit(
        {"url": shown, "runs": runs, "points": points},
        f"unpacked {points} points of {runs} runs in {escape(shown)}",
        json,
    )
