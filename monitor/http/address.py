"""Server addresses: which part may be shown, and which is secret."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from monitor.errors import SettingsError

_SECRET: Final = re.compile(r"^((?:[a-z][a-z0-9+.-]*:)?//)?(?:[^/?#]*|[^/?#]*:[^/?#]*[^0-9/?#].*)@", re.IGNORECASE)
"""User and password before the host.

A password with a "/" makes the address invalid, but must be hidden all the same.
"""


def shown(address: str) -> str:
    """An address without user and password, safe to show and store.

    >>> shown("https://ada:s3cret@host:8470/monitor"), shown("http://host:8470/a@b"), shown("ada:s3/cret@host")
    ('https://host:8470/monitor', 'http://host:8470/a@b', 'host')
    """
    return _SECRET.sub(lambda found: found[1] or "", address, count=1)


def credentials(address: str) -> tuple[str, str] | None:
    """The user and password in an address; None if there are none.

    >>> credentials("https://ada:s3%40cret@host"), credentials("https://host")
    (('ada', 's3@cret'), None)
    """
    found = _SECRET.match(address)
    if found is None:
        return None
    user, _, password = found[0][len(found[1] or "") : -1].partition(":")
    return unquote(user), unquote(password)


def server_of(value: str | None) -> str | None:
    """A server's address without a trailing slash; None if none is given."""
    if value is None:
        return None
    try:
        reachable = re.match(r"https?://[^/\s]+", value) and urlsplit(value).port != 0
    except ValueError:  # the port is not a valid number
        reachable = False
    if not reachable:
        raise SettingsError("server", f"{shown(value)!r} is not an address", "write it as http://host:8470")
    return value.rstrip("/")
