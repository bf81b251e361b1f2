"""The monitor as tools of an agent, by the Model Context Protocol: `monitor mcp`.

It reads and writes through `monitor.Api` alone, so that it obeys the server's token, and works over a server as over
the store of this machine. `docs/agents.md` describes it.
"""

from __future__ import annotations

from monitor.mcp.server import Options, create_server

__all__ = ["Options", "create_server"]
