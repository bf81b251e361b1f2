"""Events of a batch, checked before anything is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from monitor.domain import RunStatus, Severity
from monitor.errors import WireError
from monitor.wire import Batch, Event, jsonable

RESUME: Final = ("never", "allow", "must")
ENDS: Final = (RunStatus.FINISHED, RunStatus.STOPPED, RunStatus.FAILED)
_NAME: Final = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """What a `run` event says; None where it says nothing."""

    project: str
    name: str | None
    group: str | None
    config: Mapping[str, object]
    tags: Mapping[str, str]
    loss: Mapping[str, object] | None
    resume: str
    heartbeat_s: float | None
    join: bool


def checked(batch: Batch) -> Batch:
    """The batch with its events' data as the store takes it.

    Raises:
        WireError: an event lacks a field, or one has a value that cannot be used; `field` names it.
    """
    return replace(batch, events=tuple(_event(i, event) for i, event in enumerate(batch.events)))


def run_event(data: Mapping[str, object], place: str = "events[0].data") -> RunEvent:
    """Read the data of a `run` event.

    Raises:
        WireError: a field has a value that cannot be used.
    """
    resume = data.get("resume") or "never"
    if resume not in RESUME:
        raise WireError(f"{place}.resume", f"must be one of {', '.join(RESUME)}, got {resume!r}")
    loss = data.get("loss")
    return RunEvent(
        project=_name(data, "project", place) or "default",
        name=_name(data, "name", place),
        group=_name(data, "group", place),
        config=_mapping(data.get("config"), f"{place}.config"),
        tags=_tags(data.get("tags"), f"{place}.tags"),
        loss=None if loss is None else _mapping(loss, f"{place}.loss"),
        resume=str(resume),
        heartbeat_s=_number(data.get("heartbeat_s"), f"{place}.heartbeat_s"),
        join=bool(data.get("join")),
    )


def tags_of(data: Mapping[str, object], place: str = "tags") -> Mapping[str, str]:
    """The tags of a `tags` event: all of its data, or what is under `tags`."""
    inner = data.get("tags")
    return _tags(inner if isinstance(inner, Mapping) else data, place)


def config_of(data: Mapping[str, object]) -> Mapping[str, object]:
    """The configuration of a `config` event: all of its data, or what is under `config`."""
    inner = data.get("config")
    return inner if isinstance(inner, Mapping) else data


def text(value: object) -> str:
    """A text as both databases take it: no NUL, no half of a surrogate pair."""
    found = str(value).replace("\0", "\ufffd")
    return found if found.isascii() else found.encode("utf-8", "replace").decode("utf-8")


def _event(i: int, event: Event) -> Event:
    place = f"events[{i}].data"
    data = jsonable(event.data)
    assert isinstance(data, dict)
    check = _CHECKS.get(event.kind)
    return replace(event, data=data if check is None else {**data, **check(data, place)})


def _check_run(data: Mapping[str, object], place: str) -> dict[str, object]:
    run_event(data, place)
    return {}


def _check_loss(data: Mapping[str, object], place: str) -> dict[str, object]:
    if not isinstance(data.get("loss"), Mapping):
        raise WireError(f"{place}.loss", f"must be an object, got {type(data.get('loss')).__name__}")
    return {}


def _check_tags(data: Mapping[str, object], place: str) -> dict[str, object]:
    tags_of(data, place)
    return {}


def _check_checkpoint(data: Mapping[str, object], place: str) -> dict[str, object]:
    path = data.get("path")
    if not isinstance(path, str) or not path:
        raise WireError(f"{place}.path", f"must be a path, got {path!r}")
    return {"step": _step(data.get("step"), f"{place}.step"), "path": text(path)}


def _check_finish(data: Mapping[str, object], place: str) -> dict[str, object]:
    status = data.get("status") or "finished"
    if status not in ENDS:
        raise WireError(f"{place}.status", f"must be one of {', '.join(ENDS)}, got {status!r}")
    error = data.get("error")
    return {"status": str(status), "error": None if error is None else text(error)[:2000]}


def _check_warning(data: Mapping[str, object], place: str) -> dict[str, object]:
    name, count = data.get("name"), data.get("count", 1)
    if not isinstance(name, str) or not name:
        raise WireError(f"{place}.name", f"must be the name of a counter, got {name!r}")
    return {"name": text(name)[:_NAME], "count": _step(count, f"{place}.count")}


def _check_alert(data: Mapping[str, object], place: str) -> dict[str, object]:
    title, severity = data.get("title"), data.get("severity") or "warning"
    if not isinstance(title, str) or not title.strip():
        raise WireError(f"{place}.title", f"must be a line of text, got {title!r}")
    if severity not in tuple(Severity):
        raise WireError(f"{place}.severity", f"must be one of {', '.join(Severity)}, got {severity!r}")
    return {"title": text(title), "body": text(data.get("body") or ""), "severity": str(severity)}


def _check_weights(data: Mapping[str, object], place: str) -> dict[str, object]:
    step, weights = data.get("step"), data.get("weights")
    if isinstance(step, bool) or not isinstance(step, int | float):
        raise WireError(f"{place}.step", f"must be a number, got {step!r}")
    found = _mapping(weights, f"{place}.weights")
    for name, weight in found.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise WireError(f"{place}.weights.{name:.40}", f"must be a finite number, got {weight!r}")
    return {"step": step, "weights": {text(name): float(str(weight)) for name, weight in found.items()}}


_CHECKS: Final[Mapping[str, Callable[[Mapping[str, object], str], dict[str, object]]]] = {
    "run": _check_run,
    "tags": _check_tags,
    "loss": _check_loss,
    "checkpoint": _check_checkpoint,
    "finish": _check_finish,
    "warning": _check_warning,
    "alert": _check_alert,
    "weights": _check_weights,
}


def _name(data: Mapping[str, object], field: str, place: str) -> str | None:
    value = data.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise WireError(f"{place}.{field}", f"must be a string, got {value!r}")
    if len(value) > _NAME:
        raise WireError(f"{place}.{field}", f"is {len(value)} characters long, at most {_NAME} are kept")
    return text(value)


def _mapping(value: object, place: str) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise WireError(place, f"must be an object, got {type(value).__name__}")
    return value


def _tags(value: object, place: str) -> Mapping[str, str]:
    if isinstance(value, list):
        value = dict.fromkeys((str(tag) for tag in value), "")
    found = {}
    for name, tag in _mapping(value, place).items():
        if not name or len(name) > _NAME:
            raise WireError(f"{place}.{name:.40}", f"must be a name of 1 to {_NAME} characters")
        found[text(name)] = "" if tag is None else text(tag)
    return found


def _number(value: object, place: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise WireError(place, f"must be a positive number of seconds, got {value!r}")
    return float(value)


def _step(value: object, place: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise WireError(place, f"must be a whole number, got {value!r}")
    return value
