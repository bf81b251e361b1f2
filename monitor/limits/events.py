"""Validates the data of events by kind: turns any input into what the store accepts."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

from monitor.domain import RunStatus, Severity
from monitor.errors import SettingsError
from monitor.limits.bounds import (
    MAX_BODY,
    MAX_ERROR,
    MAX_ITEMS,
    MAX_NAME,
    MAX_PATH,
    MAX_RECORD,
    MAX_TAG,
    MAX_TAGS,
    MAX_TEXT,
    MAX_TITLE,
    MAX_WEIGHTS,
)
from monitor.limits.documents import document
from monitor.limits.media import FIELDS, media
from monitor.limits.numbers import step
from monitor.limits.texts import Note, cut, label, line, shown, text
from monitor.roles import said_of
from monitor.stop_modes import stop_modes

Data = Mapping[object, object]

_ROLES: Final = ("train", "val", "goal")
_RESUME: Final = ("never", "allow", "must")
_ENDS: Final = (str(RunStatus.FINISHED), str(RunStatus.STOPPED), str(RunStatus.FAILED))
_COUNTER: Final = 64
"""Most characters in a counter's name."""
_HEARTBEAT_S: Final = 1e9
_STRANGE: Final = 10
"""Most unknown fields of one event that are reported."""


def valid(kind: str, data: object, note: Note) -> dict[str, object] | None:
    """An event's data in valid form; None if nothing of it can be used. Valid data is returned unchanged.

    Args:
        kind: one of `EVENT_KINDS`.
        data: a mapping; its values may be of any type.
        note: called with what was corrected, cut or dropped.

    >>> valid("alert", {"title": " ", "body": "look", "severity": "bad"}, lambda *told: print(*told[:2]))
    mended alert.title
    mended alert.severity
    {'title': 'look', 'body': 'look', 'severity': 'warning'}
    """
    made = _KINDS.get(kind)
    if made is None:
        note("dropped", "event", f"{shown(kind)} is not a kind of event", 1)
        return None
    if not isinstance(data, Mapping):
        note("dropped", kind, f"{shown(data)} is not a mapping", 1)
        return None
    make, fields = made
    try:
        for name in islice((name for name in data if fields and name not in fields), _STRANGE):
            note("dropped", f"{kind}.{label(name)}", "is not one of its fields", 1)
        return make(data, note)
    except Exception as error:  # a user's mapping may raise anything
        note("dropped", kind, text(error), 1)
        return None


def _run(data: Data, note: Note) -> dict[str, object]:
    loss = data.get("loss")
    return {
        "project": _name(data, "project", note) or "default",
        "name": _name(data, "name", note),
        "group": _name(data, "group", note),
        "config": _document(data.get("config"), "config", note),
        "tags": _tags(data.get("tags"), note),
        "loss": None if loss is None else _document(loss, "loss", note),
        "resume": _one_of(data.get("resume"), _RESUME, "never", "run.resume", note),
        "heartbeat_s": _seconds(data.get("heartbeat_s"), note),
        "join": bool(data.get("join")),
        "roles": _roles(data.get("roles"), note),
        "stop": _modes(data.get("stop"), note),
        "planned_steps": _steps(data.get("planned_steps"), note),
    }


