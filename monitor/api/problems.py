"""Every error is `application/problem+json` (RFC 9457): type, title, status, detail, and what helps the caller act.

`field` names the offending field or parameter, `expected` the record that a batch must start with, `request_id` the
lines of the server's log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from monitor.api.bodies import json_response
from monitor.api.requests import request_id
from monitor.domain import Json
from monitor.errors import (
    AlertNotFound,
    DeliveryFailed,
    Forbidden,
    MediaNotFound,
    MonitorError,
    OffsetGap,
    QueryError,
    RulesChanged,
    RulesError,
    RunExists,
    RunNotFound,
    SchemaMismatch,
    SeriesNotFound,
    SettingsError,
    StopRefused,
    StoreBusy,
    StoreError,
    TokenNotFound,
    Unauthorized,
    WireError,
)

MEDIA_TYPE: Final = "application/problem+json"
_INVALID: Final = "A parameter or the body is not valid"
_log = logging.getLogger(__name__)

_TITLES: Final[Mapping[type[MonitorError], tuple[int, str]]] = {
    QueryError: (422, "The query over the runs cannot be read"),
    WireError: (422, "The message does not follow the wire format; nothing of it was stored"),
    OffsetGap: (409, "The batch does not start where the writer's last one ended"),
    RunExists: (409, "The run exists"),
    RulesChanged: (409, "The rules have changed"),
    RulesError: (422, "A rule or its setting cannot be used"),
    StopRefused: (409, "The stop is not possible"),
    RunNotFound: (404, "No such run"),
    SeriesNotFound: (404, "The run has no such series"),
    MediaNotFound: (404, "The run has no such image, table or histogram"),
    AlertNotFound: (404, "No such alert, silence or channel"),
    SettingsError: (422, "A setting cannot be used"),
    DeliveryFailed: (502, "The channel did not take the message"),
    TokenNotFound: (404, "No such token"),
    Unauthorized: (401, "A token is needed"),
    Forbidden: (403, "This token may not do this"),
    StoreBusy: (503, "The store is busy; try again"),
    SchemaMismatch: (503, "The database has another schema"),
    StoreError: (503, "The database refused; try again"),
    MonitorError: (422, "The request cannot be carried out"),
}
_RETRY_AFTER_S: Final[Mapping[type[MonitorError], int]] = {StoreBusy: 1, SchemaMismatch: 30, StoreError: 5}


class Refused(HTTPException):
    """A request that is refused before it reaches a route: for its size, media type or host."""

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(status, detail)
        self.kind = kind


def problem(
    status: int, kind: str, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: object
) -> Response:
    """A problem response.

    Args:
        kind: last part of the problem's type, such as `offset-gap`, by which programs distinguish problems.
        title: describes this type of problem.
        **more: further members, such as `field` and `expected`.
    """
    body = {"type": f"urn:lossmonitor:problem:{kind}", "title": title, "status": status, "detail": detail, **more}
    if request_id():
        body["request_id"] = request_id()
    return json_response(body, status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Install the exception handlers that turn every error into a problem."""
    app.add_exception_handler(MonitorError, _monitor_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def of_error(error: MonitorError) -> Response:
    """The problem for one of this package's errors."""
    kind = next(c for c in type(error).__mro__ if c in _TITLES)
    status, title = _TITLES[kind]
    headers = {}
    if kind in _RETRY_AFTER_S:
        headers["Retry-After"] = str(_RETRY_AFTER_S[kind])
    if kind is Unauthorized:
        headers["WWW-Authenticate"] = "Bearer"
    detail = _SECRET.sub("***", str(error)) if isinstance(error, StoreError) else str(error)
    return problem(status, _kebab(kind.__name__), title, detail, headers=headers, **_members(error))


_SECRET: Final = re.compile(r"(?<=://)[^/\s@]*(?=@)|(?<==)(?<=pass=|word=|cret=|oken=|_key=)[^&\s;\"']+", re.IGNORECASE)
"""Parts of a database's message that must not be shown: credentials in a URL, and secrets by name."""


_MEMBERS: Final = (
    "field", "position", "expected", "got", "run_id", "key", "found", "wanted", "ref", "what", "several", "nearest",
    "channel", "name", "problem", "fix", "media_id", "place", "project",
)  # fmt: skip
"""Attributes of errors that clients need to raise the same error."""


def _members(error: MonitorError) -> dict[str, object]:
    members: dict[str, object] = {}
    for name in _MEMBERS:
        value = getattr(error, name, None)
        if value is not None:
            members[name] = value
    return members


def _kebab(name: str) -> str:
    """The problem type of an error class: `OffsetGap` is "offset-gap"."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


def _monitor_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MonitorError)
    if isinstance(error, StoreError):
        _log.warning("%s %s: %s", request.method, request.url.path, error)
    return of_error(error)


def _invalid(_: Request, error: Exception) -> Response:
    """FastAPI's validation errors as a problem: the first offending field, and all of them under `errors`."""
    assert isinstance(error, RequestValidationError)
    found = [{"field": _place(e["loc"]), "detail": str(e["msg"])} for e in error.errors()]
    first = found[0] if found else {"field": "body", "detail": "is not valid"}
    detail = f"{first['field']}: {first['detail']}"
    return problem(422, "invalid-request", _INVALID, detail, field=first["field"], errors=found)


def _place(loc: object) -> str:
    parts = [str(part) for part in loc] if isinstance(loc, tuple | list) else [str(loc)]
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] in {"query", "path", "header", "body"} else parts)


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, Refused):
        return of_refusal(error)
    if error.status_code == 400:  # FastAPI's response to a body that is not JSON in UTF-8 or is nested too deeply
        detail = "body: is not JSON that can be read"
        return problem(422, "invalid-request", _INVALID, detail, field="body", errors=[])
    kind, title = _KINDS.get(error.status_code, "http"), _HTTP_TITLES.get(error.status_code, "The request was refused")
    return problem(error.status_code, kind, title, str(error.detail), headers=error.headers)


def of_refusal(refused: Refused) -> Response:
    """The problem for a request that is refused before it reaches a route."""
    headers = {"Retry-After": "1"} if refused.status_code == 503 else None
    title = _HTTP_TITLES[refused.status_code]
    return problem(refused.status_code, refused.kind, title, str(refused.detail), headers=headers)


_KINDS: Final = {404: "no-such-route", 405: "method-not-allowed"}
_HTTP_TITLES: Final = {
    401: "The sign-in did not succeed",
    403: "The request was refused",
    404: "There is nothing at this address; /openapi.json lists what there is",
    405: "This address does not take this method",
    408: "The request came too slowly",
    413: "The body is too large",
    415: "This media type is not taken",
    422: "The request cannot be carried out",
    429: "There are too many requests; wait",
    502: "The OpenID provider cannot be used",
    503: "The server is overloaded; try again",
}


def _unexpected(request: Request, error: Exception) -> Response:
    # The ASGI server logs the traceback: Starlette re-raises the error once this response is sent.
    title = "The server failed; its log says why"
    return problem(500, "internal", title, f"{type(error).__name__} while answering {request.url.path}")


def documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The entries of a route's `responses` for the problems it may answer with."""
    schema: Json = {
        "type": "object",
        "properties": {n: {"type": "string"} for n in ("type", "title", "detail", "field", "request_id")},
    }
    return {s: {"description": "Problem (RFC 9457)", "content": {MEDIA_TYPE: {"schema": schema}}} for s in statuses}
