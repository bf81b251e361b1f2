"""Ports: which addresses may be exposed, which ports are taken, and which are free."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from typing import Final

import httpx

from monitor.errors import SettingsError
from monitor.settings import NEW_TOKEN, Settings

LEAST_TOKEN: Final = 16
"""Fewest characters of a token on an address that others can reach."""
_LASTING: Final = range(20_000, 32_768)
"""Ports below those that systems give to outgoing connections: one that is free still is when a process binds it."""


def check_exposure(settings: Settings) -> None:
    """Refuse an address that others can reach, unless there is a token that they cannot guess.

    Raises:
        SettingsError: the host is not loopback, and there is no token or a short one.
    """
    if settings.loopback:
        return
    if not settings.token:
        problem = f"{settings.host} can be reached from other machines, and there is no token"
        fix = "run `monitor tokens create NAME --role admin`, or set MONITOR_TOKEN to a long random text"
        raise SettingsError("host", problem, f"{fix} ({NEW_TOKEN}), or use 127.0.0.1")
    if len(settings.token) < LEAST_TOKEN:
        problem = f"has {len(settings.token)} characters, and {settings.host} can be reached from other machines"
        raise SettingsError("token", problem, f"take {LEAST_TOKEN} or more; make one: {NEW_TOKEN}")


def check_dashboard_exposure(settings: Settings) -> None:
    """Refuse to show the embedded store to other machines. Only a server checks tokens and what they permit.

    Raises:
        SettingsError: the host is not loopback, and there is no server to read from.
    """
    if not settings.loopback and settings.server_url is None:
        problem = f"{settings.host} can be reached from other machines, and this dashboard would ask nobody to sign in"
        raise SettingsError("host", problem, "name a server that has tokens with MONITOR_SERVER_URL, or use 127.0.0.1")


def bind(host: str, port: int, setting: str, *, shared: bool = False) -> socket.socket:
    """Bind a port and listen on it.

    Args:
        port: 0 for any free one.
        setting: what the user calls the port.
        shared: True to share it with our other processes that pass True; the kernel distributes the connections.

    Raises:
        SettingsError: it is taken, or the host is not an address of this machine.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise SettingsError("host", f"{host} is not an address ({error})", "use 127.0.0.1 or 0.0.0.0") from None
    # Pass the protocol explicitly: asyncio disables Nagle's algorithm only then. With Nagle, an answer that is written
    # in two parts waits 40 ms for the acknowledgement of the first.
    sock = socket.socket(family, kind, proto or socket.IPPROTO_TCP)
    try:
        # On Windows this option would let two servers share the port.
        if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        sock.listen(2048)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            fix = f"stop what listens there, or choose another: MONITOR_{setting.upper()}=0 takes a free one"
            raise SettingsError(setting, f"port {port} of {host} is taken", fix) from None
        raise SettingsError(setting, f"cannot listen on {host}:{port} ({error.strerror})", "use another") from None
    return sock


def free_port(host: str, port: int, setting: str) -> int:
    """The port, or a free one for 0, for a process that binds it itself."""
    with contextlib.closing(bind(host, port, setting)) as sock:
        found = int(sock.getsockname()[1])
    for each in random.sample(_LASTING, 20) if port == 0 else ():
        with contextlib.suppress(SettingsError), contextlib.closing(bind(host, each, setting)):
            return each
    return found


def url_of(host: str, port: int) -> str:
    """The URL for calls from this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def running_there(settings: Settings, store_id: str) -> dict[str, str] | None:
    """The addresses of a healthy server of ours on the same store at the configured port; None if there is none.

    Args:
        settings: host, port and token.
        store_id: `Services.store_id` of the store that would be served.
    """
    url = url_of(settings.host, settings.port)
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    try:
        health = httpx.get(f"{url}/healthz", timeout=2).json()
        if health.get("name") != "lossmonitor" or health.get("store_id") != store_id:
            return None
        info = httpx.get(f"{url}/api/v1/info", timeout=2, headers=headers)
        links = info.json().get("links", {}) if info.is_success else {}
    except (httpx.HTTPError, ValueError, AttributeError):
        return None
    return {"api": url, **{str(name): str(link) for name, link in links.items()}}
