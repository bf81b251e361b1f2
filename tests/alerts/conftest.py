"""A run, its findings, and a real webhook to send their alerts to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from monitor.domain import Finding, FindingState, RunInfo, RunStatus, Severity


@dataclass
class Webhook:
    """Keeps what it is posted; answers with the statuses it was given, then with 200."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = hook.statuses.pop(0) if hook.statuses else 200
            if status == 200:
                hook.bodies.append(body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Webhook(f"json://127.0.0.1:{server.server_port}/alerts")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield hook
    server.shutdown()
    thread.join()
    server.server_close()


def a_run(**changed: Any) -> RunInfo:
    values: dict[str, Any] = {
        "id": "ab" * 16,
        "project": "digits",
        "name": "brave-otter",
        "status": RunStatus.RUNNING,
        "created_ms": 1_000,
        "last_step": 1150,
        "heartbeat_ms": 1_000_000,
        "last_point_ms": 1_000_000,
    }
    return RunInfo(**(values | changed))


def a_finding(**changed: Any) -> Finding:
    values: dict[str, Any] = {
        "rule": "overfitting",
        "version": 1,
        "state": FindingState.FIRING,
        "severity": Severity.CRITICAL,
        "onset_step": 900.0,
        "fired_step": 1150.0,
        "resolved_step": None,
        "evidence": {"val_best": 0.41234567, "p_value": None, "checks": 7},
        "explanation": "Validation loss rose from 0.41 to 0.58 while training loss fell.",
        "advice": "Stop and go back to step 875.",
        "number": 3,
    }
    return Finding(**(values | changed))
