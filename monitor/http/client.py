"""The HTTP client for everything that talks to a server: the sink that sends, the reader that queries."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from monitor.errors import ServerUnreachable
from monitor.http.address import credentials, shown
from monitor.http.answers import error_of, understood

if TYPE_CHECKING:
    import httpx

_CONNECT_S: Final = 5.0
ANSWER_S: Final = 30.0
MOST_S: Final = 300.0
"""Longest `Retry-After` that is respected. A faulty server must not stop a client for days."""


def connect(
    server: str, token: str | None, *, answer_s: float = ANSWER_S, transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """Create a client with the server's token and time limits.

    A user and password in the address are sent as Basic authentication instead of the token. No message shows them.

    Raises:
        ServerUnreachable: the address or the token cannot be used in a request.
    """
    import httpx

    headers = {"User-Agent": "lossmonitor"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    timeout = httpx.Timeout(answer_s, connect=min(_CONNECT_S, answer_s))
    address = shown(server.rstrip("/"))
    try:
        return httpx.Client(
            base_url=address, headers=headers, timeout=timeout, transport=transport, auth=credentials(server)
        )
    except (httpx.InvalidURL, ValueError) as error:
        problem = "the token has characters that no header can carry" if isinstance(error, UnicodeError) else str(error)
        raise ServerUnreachable(address, problem) from None


def request(
    client: httpx.Client,
    method: str,
    path: str,
    *,
    params: Mapping[str, str | Sequence[str]] | None = None,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> object:
    """Send a request. Returns the response's JSON, or its bytes if it is not JSON.

    Raises:
        MonitorError: the server's refusal, or `ServerUnreachable`.
    """
    import httpx

    server = str(client.base_url).rstrip("/")
    try:
        response = client.request(method, path, params=params, content=content, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise ServerUnreachable(server, str(error) or type(error).__name__, cut=_cut(error)) from None
    if response.is_success:
        if "json" in response.headers.get("Content-Type", ""):
            with understood(server):
                return json.loads(response.content)
        return response.content
    refusal = error_of(server, response.status_code, response.content)
    refusal.retry_after_s = _seconds(response.headers.get("Retry-After", ""))
    raise refusal


def request_stream(
    client: httpx.Client, path: str, *, params: Mapping[str, str], headers: Mapping[str, str]
) -> Generator[bytes]:
    """GET a long response and yield its bytes as they arrive.

    Raises:
        MonitorError: as in `request`, on the first bytes. `ServerUnreachable` also if the response breaks off.
    """
    import httpx

    server = str(client.base_url).rstrip("/")
    try:
        with client.stream("GET", path, params=params, headers=headers) as response:
            if not response.is_success:
                raise error_of(server, response.status_code, response.read())
            yield from response.iter_bytes()
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise ServerUnreachable(server, str(error) or type(error).__name__) from None


def _seconds(retry_after: str) -> float | None:
    """Parse `Retry-After` as seconds, at most `MOST_S`; None if it is not a number.

    >>> _seconds("2"), _seconds(""), _seconds("Fri, 31 Dec 1999 23:59:59 GMT"), _seconds("9" * 400)
    (2.0, None, None, 300.0)
    """
    return min(float(retry_after), MOST_S) if retry_after.isascii() and retry_after.isdecimal() else None


def _cut(error: Exception) -> str:
    """The value of `ServerUnreachable.cut` for an error."""
    import httpx

    if isinstance(error, httpx.ReadError | httpx.WriteError | httpx.RemoteProtocolError):
        return "reset"
    return "timeout" if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout) else ""
