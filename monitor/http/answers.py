"""Turns an HTTP response into a result or an error, also if something other than a monitor server answered."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
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
    run_id = str(problem.get("run_id", ""))
    field = str(problem.get("field") or kind or "request")
    known: dict[str, Callable[[], MonitorError]] = {
        "offset-gap": lambda: OffsetGap(
            run_id, "", expected=int(str(problem["expected"])), got=int(str(problem["got"]))
        ),
        "run-exists": lambda: RunExists(run_id),
        "rules-error": lambda: RulesError(str(problem["place"]), str(problem["problem"]), str(problem["fix"])),
        "rules-changed": lambda: RulesChanged(_text(problem.get("project")), str(problem["found"])),
        "stop-refused": lambda: StopRefused(run_id, *_stop_refused(detail)),
        "run-not-found": lambda: RunNotFound(
            run_id, several=str(problem.get("several") or ""), nearest=str(problem.get("nearest") or "")
        ),
        "series-not-found": lambda: SeriesNotFound(run_id, str(problem.get("key", ""))),
        "media-not-found": lambda: MediaNotFound(run_id, int(str(problem["media_id"]))),
        "alert-not-found": lambda: AlertNotFound(
            str(problem["ref"]), what=str(problem["what"]), several=problem["several"] is True
        ),
        "delivery-failed": lambda: DeliveryFailed(str(problem["channel"]), str(problem["problem"])),
        "settings-error": lambda: SettingsError(str(problem["name"]), str(problem["problem"]), str(problem["fix"])),
        "token-not-found": lambda: TokenNotFound(str(problem.get("ref", "")), several=problem.get("several") is True),
        "forbidden": lambda: Forbidden(detail),
        "store-busy": lambda: StoreError(detail),
        "overloaded": lambda: StoreError(detail),
        "store-error": lambda: StoreError(detail),
        "schema-mismatch": lambda: StoreError(detail),
    }
    if kind in known:
        try:
            return known[kind]()
        except (ValueError, LookupError):
            return ServerUnreachable(server, _NOT_OURS)
    if status == 413 or (not kind and _says_too_large(status, body)):
        return BatchTooLarge(server, detail)
    if kind and status in (401, 403):
        return Unauthorized(server, None if kind == "unauthorized" else detail)
    if kind and status < 500 and status not in _OF_THE_MOMENT:
        return WireError(field, detail.removeprefix(f"{field}: "))
    return _unreachable(server, status, detail)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _stop_refused(detail: str) -> tuple[str, str]:
    """Split the sentence of `StopRefused` into its arguments."""
    problem, _, fix = detail.partition(": ")[2].rpartition("; ")
    return problem, fix


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
