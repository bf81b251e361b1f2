"""Reads the description of a channel from `monitor.toml` or the API: strictly, and shown without secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from monitor.alerts.channels import AppriseChannel, Channel
from monitor.alerts.guard import Private
from monitor.alerts.routes import Quiet, Route
from monitor.alerts.webhook import WebhookChannel
from monitor.domain import Severity, check_channel_name
from monitor.errors import SettingsError, suggestion

KEYS: Final = (
    "url", "url_env", "secret", "secret_env", "projects", "level", "finished", "resolved", "quiet", "digest",
    "only_digest", "zone",
)  # fmt: skip
SECRETS: Final = ("url", "secret")
"""Keys that are stored encrypted and never shown."""
_CRON: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS: Final = ["-", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS: Final = ["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"]
"""Indexed by cron's day numbers: Sunday is 0 and 7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The description of a channel.

    Attributes:
        settings: the part that may be shown, as written.
        url, secret: never shown; `secret` makes it a signed webhook.
        stored: whether it was added through the API.
    """

    name: str
    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    route: Route
    settings: Mapping[str, object]
    stored: bool = False

    def open(self, private: Private) -> Channel:
        """Open the channel."""
        if self.secret is not None:
            return WebhookChannel(self.url, self.secret, name=self.name, private=private, route=self.route)
        try:
            trusted = not self.stored
            return AppriseChannel(self.url, name=self.name, private=private, route=self.route, trusted=trusted)
        except SettingsError as error:
            problem, _, fix = str(error).removeprefix("setting alert_urls: ").partition("; ")
            if self.url.startswith(("http://", "https://")):
                fix = "give a secret too, for a signed webhook; or write json:// or jsons://"
            raise SettingsError(f"channels.{self.name}.url", problem, fix) from None


def read(name: str, data: object, *, stored: bool = False) -> Spec:
    """Read a channel's table.

    Args:
        data: `url` or `url_env`, optionally `secret` or `secret_env`, and the route.
        stored: whether it was added through the API, which may not read the server's environment.

    Raises:
        SettingsError: names the key, and what to write.
    """
    place = f"channels.{name}"
    check_channel_name(name)
    if not isinstance(data, Mapping):
        raise SettingsError(place, "is not a table", f'write [channels.{name}] and under it url = "…"')
    for key in data:
        if key not in KEYS:
            raise SettingsError(f"{place}.{key}", "is not known", suggestion(str(key), KEYS))
    url, secret = _secret(place, data, "url", stored), _secret(place, data, "secret", stored)
    if url is None:
        raise SettingsError(place, "has no url", "give url, or url_env with the name of a variable that holds it")
    shown = {str(key): value for key, value in data.items() if key not in SECRETS}
    return Spec(name=name, url=url, secret=secret, route=_route(place, data), settings=shown, stored=stored)


def _secret(place: str, data: Mapping[str, object], key: str, stored: bool) -> str | None:
    value, variable = data.get(key), data.get(f"{key}_env")
    if variable is not None:
        if stored:
            raise SettingsError(f"{place}.{key}_env", "is for monitor.toml", f"give {key} itself; it is encrypted")
        value = os.environ.get(str(variable))
        if value is None:
            raise SettingsError(f"{place}.{key}_env", f"{variable} is not set", "export it before the server starts")
    if value is not None and (not isinstance(value, str) or not value.strip() or len(value) > 4000):
        raise SettingsError(f"{place}.{key}", "is not a text", "write it in quotes")
    return value.strip() if isinstance(value, str) else None


def _route(place: str, data: Mapping[str, object]) -> Route:
    projects = data.get("projects", ["*"])
    if not isinstance(projects, list | tuple) or not projects or not all(isinstance(each, str) for each in projects):
        raise SettingsError(f"{place}.projects", "is not a list of names", 'write projects = ["digits", "vision-*"]')
    level = data.get("level", "info")
    if level not in tuple(Severity):
        raise SettingsError(f"{place}.level", f"got {level!r:.40}", "write critical, warning or info")
    flags = {}
    for key, otherwise in (("finished", False), ("resolved", None), ("only_digest", False)):
        flags[key] = data.get(key, otherwise)
        if not isinstance(flags[key], bool) and flags[key] is not otherwise:
            raise SettingsError(f"{place}.{key}", f"got {flags[key]!r:.40}", "write true or false")
    if flags["only_digest"] and data.get("digest") is None:
        raise SettingsError(f"{place}.only_digest", "has no digest", 'write digest = "0 8 * * *" too')
    quiet = data.get("quiet")
    try:
        hours = None if quiet is None else Quiet.parse(str(quiet))
    except SettingsError as error:
        raise SettingsError(f"{place}.quiet", *str(error).removeprefix("setting quiet: ").split("; ", 1)) from None
    return Route(
        projects=tuple(projects),
        level=Severity(str(level)),
        finished=bool(flags["finished"]),
        resolved=None if flags["resolved"] is None else bool(flags["resolved"]),
        only_digest=bool(flags["only_digest"]),
        quiet=hours,
        digest=_digest(place, data.get("digest")),
        zone=_zone(place, data.get("zone")),
    )


def _zone(place: str, name: object) -> tzinfo:
    if name is None:
        return UTC
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(f"{place}.zone", f"{name!r:.60} is not a time zone", 'write "Europe/Berlin"') from None


def _digest(place: str, text: object) -> str | None:
    if text is None:
        return None
    fields = str(text).lower().split()
    if len(fields) != 5 or not all(_numbers(each, i) for i, each in enumerate(fields)):
        fix = 'write five fields of cron, such as "0 8 * * *" for every day at eight, or "0 8 * * mon"'
        raise SettingsError(f"{place}.digest", f"{str(text)!r:.60} is not a time of cron", fix)
    if fields[4] != "*":  # the scheduler counts the days of the week from another one
        fields[4] = ",".join(sorted({_DAYS[day] for day in _numbers(fields[4], 4)}, key=_DAYS[1:].index))
    return " ".join(fields)


def _numbers(text: str, place: int) -> list[int]:
    """The numbers that a cron field stands for; empty if it is malformed.

    >>> _numbers("1-5", 4), _numbers("fri-sun,*/3", 4), _numbers("5-1", 4), _numbers("9-17/4", 1)
    ([1, 2, 3, 4, 5], [5, 6, 7, 0, 3, 6], [], [9, 13, 17])
    """
    low, high = _CRON[place]
    names = {3: _MONTHS, 4: _DAYS}.get(place, [])
    found: list[int] = []
    for part in text.split(","):
        span, slash, every = part.partition("/")
        if slash and not (every.isdecimal() and int(every) > 0):
            return []
        ends = [str(low), str(min(high, 6) if place == 4 else high)] if span == "*" else span.split("-")
        known = [names.index(end) if end in names[low:] else int(end) if end.isdecimal() else -1 for end in ends]
        if len(known) == 2 and ends[1] == "sun":
            known[1] = 7
        if len(known) > 2 or not all(low <= end <= high for end in known) or known[0] > known[-1]:
            return []
        last = high if slash and len(known) == 1 else known[-1]
        found += range(known[0], last + 1, int(every or 1))
    return found
