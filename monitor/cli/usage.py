"""One line for a command line that cannot be understood: what is wrong, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from typing import Any, Final, Protocol

import typer

from monitor.screen import fail

USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""The error of typer, or in its older versions of click, for a wrong command line."""
_OTHERS: Final = {"list": "ls", "delete": "rm", "remove": "rm", "get": "show", "info": "show", "log": "output"}
"""Names that other tools give to commands."""
_PROSE: Final = re.compile(r"(?<=: )Value error, |, unable to parse string as an? \w+")
"""What the checks of values add, and nobody needs."""
_UNKNOWN: Final = re.compile(r"No such command '(?P<name>[^']*)'")


class _Wrong(Protocol):
    ctx: Any

    def format_message(self) -> str: ...

    def show(self) -> None: ...


def refuse(error: _Wrong) -> None:
    """Print a wrong command line's error in one line and exit with status 2; print the help where nothing was asked."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        raise SystemExit(2)
    message = _PROSE.sub("", " ".join(error.format_message().split())).rstrip(".")
    found = _UNKNOWN.match(message)
    if error.ctx is None:
        fail(message)
    path = error.ctx.command_path
    if found is not None:
        message = f"{path} has no command {found['name']!r}"
        meant = _meant(found["name"], error.ctx)
        fail(f"{message}; did you mean {' or '.join(meant)}?" if meant else f"{message}; see `{path} --help`")
    fail(f"{message[:1].lower()}{message[1:].replace(': Input', ': input')}; see `{path} --help`")


def _meant(name: str, ctx: Any) -> list[str]:
    """Commands of this group or of those within it that have this name, or nearly."""
    name = _OTHERS.get(name, name) if name not in ctx.command.commands else name
    own = ctx.command.commands
    below = [
        f"`{ctx.command_path} {group} {name}`"
        for group, command in own.items()
        if name in getattr(command, "commands", {})
    ]
    near = [name] if name in own else difflib.get_close_matches(name, own, n=1)
    return (below if name not in own else [])[:3] or [f"`{ctx.command_path} {each}`" for each in near]
