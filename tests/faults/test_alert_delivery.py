"""A server that is killed while it sends alerts loses none, and what it sends again carries the same id."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from monitor.alerts import AppriseChannel, key_of
from monitor.settings import load
from monitor.store import Store
from monitor.store.sql.schema import CHANNELS
from tests.alerts.conftest import Webhook, webhook  # noqa: F401  # a fixture
from tests.conftest import Feed

from .conftest import Victim, until


@pytest.mark.faults
@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.slow)])
def test_no_alert_is_lost_and_duplicates_carry_the_same_id(
    kills: int,
    store_url: str,
    tmp_path: Path,
    victim: Victim,
    webhook: Webhook,  # noqa: F811  # the fixture
) -> None:
    rng, wanted, key = random.Random(kills), set[str](), key_of(AppriseChannel(webhook.url))
    settings = load(dir=tmp_path, database_url=store_url, alert_interval_s=0.05, alert_urls=[webhook.url])
    with Store.open(store_url) as store:
        for n in range(kills + 1):
            before = len(webhook.bodies)
            server = victim.start("deliver", settings)
            until(lambda: key in known(store), 60)  # alerts before it was configured are not sent
            now = time.time_ns() // 1_000_000
            for _ in range(3):
                feed = Feed(store, now_ms=now)
                feed.start(name=f"run {n}")
                feed.event("alert", title="look", body="", severity="critical")
                wanted |= {f"{d.alert.run_id}-{d.id}" for d in store.alerts(feed.run_id)}
            if n < kills:
                until(lambda before=before: len(webhook.bodies) > before, 60)  # type: ignore[misc]
                time.sleep(rng.random() * 0.02)  # the kill comes at any moment of the sending
            else:
                until(lambda wanted=wanted: received(webhook) >= wanted, 60)  # type: ignore[misc]
            assert server.alive()
            server.kill()
    times = Counter(body["id"] for body in webhook.bodies)
    print(f"{kills} kills, {len(wanted)} alerts, {sum(times.values()) - len(times)} sent twice")
    assert set(times) == wanted
    assert sum(times.values()) <= len(wanted) + kills  # a kill repeats one message at most


def received(webhook: Webhook) -> set[str]:  # noqa: F811  # the class
    """The ids of the messages that came."""
    return {body["id"] for body in webhook.bodies}


def known(store: Store) -> set[str]:
    """The channels that were taken up."""
    with store._read() as connection:
        return set(connection.execute(select(CHANNELS.c.channel)).scalars())
