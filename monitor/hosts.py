"""Which hosts and origins a server without a login accepts, so that no web page can use it.

A web page may point its own name to this machine (DNS rebinding): its requests then carry that name as `Host`. Or it
may send requests to this machine's address from elsewhere: they then carry the page's `Origin`. It can forge neither.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Headers of every response."""


def host_name(host: str) -> str:
    """The name in a `Host` header, in lower case and without the port. An unreadable header is returned whole.

    >>> [host_name(h) for h in ("LocalHost:8470", "[::1]:8470", "a.example.", "evil.example:x@y")]
    ['localhost', '::1', 'a.example', 'evil.example:x@y']
    """
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises if it is not a number
    except ValueError:
        return host
    if parts.hostname is None or parts.netloc != host or "@" in host:
        return host
    return parts.hostname.removesuffix(".")


def local_name(name: str) -> bool:
    """True for IP addresses and for names without a domain, which no web page can claim.

    >>> [local_name(h) for h in ("127.0.0.1", "::1", "localhost", "app.localhost", "evil.example", "")]
    [True, True, True, True, False, True]
    """
    if "." not in name or name.endswith(".localhost"):
        return "@" not in name and "/" not in name
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def same_origin(origin: str, host: str, also: Collection[str] = ()) -> bool:
    """True if a request's `Origin` is the address it was sent to, or has one of the names in `also`.

    >>> same_origin("http://127.0.0.1:8471", "127.0.0.1:8471"), same_origin("http://127.0.0.1:9000", "127.0.0.1:8471")
    (True, False)
    >>> same_origin("https://m.example", "127.0.0.1:8471", {"m.example"}), same_origin("null", "127.0.0.1:8471")
    (True, False)
    """
    scheme, _, place = origin.strip().lower().partition("://")
    if scheme not in ("http", "https") or not place:
        return False
    return _with_port(place, scheme) == _with_port(host.strip().lower(), scheme) or host_name(place) in also


def _with_port(place: str, scheme: str) -> str:
    """Drop the scheme's default port: browsers leave it out of both headers, other clients may not."""
    return place.removesuffix(":443" if scheme == "https" else ":80")
