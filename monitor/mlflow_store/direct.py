"""Passes points to the store directly, bypassing MLflow's Flask application.

Nearly every request of a training run logs points and nothing else. MLflow passes each to Flask in a thread and parses
it twice, which takes longer than storing it. Here points in the usual form go directly to the store, behind only the
middleware of MLflow that concerns them. MLflow answers every other request, and every request that the store refuses.
Processing a request twice is harmless: a point that is already stored changes nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from fastapi import FastAPI
    from mlflow.entities import Metric

    from monitor.mlflow_store.store import Store

METRIC: Final = "/api/2.0/mlflow/runs/log-metric"
BATCH: Final = "/api/2.0/mlflow/runs/log-batch"
_NAMES: Final = frozenset({"key", "value", "timestamp", "step"})
_WORKSPACE: Final = b"x-mlflow-workspace"
_RUN: Final = frozenset({"run_id", "run_uuid"})
_WORDS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INT64: Final = range(-(2**63), 2**63)


class Unusual(Exception):
    """A request that MLflow must parse itself."""


class InFront:
    """MLflow's application, with a shortcut for points.

    Args:
        workspaces: True if the server has MLflow's workspaces, which a request selects by a header.
    """

    def __init__(self, app: FastAPI, store: Store, *, workspaces: bool) -> None:
        from mlflow.server.handlers import _add_static_prefix

        self.router: Final = app.router
        self._app = app
        self._paths: Final = frozenset(_add_static_prefix(path) for path in (METRIC, BATCH))
        self._workspaces = workspaces
        self._points: ASGIApp = Points(store, app)
        for layer in reversed(app.user_middleware):
            if _concerns_points(layer, workspaces):
                self._points = layer.cls(self._points, *layer.args, **layer.kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await (self._points if self._is_direct(scope) else self._app)(scope, receive, send)

    def _is_direct(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["path"] not in self._paths or scope["method"] != "POST":
            return False
        return self._workspaces or not any(name == _WORKSPACE for name, _ in scope["headers"])


def _concerns_points(layer: Middleware, workspaces: bool) -> bool:
    # Each of these two takes half a millisecond, as long as it takes to store a point.
    name = getattr(layer.kwargs.get("dispatch"), "__name__", "")
    return name != "gateway_timing_middleware" and (workspaces or name != "workspace_context_middleware")


class Points:
    """Answers requests that log points.

    Args:
        others: answers every other request.
    """

    def __init__(self, store: Store, others: ASGIApp) -> None:
        self._store, self._others = store, others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to one of the two paths."""
        body = await _body(receive)
        if body is None:
            return
        kind = dict(scope["headers"]).get(b"content-type", b"")
        if kind.partition(b";")[0].strip() == b"application/json" and not scope["query_string"]:
            try:
                await anyio.to_thread.run_sync(self._log, scope["path"], body)
            except Exception:  # MLflow then answers with the error, in its own words
                pass
            else:
                await Response(b"{}", media_type="application/json")(scope, receive, send)
                return
        await self._others(scope, _again(body, receive), send)

    def _log(self, path: str, body: bytes) -> None:
        if path.endswith(METRIC):  # `--static-prefix` may precede it
            self._store.log_metric(*one_point(json.loads(body)))
        else:
            self._store.log_batch(*points(json.loads(body)), [], [])


def one_point(data: Any) -> tuple[str, Metric]:
    """Parse a `log-metric` request: its run and point.

    Raises:
        Unusual: its form differs from that of MLflow's clients.
    """
    if not isinstance(data, dict):
        raise Unusual
    return _text(data, "run_id"), _metric({name: data[name] for name in data.keys() - _RUN})


def points(data: Any) -> tuple[str, list[Metric]]:
    """Parse a `log-batch` request: its run and points.

    Raises:
        Unusual: it logs other things too, or its form differs from that of MLflow's clients.
    """
    if not isinstance(data, dict) or not isinstance(data.get("metrics"), list):
        raise Unusual
    if any(data[name] != [] for name in data.keys() - {"run_id", "metrics"}):
        raise Unusual
    return _text(data, "run_id"), [_metric(row) for row in data["metrics"]]


def _metric(row: Any) -> Metric:
    from mlflow.entities import Metric

    if not isinstance(row, dict) or not row.keys() <= _NAMES:
        raise Unusual
    return Metric(_text(row, "key"), _value(row.get("value")), _int(row.get("timestamp")), _int(row.get("step", 0)))


def _text(data: Mapping[str, Any], name: str) -> str:
    found = data.get(name)
    if not isinstance(found, str) or not found:
        raise Unusual
    found.encode()  # raises for half of a surrogate pair
    return found


def _value(found: Any) -> float:
    """A value in protobuf's JSON form: a number, or one of three strings."""
    if type(found) is str and found in _WORDS:
        return _WORDS[found]
    if type(found) is float and math.isfinite(found):
        return found
    return float(_int(found))


def _int(found: Any) -> int:
    if type(found) is not int or found not in _INT64:
        raise Unusual
    return found


async def _body(receive: Receive) -> bytes | None:
    """The body of a request; None if the client has disconnected."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that replays a body that was already read."""
    unread = True

    async def say() -> Message:
        nonlocal unread
        if unread:
            unread = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return say
