"""The log of a server, as text and as JSON."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import uuid
from typing import Literal

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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_server_whose_standard_error_nobody_reads_goes_on_and_counts_the_lines_that_it_drops(start_up: Start) -> None:
    """`monitor up 2>&1 | something` that is stuck; two MiB of log do not fit into its pipe."""
    up = start_up("--no-dashboard", "--port", "0", MONITOR_LOG_FORMAT="json")
    with httpx.Client(base_url=up.urls["api"], timeout=60) as client:
        for _ in range(260):
            assert client.get(f"/api/v1/runs/{'x' * 4000}").status_code == 404
        (lost,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith("monitor_log_lines_l")]
    up.process.send_signal(signal.SIGTERM)

    assert float(lost.split()[1]) > 50
    assert up.process.wait(60) == 0


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_says_how_many_lines_it_lost_once_it_is_read_again(
    form: Literal["text", "json"], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as reader:
        monkeypatch.setattr("sys.stderr", stream)
        with logging_as(Settings(log_format=form)) as log:
            for number in range(3000):
                logging.getLogger("monitor.x").warning("%d %s", number, "x" * 1000)
            assert log is not None and log.lost > 1000
            lines = [reader.readline() for _ in range(3000 - log.lost)]
            notice = reader.readline()
        assert sys.stderr is stream

    kept = [int(number) for line in lines for number in re.findall(r"(\d+) x", line)]
    assert len(kept) == len(lines) and kept[0] == 0
    assert kept == sorted(set(kept))  # a line may be kept after a lost one, where the pipe took some in between
    assert f"{log.lost:,} lines of this log were lost" in (json.loads(notice)["message"] if form == "json" else notice)


def test_a_log_whose_reader_is_gone_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        with logging_as(Settings()) as log:
            logging.getLogger("monitor.x").warning("unheard")

    assert log is not None and log.lost == 1
