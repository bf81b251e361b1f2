"""Signing in with a server that trusts an OpenID Connect provider: what the dashboard asks for without any token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from monitor.http.answers import understood
from monitor.http.client import connect, request
from monitor.settings import Settings


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a browser signs in.

    Attributes:
        name: what people know it by.
        authorize: address of its page.
        client_id: what the server is called there.
        scope: what is asked of it.
    """

    name: str
    authorize: str
    client_id: str
    scope: str


_NAMES: Final = ("name", "authorize", "client_id", "scope")


def provider(settings: Settings) -> Provider | None:
    """The provider by which people sign in; None where the server has none, or none is there.

    Raises:
        MonitorError: the server does not answer, or the provider does not answer it.
    """
    if not settings.server_url:
        return None
    with connect(settings.server_url, None) as client, understood(settings.server_url):
        data = request(client, "GET", "/signin")
        found = data["provider"] if isinstance(data, dict) else None
        return None if found is None else Provider(*(str(found[name]) for name in _NAMES))


def sign_in(settings: Settings, *, code: str, verifier: str, nonce: str, redirect_uri: str) -> str:
    """A token for whoever the provider gave this code to; see the server's `/signin`.

    Raises:
        Unauthorized: the provider does not know the code.
        Forbidden: it says nothing that gives a role.
        MonitorError: as in `provider`.
    """
    server = settings.server_url or ""
    given = {"code": code, "verifier": verifier, "nonce": nonce, "redirect_uri": redirect_uri}
    headers = {"Content-Type": "application/json"}
    with connect(server, None) as client, understood(server):
        data = request(client, "POST", "/signin", content=json.dumps(given).encode(), headers=headers)
        if not isinstance(data, dict):
            raise TypeError("no object")
        return str(data["token"])
