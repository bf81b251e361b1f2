"""Checks what `init` is given, so that it fails at once and with one clear line."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Final, Literal, Protocol, runtime_checkable
from urllib.parse import urlsplit

from monitor.captures import captures
from monitor.client import address
from monitor.errors import LossError, SettingsError

Mode = Literal["auto", "embedded", "server", "offline", "disabled"]
Resume = Literal["never", "allow", "must"]
Ranks = Literal["first", "all"]
Capture = bool | Iterable[str] | Mapping[str, bool]
MODES: Final = ("auto", "embedded", "server", "offline", "disabled")
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
_MOST: Final = 250


@runtime_checkable
class HasDict(Protocol):
    """A configuration or a loss specification that can say what it is."""

    def to_dict(self) -> dict[str, object]:
        """The object as plain data."""
        ...


def name_of(what: str, value: object) -> str:
    """A project's, group's or run's name.

    Raises:
        SettingsError: it is no text, is empty, or is too long.
    """
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(what, f"must be a name, got {value!r}", f'pass {what}="..."')
    if len(value) > _MOST or "\0" in value:
        raise SettingsError(what, f"has {len(value)} characters", f"use at most {_MOST}")
    return value.strip()


def one_of(what: str, value: str, known: Iterable[str]) -> str:
    """A value out of a few.

    Raises:
        SettingsError: it is none of them.
    """
    if value not in known:
        raise SettingsError(what, f"{value!r} is not known", f"use one of {', '.join(known)}")
    return value


def run_id_of(value: object, resume: str) -> tuple[str, bool]:
    """The run's id and whether it was given; `MONITOR_RUN_ID` gives one as well.

    Raises:
        SettingsError: it is not 32 hex digits, or resume="must" has none to resume.
    """
    given = value if value is not None else os.environ.get("MONITOR_RUN_ID")
    if given is None:
        if resume == "must":
            raise SettingsError("run_id", 'resume="must" needs the run to resume', "pass run_id=...")
        return uuid.uuid4().hex, False
    text = str(given).replace("-", "").lower()
    if not _RUN_ID.fullmatch(text):
        raise SettingsError("run_id", f"{given!r} is no run id", "pass 32 hex digits, such as uuid.uuid4().hex")
    return text, True


def config_of(value: object) -> dict[str, object]:
    """A configuration as strict JSON data: a mapping, a dataclass, a namespace, or what has `to_dict`.

    Raises:
        SettingsError: it is none of these.
    """
    from monitor.wire import jsonable

    plain: object = value
    if value is None:
        plain = {}
    elif is_dataclass(value) and not isinstance(value, type):
        plain = asdict(value)
    elif not isinstance(value, Mapping):
        if isinstance(value, HasDict):
            plain = value.to_dict()
        elif hasattr(value, "__dict__") and not callable(value):
            plain = vars(value)
    if not isinstance(plain, Mapping):
        raise SettingsError("config", f"must be a mapping, got {type(value).__name__}", "pass config={...}")
    return {str(key): jsonable(item) for key, item in plain.items()}


def tags_of(value: object) -> dict[str, str]:
    """Tags as a mapping; a list of words is taken as tags without values.

    Raises:
        SettingsError: it is neither.
    """
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {str(key): str(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return {str(item): "" for item in value}
    raise SettingsError("tags", f"must be a mapping or a list, got {value!r}", 'pass tags={"model": "resnet"}')


def loss_of(value: object) -> dict[str, object] | None:
    """What is known of the loss, as strict JSON data.

    Args:
        value: a string, which is read as `losses.parse` does, or is the loss's name; a mapping; what has `to_dict`; a
            module, class or function of torch, whose settings are read; or any callable, whose name is taken.

    Raises:
        SettingsError: it is none of these.
        LossError: a string that names parameters which the loss does not have.
    """
    from monitor.wire import jsonable

    if value is None:
        return None
    if isinstance(value, str):
        return _loss_by_name(name_of("loss", value))
    if not isinstance(value, Mapping) and isinstance(value, HasDict) and not isinstance(value, type):
        value = value.to_dict()
    elif callable(value):
        from monitor import losses

        value = losses.from_torch(value).to_dict()
    if not isinstance(value, Mapping):
        raise SettingsError("loss", f"got {value!r:.80}", "pass a name, a mapping, the loss itself, or a specification")
    return {str(key): jsonable(item) for key, item in value.items()}


def _loss_by_name(text: str) -> dict[str, object]:
    from monitor import losses

    try:
        return dict(losses.parse(text).to_dict())
    except LossError:
        if "(" in text:
            raise
        return {"name": text}  # a loss of the user's own


def capture_of(value: object) -> tuple[str, ...]:
    """What to record of the surroundings.

    Raises:
        SettingsError: it names what is no capture.
    """
    try:
        return captures(value)
    except ValueError as error:
        raise SettingsError("capture", str(error), 'pass capture=False, or capture={"git": False}') from None


def server_of(value: str | None) -> str | None:
    """A server's address, None where none is given.

    Raises:
        SettingsError: it is no address.
    """
    if value is None:
        return None
    try:
        reachable = re.match(r"https?://[^/\s]+", value) and urlsplit(value).port != 0
    except ValueError:  # the port is no number that a port can have
        reachable = False
    if not reachable:
        raise SettingsError("server", f"{address.shown(value)!r} is no address", "write it as http://host:8470")
    return value.rstrip("/")


@dataclass(frozen=True, slots=True)
class Rank:
    """Where this process stands among those of one training job."""

    number: int = 0
    of: int = 1


def rank_of(environment: Mapping[str, str]) -> Rank:
    """The rank that `torchrun` and its like put into the environment; 0 of 1 where there is none."""
    for name in ("RANK", "LOCAL_RANK"):
        text = environment.get(name, "")
        if text.isdigit():
            world = environment.get("WORLD_SIZE", "")
            return Rank(int(text), int(world) if world.isdigit() else int(text) + 1)
    return Rank()
