"""A server that is killed while it sends alerts loses none, and what it sends again carries the same id."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from monitor.alerts import AppriseChannel, key_of
from monitor.store import Store
from monitor.store.sql.schema import CHANNELS
from tests.alerts.conftest import Webhook, webhook  # noqa: F401  # a fixture
from tests.conftest import Feed

DELIVERER = """
import sys, time
from monitor.alerts import AppriseChannel
from monitor.jobs import Jobs
from monitor.settings import load
from monitor.alerts import AppriseChannel, key_of
from monitor.store import Store
from monitor.store.runs import outbox

outbox.LEASE_MS = 100  # else each kill costs seconds
settings = load(dir=sys.argv[1], alert_interval_s=0.05, alert_urls=[sys.argv[3]])
jobs = Jobs(Store.open(sys.argv[2]), settings, channels=[AppriseChannel(sys.argv[3])])
jobs.start()
time.sleep(600)
"""


@pytest.mark.faults
@pytest.mark.parametrize("kills", [4, pytest.param(200, marks=pytest.mark.slow)])
def test_no_alert_is_lost_and_duplicates_carry_the_same_id(
    kills: int,
    sqlite_url: str,
    tmp_path: Path,
    webhook: Webhook,  # noqa: F811  # the fixture
) -> None:
    rng, wanted, key = random.Random(kills), set[str](), key_of(AppriseChannel(webhook.url))
    with Store.open(sqlite_url) as store:
        for n in range(kills + 1):
            command = [sys.executable, "-c", DELIVERER, str(tmp_path), sqlite_url, webhook.url]
            before = len(webhook.bodies)
            server = subprocess.Popen(command)
            try:
                wait_for(lambda: key in known(store), server)  # alerts before it was configured are not sent
                now = time.time_ns() // 1_000_000
                for _ in range(3):
                    feed = Feed(store, now_ms=now)
                    feed.start(name=f"run {n}")
                    feed.event("alert", title="look", body="", severity="critical")
                    wanted |= {f"{d.alert.run_id}-{d.id}" for d in store.alerts(feed.run_id)}
                if n < kills:
                    wait_for(lambda before=before: len(webhook.bodies) > before, server)  # type: ignore[misc]
                    time.sleep(rng.random() * 0.02)  # the kill comes at any moment of the sending
                else:
                    wait_for(lambda wanted=wanted: received(webhook) >= wanted, server)  # type: ignore[misc]
            finally:
                server.send_signal(signal.SIGKILL)
                server.wait(10)
    times = Counter(body["id"] for body in webhook.bodies)
    assert set(times) == wanted
    assert sum(times.values()) <= len(wanted) + kills  # a kill repeats one message at most


def received(webhook: Webhook) -> set[str]:  # noqa: F811  # the class
    """The ids of the messages that came."""
    return {body["id"] for body in webhook.bodies}


def known(store: Store) -> set[str]:
    """The channels that were taken up."""
    with store._read() as connection:
        return set(connection.execute(select(CHANNELS.c.channel)).scalars())


def wait_for(done: object, server: subprocess.Popen[bytes], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not done():  # type: ignore[operator]  # a function
        assert time.monotonic() < end and server.poll() is None
        time.sleep(0.005)
