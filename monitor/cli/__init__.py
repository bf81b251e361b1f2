"""The command line: `monitor ...`, or `python -m monitor ...`.

One file per subject. Each command imports what it needs when it runs, so `monitor --help` is fast, and the base install
has every command whose packages it has. Our errors become one line on standard error with exit status 2; an interrupt
exits with 130.
"""

from __future__ import annotations

import inspect
import io
import os
import sys

import typer

from monitor import __version__
from monitor.cli import (
    access,
    alerts,
    asking,
    curves,
    database,
    imports,
    journals,
    keeping,
    losses,
    mcp,
    mlflow,
    rules,
    running,
    runs,
    serve,
    watching,
)
from monitor.cli.options import JSON
from monitor.cli.usage import USAGE_ERROR, refuse
from monitor.errors import MonitorError, QueryError
from monitor.screen import fail

app = typer.Typer(
    name="monitor",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
serve.register(app)
curves.register(app)
watching.register(app)
running.register(app)
asking.register(app)
_runs = runs.register(app)
alerts.register(app)
rules.register(app)
losses.register(app)
journals.register(app)
imports.register(app)
keeping.register(_runs, database.register(app), app)
access.register(app)
mlflow.register(app)
mcp.register(app)


def _unwrap(found: typer.Typer) -> None:
    """Join the lines of each help paragraph, so that the terminal wraps them."""
    for command in found.registered_commands:
        text = inspect.getdoc(command.callback) if command.callback is not None else None
        if text:
            command.help = "\n\n".join(" ".join(paragraph.split("\n")) for paragraph in text.split("\n\n"))
    for group in found.registered_groups:
        if group.typer_instance is not None:
            _unwrap(group.typer_instance)


_unwrap(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"lossmonitor {__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    _version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Training monitor: stores losses in SQL, diagnoses the curves, and tells the loop when to stop."""


@app.command(rich_help_panel="Other")
def version(json: bool = JSON) -> None:
    """Print the versions of the package and of Python."""
    from monitor.screen import emit

    found = {"version": __version__, "python": sys.version.split()[0]}
    emit(found, f"lossmonitor {found['version']} (Python {found['python']})", json)


def main() -> None:
    """Run the command line; the entry point of the package."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape characters that the terminal cannot encode
            stream.reconfigure(errors="backslashreplace")
    try:
        status = app(prog_name="monitor", standalone_mode=False)  # so that a wrong command line is one line, too
        sys.exit(status if isinstance(status, int) else 0)
    except USAGE_ERROR as error:
        refuse(error)  # type: ignore[arg-type]  # its class is typer's or click's
    except MonitorError as error:
        fail(str(error), lines=isinstance(error, QueryError))
    except BrokenPipeError:  # the reader of the output, such as `head`, has exited
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit must not fail again
        sys.exit(141)  # 128 + SIGPIPE, as shells report it
    except OSError as error:
        fail(f"{os.fsdecode(error.filename) + ': ' if error.filename else ''}{error.strerror or error}")
    except ImportError as error:
        package = (error.name or "").split(".")[0]
        if package not in _EXTRA_OF:
            raise
        fail(f'{package} is not installed; run: pip install "lossmonitor[{_EXTRA_OF[package]}]"')
    except KeyboardInterrupt:
        sys.exit(130)


_SERVER_PACKAGES = (
    "apprise",
    "apscheduler",
    "cryptography",
    "fastapi",
    "mlflow",
    "PIL",
    "plotly",
    "psycopg",
    "starlette",
    "streamlit",
    "uvicorn",
)
_EXTRA_OF = {**dict.fromkeys(_SERVER_PACKAGES, "server"), "torch": "demo", "sklearn": "demo", "mcp": "mcp"}
