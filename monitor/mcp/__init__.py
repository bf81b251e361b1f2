"""The monitor as tools for agents, over the Model Context Protocol: `monitor mcp`.

Reads and writes only through `monitor.Api`, so it respects the server's token, and works with a server and with the
embedded store. See `docs/agents.md`.
"""

from __future__ import annotations

from monitor.mcp.server import Options, create_server

__all__ = ["Options", "create_server"]
