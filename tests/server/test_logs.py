"""The log of a server, as text and as JSON."""

from __future__ import annotations

import json
import logging
import signal
import uuid

import httpx
import pytest

from monitor.server.logs import JsonLines, logging_as
from monitor.settings import Settings

from .conftest import Start, a_batch, post


def test_a_server_that_logs_json_writes_one_object_a_line_and_one_for_each_request(start_up: Start) -> None:
    up = start_up("--no-dashboard", "--port", "0", MONITOR_LOG_FORMAT="json")
    run_id = uuid.uuid4().hex
    post(up.urls["api"], a_batch(run_id, [3.0, 2.0], first=0))
    httpx.get(f"{up.urls['api']}/api/v1/runs/nosuch", headers={"X-Request-ID": "trace-7"})
    assert up.process.stderr is not None
    up.process.send_signal(signal.SIGTERM)
    lines = [json.loads(line) for line in up.process.stderr.read().splitlines()]

    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (batch,) = [line for line in lines if line.get("path") == "/api/v1/batches"]
    assert (batch["method"], batch["status"], batch["run_id"]) == ("POST", 200, run_id)
    assert batch["request_id"] and batch["ms"] > 0
    (missing,) = [line for line in lines if line.get("path") == "/api/v1/runs/nosuch"]
    assert (missing["request_id"], missing["status"]) == ("trace-7", 404)


def test_a_server_that_logs_text_says_nothing_of_requests(start_up: Start) -> None:
    up = start_up("--no-dashboard", "--port", "0")
    post(up.urls["api"], a_batch(uuid.uuid4().hex, [3.0, 2.0], first=0))
    assert up.process.stderr is not None
    up.process.send_signal(signal.SIGTERM)

    assert up.process.stderr.read() == ""


def test_a_line_is_one_line_whatever_the_message_holds() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "a\nb \u2028 %s", ("\x1b[31m",), info)
    line = JsonLines().format(record)

    assert line.isascii() and "\n" not in line
    found = json.loads(line)
    assert found["message"] == "a\nb \u2028 \x1b[31m"
    assert "ValueError: first\nsecond" in found["exception"]
    assert "request_id" not in found


def test_a_message_in_a_text_log_is_one_line_and_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("monitor.api.problems")
    with logging_as(Settings()):
        log.warning("GET %s: refused", "/api/v1/runs/x\nFAKE\x1b[31m\u202e")
        try:
            raise ValueError("first\x1b[2J")
        except ValueError:
            log.exception("failed")
    lines = capsys.readouterr().err.splitlines()

    assert lines[0] == r"GET /api/v1/runs/x\nFAKE\x1b[31m\u202e: refused"
    assert lines[1] == "failed"
    assert lines[-1] == r"ValueError: first\x1b[2J"
