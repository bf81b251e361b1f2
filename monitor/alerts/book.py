"""All channels of a server: those of `MONITOR_ALERT_URLS`, of `monitor.toml`, and those added through the API."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monitor.alerts.channels import Channel, key_of, open_urls
from monitor.alerts.messages import Message
from monitor.alerts.routes import Route
from monitor.alerts.specs import SECRETS, read
from monitor.domain import Caller, Severity
from monitor.errors import AlertNotFound, DeliveryFailed, SettingsError
from monitor.settings import Settings

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

    from monitor.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A channel of the book.

    Attributes:
        channel: None if it cannot be opened.
        settings: the part that may be shown.
        stored: whether it was added through the API, and can be removed there.
        problem: why it cannot be opened.
    """

    name: str
    channel: Channel | None
    settings: Mapping[str, object]
    stored: bool
    problem: str | None = None

    def wants(self, project: str) -> bool:
        """Whether it takes messages about a project."""
        route: Route = getattr(self.channel, "route", Route())
        return route.wants(project)

    def to_dict(self) -> dict[str, object]:
        """The channel as JSON data, without its secrets."""
        key = None if self.channel is None else key_of(self.channel)
        shown = {name: value for name, value in self.settings.items() if name not in SECRETS}
        return {"name": self.name, "key": key, "settings": shown, "stored": self.stored, "problem": self.problem}


def fixed_channels(settings: Settings) -> tuple[Entry, ...]:
    """The channels of the settings."""
    private = settings.alert_private
    urls = open_urls(settings.alert_urls, private=private)
    found = [Entry(name=channel.name, channel=channel, settings={}, stored=False) for channel in urls]
    for name, data in settings.channels.items():
        spec = read(str(name), data)
        found.append(Entry(name=spec.name, channel=spec.open(private), settings=spec.settings, stored=False))
    return tuple(found)


def open_channels(settings: Settings) -> tuple[Channel, ...]:
    """The channels of the settings, opened."""
    return tuple(entry.channel for entry in fixed_channels(settings) if entry.channel is not None)


class Book:
    """The channels by name.

    Args:
        settings: the URLs, the tables of channels, and the key of the secrets.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._opened: dict[str, tuple[object, Entry]] = {}

    def stored(self) -> tuple[Entry, ...]:
        """The channels added through the API, each opened once; one that cannot be opened says why."""
        rows = {name: (settings, sealed) for name, settings, sealed in self._store.channel_settings()}
        self._opened = {name: kept for name, kept in self._opened.items() if name in rows}
        for name, row in rows.items():
            if name not in self._opened or self._opened[name][0] != row:
                self._opened[name] = (row, self._open(name, *row))
        return tuple(entry for _, entry in self._opened.values())

    def all(self) -> tuple[Entry, ...]:
        """Every channel."""
        return (*fixed_channels(self._settings), *self.stored())

    def key_of(self, name: str) -> str:
        """The store's key of a channel.

        Raises:
            AlertNotFound: no channel that can be opened has this name.
        """
        found = next((each.channel for each in self.all() if each.name == name and each.channel is not None), None)
        if found is None:
            raise AlertNotFound(name, what="channel")
        return key_of(found)

    def add(self, name: str, data: Mapping[str, object], *, now_ms: int, by: Caller) -> Entry:
        """Add a channel, or change one that was added; its secrets are encrypted.

        Args:
            by: who does it, for the audit log, as below.

        Raises:
            SettingsError: the table cannot be used, no key is set, or a channel of the settings has that name.
        """
        spec = read(name, data, stored=True)
        if any(entry.name == name for entry in fixed_channels(self._settings)):
            raise SettingsError(
                f"channels.{name}", "is in the server's settings", "change it there, or take another name"
            )
        spec.open(self._settings.alert_private)
        secrets = {"url": spec.url, **({"secret": spec.secret} if spec.secret is not None else {})}
        self._store.save_channel(name, spec.settings, seal(self._settings.secret_key, secrets), now_ms=now_ms, by=by)
        return next(entry for entry in self.stored() if entry.name == name)

    def remove(self, name: str, *, now_ms: int, by: Caller) -> None:
        """Remove a channel that was added.

        Raises:
            AlertNotFound: no channel that was added has this name.
        """
        found = next((entry for entry in self.stored() if entry.name == name), None)
        if found is None:
            raise AlertNotFound(name, what="channel")
        elsewhere = {key_of(each.channel) for each in self.all() if each.channel is not None and each.name != name}
        key = None if found.channel is None else key_of(found.channel)
        self._store.remove_channel(name, None if key in elsewhere else key, now_ms=now_ms, by=by)

    def test(self, name: str, *, now_ms: int, by: Caller) -> None:
        """Send a channel a test message."""
        entry = next((entry for entry in self.all() if entry.name == name), None)
        if entry is None:
            raise AlertNotFound(name, what="channel")
        if entry.channel is None:
            raise DeliveryFailed(name, entry.problem or "it cannot be opened")
        self._store.note_channel_test(name, now_ms=now_ms, by=by)  # before it: what failed may have arrived
        entry.channel.send(_hello(name, now_ms))

    def _open(self, name: str, settings: Mapping[str, object], sealed: bytes) -> Entry:
        try:
            spec = read(name, {**settings, **unseal(self._settings.secret_key, sealed)}, stored=True)
            channel = spec.open(self._settings.alert_private)
            return Entry(name=name, channel=channel, settings=settings, stored=True)
        except SettingsError as error:
            problem = str(error)
            _log.error("channel %s cannot be used: %s", name, problem)
        return Entry(name=name, channel=None, settings=settings, stored=True, problem=problem)


def _hello(name: str, now_ms: int) -> Message:
    return Message(
        id=f"test-{now_ms}",
        run_id="",
        project="",
        run_name="",
        kind="test",
        state="firing",
        severity=Severity.INFO,
        title=f"A test of the channel {name}",
        body="It works: this is where alerts will arrive. Nothing needs to be done.",
        step=None,
        created_ms=now_ms,
        dedup_key=f":test:{name}",
    )


NEW_KEY: Final = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
"""Prints a new key."""


def seal(key: str | None, secrets: Mapping[str, str]) -> bytes:
    """Encrypt secrets.

    Raises:
        SettingsError: the key is missing or malformed.
    """
    return _fernet(key).encrypt(json.dumps(dict(secrets)).encode())


def unseal(key: str | None, sealed: bytes) -> dict[str, str]:
    """The secrets that `seal` encrypted.

    Raises:
        SettingsError: the key is missing or not the one they were encrypted with.
    """
    from cryptography.fernet import InvalidToken

    try:
        data = json.loads(_fernet(key).decrypt(sealed))
    except InvalidToken:
        problem = "is not the key that the channel was saved with"
        raise SettingsError("secret_key", problem, "set that one, or add the channel again") from None
    return {str(name): str(value) for name, value in data.items()}


def _fernet(key: str | None) -> Fernet:
    from cryptography.fernet import Fernet

    if key is None:
        raise SettingsError("secret_key", "is not set, and the channel's URL is a secret", f"make a key: {NEW_KEY}")
    try:
        return Fernet(key.strip().encode())
    except ValueError:
        raise SettingsError("secret_key", "is not 32 bytes in URL-safe base64", f"make a key: {NEW_KEY}") from None
