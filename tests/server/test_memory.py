"""What others send or ask for costs the server a bounded part of memory, as the kernel counts it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from monitor.wire import MEDIA_TYPE, encode_batch

from .conftest import Start, Up, a_batch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
TOKEN = "correct-horse-battery-staple"
MIB = 2**20


def peak(up: Up) -> int:
    """Bytes that the server had in memory at most so far."""
    lines = Path(f"/proc/{up.process.pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def pieces(size: int, what: bytes) -> Iterator[bytes]:
    """A long body, without having it in memory here either."""
    piece = what * (MIB // len(what))
    for _ in range(size // len(piece)):
        yield piece


def test_200_mib_from_a_stranger_cost_next_to_nothing(start_up: Start) -> None:
    up = start_up("--port", "0", "--no-dashboard", MONITOR_TOKEN=TOKEN)
    json = {"Content-Type": "application/json"}
    paths = ("/api/v1/runs/x/stop", "/api/v1/batches", "/healthz", "/nothing")
    with httpx.Client(base_url=up.urls["api"], timeout=30) as client:
        for path in paths:
            client.post(path, content=b"{}", headers=json)
        before = peak(up)
        for path in paths:
            for headers in (json, json | {"Content-Length": str(200 * MIB)}):
                try:
                    status = client.post(path, content=pieces(200 * MIB, b"{},{"), headers=headers).status_code
                except httpx.HTTPError:  # closed on it before it had sent all
                    continue
                assert status in (401, 413)
        assert client.get("/healthz").status_code == 200

    assert peak(up) - before < 30 * MIB


@pytest.mark.slow
def test_a_long_history_as_json_takes_little_more_than_its_points(start_up: Start) -> None:
    up = start_up("--port", "0", "--no-dashboard")
    losses = np.random.default_rng(0).normal(size=600_000).tolist()
    with httpx.Client(base_url=up.urls["api"], timeout=60) as client:
        for first in range(2):
            batch = a_batch("ab" * 16, losses, first=first and 600_001)
            answer = client.post("/api/v1/batches", content=encode_batch(batch), headers={"Content-Type": MEDIA_TYPE})
            assert answer.status_code == 200, answer.text
        before = peak(up)
        read = 0
        with client.stream("GET", "/api/v1/runs/n/history", params={"key": "train/loss"}) as history:
            for part in history.iter_raw():
                read += len(part)

    assert read > 46 * MIB  # as objects of Python they take over 100 MiB, and their text as much again
    assert peak(up) - before < 80 * MIB
