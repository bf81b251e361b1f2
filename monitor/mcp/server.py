"""The MCP server: which tools there are, and the instructions for agents."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import ValidationError

from monitor import __version__
from monitor.errors import MonitorError, suggestion
from monitor.mcp.tools import Tools
from monitor.reader.api import Api

_F = TypeVar("_F", bound=Callable[..., Any])

INSTRUCTIONS: Final = """\
Training runs with their diagnosis. The loop: start trainings as you like (they log by themselves), `wait` for an \
event, `explain` the run, act (`request_stop`, `acknowledge`, or the next training with another configuration). \
`attention` says which open runs need you, the most urgent first. A run is named by its id, the first eight digits of \
it, or its name. Losses and steps are facts from the store; `advise_loss` and the advice in `explain` are rules of \
thumb with reasons."""
_READS: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_STOPS: Final = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True)
_ADDS: Final = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an agent may do.

    Attributes:
        write: True: it may also request stops, acknowledge and silence alerts, and annotate runs.
        projects: only runs of these projects; empty: all.
        files: the folder with files that it may diagnose; None: no files. Over standard input and output the agent acts
            for the user; over HTTP it may be anyone with the token.
        who: the name shown to people for its stops and alert changes.
    """

    write: bool = False
    projects: tuple[str, ...] = ()
    files: Path | None = None
    who: str = "agent"


class _Server(MCPServer):
    """Refuses arguments that a tool does not have. MCPServer ignores them, and a misspelt `until` waits for the end."""

    async def call_tool(self, name: str, arguments: dict[str, Any], *rest: Any, **more: Any) -> Any:
        """Call a tool; an error is one line."""
        schema = next((tool.input_schema for tool in await self.list_tools() if tool.name == name), None)
        if schema is not None:
            _check(name, arguments, tuple(schema.get("properties", ())), schema.get("required", ()))
        try:
            return await super().call_tool(name, arguments, *rest, **more)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            first = error.__cause__.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ToolError(f"{name}: {place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None


def _check(name: str, arguments: dict[str, Any], known: Sequence[str], required: Sequence[str]) -> None:
    unknown = next((each for each in arguments if each not in known), None)
    missing = next((each for each in required if each not in arguments), None)
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    if unknown is not None:
        raise ToolError(f"{name}: no argument {unknown!r}; {suggestion(unknown, known, otherwise=takes)}")
    if missing is not None:
        raise ToolError(f"{name}: {missing!r} is missing; {takes}")


def create_server(api: Api, options: Options) -> MCPServer:
    """Create the server with the tools that the options allow.

    Args:
        api: where it reads from; closed by the caller.
        options: what the agent may do.
    """
    server = _Server("lossmonitor", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    tools = Tools(api, options.projects, options.files, options.who)
    reading: list[Callable[..., Any]] = [
        tools.list_runs, tools.list_alerts, tools.explain, tools.attention, tools.compare, tools.curve,
        tools.curve_picture, tools.wait, tools.events, tools.ledger, tools.advise_loss,
    ]  # fmt: skip
    if options.files is not None:
        reading.append(tools.diagnose_file)
    for tool in reading:
        server.add_tool(_told(tool), annotations=_READS)
    if options.write:
        for tool in (tools.request_stop, tools.withdraw_stop):
            server.add_tool(_told(tool), annotations=_STOPS)
        for adding in (tools.acknowledge, tools.mark_alert, tools.annotate, tools.silence, tools.unsilence):
            server.add_tool(_told(adding), annotations=_ADDS)
    return server


def _told(tool: _F) -> Callable[..., Any]:
    """The tool with errors turned into one line that names the fix."""

    @functools.wraps(tool)
    def telling(*args: Any, **kwargs: Any) -> Any:
        try:
            return tool(*args, **kwargs)
        except (MonitorError, OSError) as error:
            raise ToolError(str(error)) from None

    return telling
