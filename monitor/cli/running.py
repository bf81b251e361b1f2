"""`monitor run`: run a command, store its output, read its losses, and stop it when that is advised."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from monitor import settings as settings_
from monitor.cli.curves import PATTERN
from monitor.screen import err, escape, fail

if TYPE_CHECKING:
    from monitor.run.run import Run

_INTERPRETERS: Final = ("python", "torchrun", "accelerate", "deepspeed", "bash", "sh", "uv", "poetry", "conda")


class Stop(StrEnum):
    """What to do when advice to stop persists."""

    ASK = "ask"
    SIGNAL = "signal"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel="Watch", context_settings={"allow_interspersed_args": False})(run)


def run(
    command: list[str] = typer.Argument(
        ..., metavar="COMMAND", help="The command, after --, such as: -- python train.py --lr 0.1", show_default=False
    ),
    name: str = typer.Option(None, help="Name of the run; default: the script's."),
    project: str = typer.Option(None, help="Project of the run; default: the current folder's name."),
    stop: Stop = typer.Option(
        Stop.ASK, help="When a stop is advised: ask prints it; signal sends SIGINT, then SIGTERM."
    ),
    grace: float = typer.Option(60.0, min=0, help="Seconds between SIGINT and SIGTERM."),
    stands: float = typer.Option(10.0, min=0, help="Seconds for which the advice must persist first."),
    pattern: str = PATTERN,
    server: str = typer.Option(None, help="Server to log to; default MONITOR_SERVER_URL, else the embedded store."),
) -> None:
    """Run a training that has no logging of its own: show and store its output, and read its losses from it.

    Example: monitor run -- python train.py --lr 0.1

    The exit status is the command's own. If the command calls `monitor.init` itself, it logs to this run.
    """
    import random
    import shutil
    import uuid

    from monitor.captures import CAPTURES
    from monitor.importers.text_log import compiled
    from monitor.run import options
    from monitor.run.around import Around, Stopping
    from monitor.run.capture import captured
    from monitor.run.run import Run
    from monitor.run.secrets import hide_command
    from monitor.shipping.sinks import Destination

    if shutil.which(command[0]) is None:
        there = Path(command[0]).is_file()
        fail(f"{command[0]}: {'is not executable; chmod +x it' if there else 'no such command'}", 127)
    loaded = settings_.load(server_url=server)
    found = None if pattern is None else compiled(pattern)
    # With "join", because a process of the command may call `init` itself and then leads the run.
    started = Run(
        settings=loaded,
        run_id=uuid.uuid4().hex,
        name=options.name_of("name", name or _script(command)),
        start={
            "project": options.name_of("project", project or Path.cwd().name or "runs"),
            "name": name or _script(command), "resume": "allow", "join": True, "heartbeat_s": loaded.heartbeat_s,
            "stop": loaded.stop_modes_of(project or Path.cwd().name or "runs"),
        },
        open_sink=Destination(loaded, loaded.server_url),
        server=loaded.server_url,
        rng=random.Random(),
    )  # fmt: skip
    about = captured(set(loaded.capture) & set(CAPTURES) - {"packages", "system"})
    started._event("capture", {**about, "argv": hide_command(command)} if "argv" in about else about)
    stopping = Stopping(signals=stop is Stop.SIGNAL, grace_s=grace, stands_s=stands)
    around = Around(started, command, loaded.dir / "offers", stopping, found, _say)
    try:
        code = around()
    except OSError as error:
        started._exit_code = 127
        started.finish("failed", f"{command[0]}: {error.strerror or error}")
        fail(f"{command[0]}: {error.strerror or error}", 127)
    if err.is_terminal:
        _say(_summary(started, around.series))
    sys.exit(code)


def _summary(run: Run, series: Sequence[str] | None) -> str:
    """What was read from the output, in one line."""
    where = f"`monitor runs show {run.id[:8]}` shows the run"
    if series is None:
        return f"the command logged for itself; {where}."
    if not series:
        return f"no loss was found in the output; --pattern says what to look for. {where}."
    shown = ", ".join(series[:4]) + (" …" if len(series) > 4 else "")
    return f"read from the output: {shown}. {where}."


def _say(text: str) -> None:
    err.print(f"[bold]monitor:[/] {escape(text)}", soft_wrap=True)


def _script(command: list[str]) -> str:
    """The name for a command: its script, else its program.

    >>> _script(["python", "-u", "train.py", "--lr", "1"]), _script(["./run.sh"]), _script(["python", "-m", "a.train"])
    ('train', 'run', 'a.train')
    """
    first = Path(command[0]).name
    if first.rstrip("0123456789.") in _INTERPRETERS:
        if "-m" in command[1:-1]:
            return command[command.index("-m") + 1]
        first = next((word for word in command[1:] if word.endswith((".py", ".sh"))), first)
    return Path(first).stem or first
