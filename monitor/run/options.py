"""Validates the arguments of `init`, so that it fails at once and with one clear line."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, Protocol, runtime_checkable

from monitor.captures import captures
from monitor.errors import LossError, SettingsError, suggestion
from monitor.journal.notices import LOGGER
from monitor.limits import MAX_ITEMS, MAX_NAME, label, members, shown, text
from monitor.roles import said_of
from monitor.stop_modes import EVERY, is_off, merged, stop_modes

Mode = Literal["auto", "embedded", "server", "offline", "disabled"]
Resume = Literal["never", "allow", "must"]
Ranks = Literal["first", "all"]
Capture = bool | Iterable[str] | Mapping[str, bool]
MODES: Final = ("auto", "embedded", "server", "offline", "disabled")
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")


@runtime_checkable
class HasDict(Protocol):
    """A configuration or a loss specification that can be converted to plain data."""

    def to_dict(self) -> dict[str, object]:
        """The object as plain data."""


def name_of(what: str, value: object) -> str:
    """A valid name of a project, a group or a run.

    Raises:
        SettingsError: it is not a string, is empty, or is too long.
    """
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(what, f"must be a name, got {shown(value)}", f'pass {what}="..."')
    if len(value.strip()) > MAX_NAME:
        raise SettingsError(what, f"has {len(value)} characters", f"use at most {MAX_NAME}")
    return label(value)


def one_of(what: str, value: str, known: Iterable[str]) -> str:
    """The value, if it is one of those allowed."""
    if value not in known:
        raise SettingsError(what, f"{value!r} is not known", f"use one of {', '.join(known)}")
    return value


def roles_of(settings: Mapping[str, str], **given: str | None) -> dict[str, str]:
    """The series that the user assigned to roles, in the form of a `run` event. Arguments override the settings."""
    named = {role: name for role, name in given.items() if name is not None}
    return said_of({**settings, **said_of(named, place="init.").to_dict()}).distinct().to_dict()


def stop_of(value: object, settings: Mapping[str, str]) -> dict[str, str]:
    """The stop mode of each rule. The argument overrides the settings, unless these say `off` for every rule.

    Raises:
        SettingsError: the argument is neither a mode nor a mapping of rules to modes.
    """
    try:
        given = stop_modes(value)
    except ValueError as error:
        problem, _, fix = str(error).partition("; ")
        raise SettingsError("stop", problem, fix) from None
    if set(given) - {EVERY}:
        from monitor.rules import RULE_NAMES
        from monitor.rules.registry import spec_of

        if wrong := next((rule for rule in given if rule != EVERY and spec_of(rule) is None), None):
            raise SettingsError("stop", f"{wrong!r} is not a rule", suggestion(wrong, RULE_NAMES, "name one"))
    return dict(settings) if is_off(settings) else merged(settings, given)


def steps_of(value: object) -> int | None:
    """The planned number of steps.

    Raises:
        SettingsError: it is not a whole number >= 1.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingsError("planned_steps", f"must be a whole number, got {shown(value)}", "pass planned_steps=10_000")
    return value


def run_id_of(value: object, resume: str) -> tuple[str, bool]:
    """The run's id, and whether the user chose it (by argument or `MONITOR_RUN_ID`).

    Raises:
        SettingsError: it is not 32 hex digits, or resume="must" comes without an id.
    """
    given = value if value is not None else os.environ.get("MONITOR_RUN_ID")
    if given is None:
        if resume == "must":
            raise SettingsError("run_id", 'resume="must" needs the run to resume', "pass run_id=...")
        if resume != "never":
            LOGGER.warning('resume="%s" without run_id starts a new run; pass run_id= to continue one', resume)
        return uuid.uuid4().hex, False
    text = str(given).replace("-", "").lower()
    if not _RUN_ID.fullmatch(text):
        raise SettingsError("run_id", f"{given!r} is not a run id", "pass 32 hex digits, such as uuid.uuid4().hex")
    return text, True


def config_of(value: object) -> Mapping[object, object]:
    """A configuration (a mapping, a dataclass, a namespace, or an object with `to_dict`) as a mapping.

    Keys and values are still of any type; `limits.document` makes them storable.
    """
    try:
        plain = _members(value)
    except Exception as error:  # a user's object may raise anything
        raise SettingsError("config", f"cannot be read: {text(error)}", "pass config={...}") from error
    if not isinstance(plain, Mapping):
        raise SettingsError("config", f"must be a mapping, got {type(value).__name__}", "pass config={...}")
    return plain


def _members(value: object) -> object:
    if value is None:
        return {}
    found = value if isinstance(value, Mapping) else members(value)
    if isinstance(found, Mapping):
        return found
    return vars(value) if hasattr(value, "__dict__") and not callable(value) else value


def tags_of(value: object) -> Mapping[object, object]:
    """Tags as a mapping; a list of words becomes tags without values."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return {text(item): "" for item in islice(value, MAX_ITEMS)}
    raise SettingsError("tags", f"must be a mapping or a list, got {shown(value)}", 'pass tags={"model": "resnet"}')


def loss_of(value: object) -> Mapping[str, object] | Mapping[object, object] | None:
    """The loss as a mapping.

    Args:
        value: a string, parsed by `losses.parse` or else taken as a name; a mapping; an object with `to_dict`; a
            module, class or function of torch, whose settings are read; or any callable, whose name is used.

    Raises:
        LossError: a string with parameters that the loss does not have.
    """
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
        raise SettingsError(
            "loss", f"got {shown(value)}", "pass a name, a mapping, the loss itself, or a specification"
        )
    return value


def _loss_by_name(text: str) -> dict[str, object]:
    from monitor import losses

    try:
        return dict(losses.parse(text).to_dict())
    except LossError:
        if "(" in text:
            raise
        near = losses.nearest_kind(text)
        LOGGER.warning(
            "loss=%r is not a known loss, so its levels are not checked; %s", text,
            f"did you mean {near!r}?" if near else f"if it is your own, pass losses.Custom({text!r}, floor=0.0)",
        )  # fmt: skip
        return {"name": text}


def capture_of(value: object) -> tuple[str, ...]:
    """What to record of the environment, as names."""
    try:
        return captures(value)
    except ValueError as error:
        raise SettingsError("capture", str(error), 'pass capture=False, or capture={"git": False}') from None


@dataclass(frozen=True, slots=True)
class Rank:
    """The rank of this process in a distributed job."""

    number: int = 0
    of: int = 1


def rank_of(environment: Mapping[str, str]) -> Rank:
    """The rank from the environment variables of `torchrun` and its like; 0 of 1 if there are none."""
    for name in ("RANK", "LOCAL_RANK"):
        text = environment.get(name, "")
        if text.isdecimal():
            world = environment.get("WORLD_SIZE", "")
            return Rank(int(text), int(world) if world.isdecimal() else int(text) + 1)
    return Rank()
