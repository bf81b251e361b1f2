"""Turns an HTTP response into a result or an error, also if something other than a monitor server answered."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Final

from monitor.errors import (
    AlertNotFound,
    BatchTooLarge,
    DeliveryFailed,
    Forbidden,
    MediaNotFound,
    MonitorError,
    OffsetGap,
    RulesChanged,
    RulesError,
    RunExists,
    RunNotFound,
    SeriesNotFound,
    ServerFailed,
    ServerUnreachable,
    SettingsError,
    StopRefused,
    StoreError,
    TokenNotFound,
    Unauthorized,
    WireError,
)

_NOT_OURS: Final = "it answers, but not as a monitor server does"
_TOO_LARGE: Final = re.compile(
    rb"(?:body|entity|payload|content|request|message|upload)[\w -]{0,24}\b(?:too (?:large|long|big)|exceed)"
    rb"|exceeds?\b[\w ]{0,40}\b(?:content|body|payload|request|upload)[\w ]{0,12}\b(?:length|size|limit)",
    re.IGNORECASE,
)
_OTHER_PART: Final = re.compile(rb"header|cookie|ur[il]", re.IGNORECASE)
_Remade = tuple[type[MonitorError], Mapping[str, type | UnionType]]
_STORE: Final[_Remade] = (StoreError, {})
_KNOWN: Final[Mapping[str, _Remade]] = {
    "alert-not-found": (AlertNotFound, {"ref": str, "what": str, "several": bool}),
    "delivery-failed": (DeliveryFailed, {"channel": str, "problem": str}),
    "forbidden": (Forbidden, {}),
    "media-not-found": (MediaNotFound, {"run_id": str, "media_id": int}),
    "offset-gap": (OffsetGap, {"run_id": str, "expected": int, "got": int}),
    "overloaded": _STORE,
    "rules-changed": (RulesChanged, {"project": str | None, "found": str}),
    "rules-error": (RulesError, {"place": str, "problem": str, "fix": str}),
    "run-exists": (RunExists, {"run_id": str}),
    "run-not-found": (RunNotFound, {"run_id": str, "several": str | None, "nearest": str | None}),
    "schema-mismatch": _STORE,
    "series-not-found": (SeriesNotFound, {"run_id": str, "key": str}),
    "settings-error": (SettingsError, {"name": str, "problem": str, "fix": str}),
    "stop-refused": (StopRefused, {"run_id": str}),
    "store-busy": _STORE,
    "store-error": _STORE,
    "token-not-found": (TokenNotFound, {"ref": str, "several": bool | None}),
}
"""Problem types -> the error that they are raised as, and the attributes that it gets from the problem's members."""
_OF_THE_MOMENT: Final = (401, 408, 425, 429, 502, 503, 504)
"""Status codes that describe the receiver's current state, whatever the body says."""


@contextlib.contextmanager
def understood(server: str) -> Iterator[None]:
    """Guard the parsing of a response. One that cannot be parsed comes from something other than a monitor server."""
    try:
        yield
    except MonitorError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        raise ServerUnreachable(server, _NOT_OURS) from None


def error_of(server: str, status: int, body: bytes) -> MonitorError:
    """The error for a refusal. Its body is `application/problem+json` if a monitor server sent it."""
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    detail = str(problem.get("detail") or f"HTTP {status}")
    kind = str(problem.get("type", "")).rpartition(":")[2]
    field = str(problem.get("field") or kind or "request")
    if kind in _KNOWN:
        error, members = _KNOWN[kind]
        found = {name: problem.get(name) for name in members}
        if all(isinstance(found[name], wanted) for name, wanted in members.items()):
            sent = {name: value for name, value in found.items() if value is not None or not hasattr(error, name)}
            return error.remade(detail, **sent)
        return ServerUnreachable(server, _NOT_OURS)
    if status == 413 or (not kind and _says_too_large(status, body)):
        return BatchTooLarge(server, detail)
    if kind and status in (401, 403):
        return Unauthorized(server, None if kind == "unauthorized" else detail)
    if kind and status < 500 and status not in _OF_THE_MOMENT:
        return WireError(field, detail.removeprefix(f"{field}: "))
    return _unreachable(server, status, detail)


def _unreachable(server: str, status: int, detail: str) -> ServerUnreachable:
    if status == 500:
        return ServerFailed(server, detail)
    if status in (401, 403):  # from a proxy, so retrying may help
        fix = "set MONITOR_TOKEN to the token that it wants, or give the user and the password in the address"
        return ServerUnreachable(server, f"it answers {status}, but not as a monitor server does", fix=fix)
    ours = status > 500 or status in _OF_THE_MOMENT
    return ServerUnreachable(server, detail if ours else f"it answers {status}, but not as a monitor server does")


def _says_too_large(status: int, body: bytes) -> bool:
    """True if a proxy's error page, with any status, says that the body is too large."""
    found = None if status in _OF_THE_MOMENT else _TOO_LARGE.search(body[:4096])
    return found is not None and not _OTHER_PART.search(found[0])
