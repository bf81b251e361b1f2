"""Who may ask: the bearer token where one is set, and on loopback without one, no page from elsewhere.

The checks are coroutines, though they wait for nothing: FastAPI hands a plain function to a thread, which costs more.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import Annotated

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from monitor.api.problems import Refused
from monitor.api.services import services_of
from monitor.errors import Unauthorized

_bearer = HTTPBearer(auto_error=False, description="The token that the server was started with.")


async def authorize(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    """Let the request pass if it carries the token, or if there is none and it was addressed to this machine.

    Raises:
        Unauthorized: the server has a token, and the request none or another; compared in constant time.
        Refused: the server has no token, and the request's `Host` is a public name: a page on the web that made its
            own name point to this machine (DNS rebinding) would arrive like this.
    """
    token = services_of(request).settings.token
    if token:
        if given is None or not hmac.compare_digest(given.credentials.encode(), token.encode()):
            raise Unauthorized(str(request.base_url).rstrip("/"))
    elif not _local_name(request.url.hostname or ""):
        raise Refused(
            403,
            "host",
            f"a server without a token does not answer to the name {request.url.hostname}; set MONITOR_TOKEN",
        )


async def refuse_nul(request: Request) -> None:
    """Refuse the one character that no name may hold and PostgreSQL cannot store.

    Raises:
        RequestValidationError: a parameter holds it; it is named.
    """
    given = [("query", name, value) for name, value in request.query_params.multi_items()]
    given += [("path", name, str(value)) for name, value in request.path_params.items()]
    for place, name, value in given:
        if "\0" in value:
            raise RequestValidationError([{"type": "nul", "loc": (place, name), "msg": "holds the character NUL"}])


def _local_name(host: str) -> bool:
    """True for addresses and for names without a domain, which no page on the web can make its own.

    >>> [_local_name(h) for h in ("127.0.0.1", "::1", "localhost", "app.localhost", "evil.example", "")]
    [True, True, True, True, False, True]
    """
    if "." not in host or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