def _roles(value: object, note: Note) -> dict[str, str] | None:
    """Role -> the series that the user assigned to it."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        note("dropped", "roles", f"{shown(value)} is not a mapping", 1)
        return None
    found = {}
    for role, name in islice(value.items(), MAX_ITEMS):
        try:
            said_of({role: name})
        except SettingsError:
            usable = False
        else:
            usable = role in _ROLES and name is not None
        if usable:
            found[str(role)] = line(name, MAX_NAME, f"roles.{role}", note)
        else:
            note("dropped", f"roles.{label(role)}", f"{shown(name)}; train, val and goal name a series", 1)
    return found


def _modes(value: object, note: Note) -> dict[str, str] | None:
    """The stop modes that the loop was started with."""
    try:
        found = stop_modes(value)
    except ValueError as error:
        note("dropped", "stop", text(error), 1)
        return None
    return {label(rule): mode for rule, mode in islice(found.items(), MAX_ITEMS)} or None


def _steps(value: object, note: Note) -> int | None:
    """A number of steps, >= 1."""
    if value is None:
        return None
    found = step(value, note, "planned_steps") if isinstance(value, int | float) else None
    if found is None or found < 1:
        note("dropped", "planned_steps", f"{shown(value)}; give a whole number of at least 1", 1)
        return None
    return found


def _stop(data: Data, note: Note) -> dict[str, object]:
    """The loop reports that it received a stop."""
    request = data.get("request")
    number = request if isinstance(request, int) and not isinstance(request, bool) and 0 < request < 2**31 else None
    return {"request": number, "step": _step(data, "stop", note)}


def _config(data: Data, note: Note) -> dict[str, object]:
    inner = data.get("config")
    return {"config": _document(inner if isinstance(inner, Mapping) else data, "config", note)}


def _tags_event(data: Data, note: Note) -> dict[str, object] | None:
    inner = data.get("tags")
    found = _tags(inner if isinstance(inner, Mapping | list) else data, note)
    return {"tags": found} if found else None


def _loss(data: Data, note: Note) -> dict[str, object] | None:
    inner = data.get("loss")
    if not isinstance(inner, Mapping):
        note("dropped", "loss", f"{shown(inner)} is not a mapping", 1)
        return None
    return {"loss": _document(inner, "loss", note)}


def _capture(data: Data, note: Note) -> dict[str, object]:
    return _document(data, "capture", note)


def _checkpoint(data: Data, note: Note) -> dict[str, object] | None:
    path, deleted = data.get("path"), data.get("deleted") is True
    number = None if deleted else step(data.get("step"), note, "checkpoint.step")
    try:
        path = os.fspath(path)  # type: ignore[call-overload]  # raises for anything that is not a path
    except Exception:  # a user's type may raise anything
        path = "" if path is None else path
    found = line(path, MAX_PATH, "checkpoint.path", note)
    if (number is None and not deleted) or not found.strip():
        note("dropped", "checkpoint", f"step {shown(data.get('step'))}, path {shown(path)}", 1)
        return None
    return {"path": found, "deleted": True} if deleted else {"step": number, "path": found}


def _finish(data: Data, note: Note) -> dict[str, object]:
    status = data.get("status")
    known = isinstance(status, str) and status in _ENDS
    if not known and status not in (None, ""):
        note("status", text(status), "is not a valid final status; using 'finished'", 1)
    found: dict[str, object] = {"status": str(status) if known else _ENDS[0]}
    code = data.get("exit_code")
    if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 2**31:
        found["exit_code"] = code
    for name in ("error", "reason"):
        value = data.get(name)
        if value is not None:
            found[name] = line(value, MAX_ERROR, f"finish.{name}", note)
        elif name == "error":
            found[name] = None
    return found


def _warning(data: Data, _: Note) -> dict[str, object] | None:
    """Warnings are cut silently: a warning about a warning would never end."""
    name, count = label(data.get("name") or ""), data.get("count", 1)
    if not name:
        return None
    number = count if isinstance(count, int) and not isinstance(count, bool) else 1
    found: dict[str, object] = {"name": cut(name, _COUNTER), "count": min(max(number, 0), MAX_RECORD)}
    if "key" in data:
        found["key"] = label(data["key"])
    if "example" in data:
        found["example"] = cut(text(data["example"]), MAX_NAME)
    return found


def _alert(data: Data, note: Note) -> dict[str, object]:
    body = _line(data, "alert", "body", MAX_BODY, note)
    title = _line(data, "alert", "title", MAX_TITLE, note)
    if not title.strip():
        title = cut(next((row.strip() for row in body.splitlines() if row.strip()), "(no title)"), MAX_TITLE)
        note("mended", "alert.title", shown(data.get("title")), 1)
    severity = _one_of(data.get("severity"), tuple(map(str, Severity)), str(Severity.WARNING), "alert.severity", note)
    return {"title": title, "body": body, "severity": severity}


def _weights(data: Data, note: Note) -> dict[str, object] | None:
    given, number = data.get("weights"), step(data.get("step"), note, "weights.step")
    if not isinstance(given, Mapping) or number is None:
        note("dropped", "weights", f"step {shown(data.get('step'))}, weights {shown(given)}", 1)
        return None
    kept: dict[str, float] = {}
    for name, weight in islice(given.items(), MAX_WEIGHTS):
        found = _finite(weight)
        if found is None:
            note("dropped", f"weights.{label(name)}", shown(weight), 1)
        else:
            kept[label(name)] = found
    if len(given) > MAX_WEIGHTS:
        note("dropped", "weights", f"{len(given)} weights, {MAX_WEIGHTS} are kept", len(given) - MAX_WEIGHTS)
    return {"step": number, "weights": kept}


def _examples(data: Data, note: Note) -> dict[str, object] | None:
    """A summary of per-example losses. If `losses.examples` did not make it, it is dropped as a whole."""
    number = step(data.get("step"), note, "examples.step")
    found = {name: _finite(data.get(name)) for name in (*_COUNTS, *_SHARES)}
    quantiles, top, suspects = (_list(data.get(name)) for name in ("quantiles", "top", "suspects"))
    levels = [level for value in quantiles if (level := _finite(value)) is not None]
    largest = [[cut(text(each[0]), _COUNTER), value] for each in map(_list, top[:_TOP])
               if len(each) == 2 and (value := _finite(each[1])) is not None]  # fmt: skip
    needed = all(value is not None or name == "gradient_share" for name, value in found.items())
    if number is None or not needed or len(levels) != _QUANTILES or not largest:
        note("dropped", "examples", "not a summary of examples' losses", 1)
        return None
    return {
        "split": cut(label(data.get("split") or "train"), _COUNTER),
        "step": number,
        **{name: min(max(int(found[name] or 0), 0), MAX_RECORD) for name in _COUNTS},
        **{name: found[name] for name in _SHARES},
        "quantiles": levels,
        "top": largest,
        "suspects": [cut(text(name), _COUNTER) for name in suspects[:_SUSPECTS]],
    }


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _output(data: Data, note: Note) -> dict[str, object] | None:
    """A piece of what a training printed. Control codes are part of it and stay."""
    found = _line(data, "output", "text", MAX_TEXT, note)
    if not found:
        note("dropped", "output", shown(data.get("text")), 1)
        return None
    return {
        "stream": _one_of(data.get("stream"), _STREAMS, _STREAMS[0], "output.stream", note),
        "step": _step(data, "output", note),
        "text": found,
    }


_COUNTS: Final = ("n", "suspect_count", "beyond", "not_finite")
_SHARES: Final = ("mean", "top_share", "gradient_share", "suspect_share")
_QUANTILES: Final = 6
_TOP: Final = 10
_SUSPECTS: Final = 200
_STREAMS: Final = ("text", "stdout", "stderr")
_RUN: Final = (
    "project", "name", "group", "config", "tags", "loss", "resume", "heartbeat_s", "join", "roles", "stop",
    "planned_steps",
)  # fmt: skip
_KINDS: Final[Mapping[str, tuple[Callable[[Data, Note], dict[str, object] | None], tuple[str, ...]]]] = {
    "run": (_run, _RUN),
    "config": (_config, ()),
    "tags": (_tags_event, ()),
    "loss": (_loss, ("loss",)),
    "capture": (_capture, ()),
    "checkpoint": (_checkpoint, ("step", "path", "deleted")),
    "finish": (_finish, ("status", "error", "reason", "exit_code")),
    "stop": (_stop, ("request", "step")),
    "warning": (_warning, ("name", "key", "count", "example")),
    "alert": (_alert, ("title", "body", "severity")),
    "weights": (_weights, ("step", "weights")),
    "examples": (_examples, ("split", "step", *_COUNTS, *_SHARES, "quantiles", "top", "suspects")),
    "output": (_output, ("stream", "step", "text")),
    "media": (media, FIELDS),
}
"""Event kind -> (function that validates its data, its fields). No fields: the data itself is the content."""
EVENT_KINDS: Final = frozenset(_KINDS)


def _name(data: Data, field: str, note: Note) -> str | None:
    value = data.get(field)
    if value is None or value == "":
        return None
    found = label(value)
    if found != value:
        note("renamed", found, shown(value), 1)
    return found or None


def _line(data: Data, kind: str, field: str, most: int, note: Note) -> str:
    value = data.get(field)
    return "" if value is None else line(value, most, f"{kind}.{field}", note)


def _step(data: Data, kind: str, note: Note) -> int | None:
    at = data.get("step")
    return None if at is None else step(at, note, f"{kind}.step")


def _document(value: object, what: str, note: Note) -> dict[str, object]:
    if isinstance(value, Mapping):
        return document(value, note, what)
    if value is not None:
        note("dropped", what, f"{shown(value)} is not a mapping", 1)
    return {}


def _tags(value: object, note: Note) -> dict[str, str]:
    if value is None:
        return {}
    try:
        pairs = value.items() if isinstance(value, Mapping) else [(tag, "") for tag in value]  # type: ignore[attr-defined]  # or it raises
        given = list(islice(pairs, MAX_ITEMS))
    except Exception:  # a user's mapping may raise anything
        note("dropped", "tags", f"{shown(value)} is not a mapping", 1)
        return {}
    kept: dict[str, str] = {}
    for name, tag in given:
        found = label(name)
        if not found or (len(kept) >= MAX_TAGS and found not in kept):
            note(
                "dropped",
                "tags",
                f"{shown(name)}; a run has {MAX_TAGS} tags at most" if found else "a tag without a name",
                1,
            )
            continue
        if found != name and isinstance(name, str):
            note("renamed", found, shown(name), 1)
        kept[found] = "" if tag is None else line(tag, MAX_TAG, f"tag {found}", note)
    return kept


def _one_of(value: object, known: tuple[str, ...], default: str, what: str, note: Note) -> str:
    if isinstance(value, str) and value in known:
        return str(value)
    if value is not None and value != "":
        note("mended", what, f"{shown(value)}; {default} is taken", 1)
    return default


def _seconds(value: object, note: Note) -> float | None:
    found = _finite(value)
    if found is not None and 0 < found < _HEARTBEAT_S:
        return found
    if value is not None:
        note("dropped", "heartbeat_s", shown(value), 1)
    return None


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
