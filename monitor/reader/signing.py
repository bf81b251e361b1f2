"""Sign-in through the server's OpenID Connect provider, used by the dashboard before it has a token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from monitor.http.answers import understood
from monitor.http.client import connect, request
from monitor.settings import Settings


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider at which a browser signs in.

    Attributes:
        name: its name for people.
        authorize: the URL of its authorization page.
        client_id: the server's client id.
        scope: the requested scope.
    """

    name: str
    authorize: str
    client_id: str
    scope: str


_NAMES: Final = ("name", "authorize", "client_id", "scope")


def provider(settings: Settings) -> Provider | None:
    """The sign-in provider; None without a server, or if the server has none.

    Raises:
        MonitorError: the server or its provider does not respond.
    """
    if not settings.server_url:
        return None
    with connect(settings.server_url, None) as client, understood(settings.server_url):
        data = request(client, "GET", "/signin")
        found = data["provider"] if isinstance(data, dict) else None
        return None if found is None else Provider(*(str(found[name]) for name in _NAMES))


def sign_in(settings: Settings, *, code: str, verifier: str, nonce: str, redirect_uri: str) -> str:
    """Exchange the provider's code for a token; see the server's `/signin`.

    Raises:
        Unauthorized: the provider does not know the code.
        Forbidden: the provider's claims grant no role.
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
