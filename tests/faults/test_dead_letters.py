"""Alerts outlive a server that is killed before they fire, and a mail server that was away for a day."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from monitor.alerts import AppriseChannel, key_of
from monitor.settings import load
from monitor.store import Store
from tests.alerts.conftest import Webhook, webhook  # noqa: F401  # a fixture
from tests.alerts.test_receivers import Inbox, inbox  # noqa: F401  # a fixture
from tests.conftest import Feed
from tests.server.conftest import Start, a_batch, post, start_up, until

pytestmark = [pytest.mark.faults, pytest.mark.slow]
__all__ = ["start_up"]
HOUR_MS = 3_600_000


def test_a_threshold_that_was_half_reached_when_the_server_was_killed_fires_once(
    start_up: Start,
    tmp_path: Path,
    webhook: Webhook,  # noqa: F811  # the fixture
) -> None:
    (tmp_path / "monitor.toml").write_text('[[thresholds]]\nwhen = "train/loss > 2 for 3 points"\n')
    run_id, env = uuid.uuid4().hex, {"MONITOR_ALERT_URLS": json.dumps([webhook.url])}
    first = 0
    for losses in ([1.0, 3.0], [3.0], [3.0], [3.0]):
        up = start_up("--no-dashboard", "--port", "0", **env)
        first = post(up.urls["api"], a_batch(run_id, losses, first=first)).acked
        up.end(signal.SIGKILL)
    up = start_up("--no-dashboard", "--port", "0", **env)
    until(lambda: bool(webhook.bodies))
    post(up.urls["api"], a_batch(run_id, [3.0], first=first))
    time.sleep(2)  # a second message has no event to await

    assert len({body["id"] for body in webhook.bodies}) == 1
    assert webhook.bodies[0]["rule"] == "threshold"


def test_a_mail_that_was_given_up_is_sent_once_when_somebody_asks_for_it(
    start_up: Start,
    tmp_path: Path,
    inbox: tuple[Inbox, int],  # noqa: F811  # the fixture
) -> None:
    found, port = inbox
    url = f"mailto://127.0.0.1:{port}?from=monitor@example.org&to=ada@example.org&mode=insecure"
    now_ms = time.time_ns() // 1_000_000
    with Store.open(load(dir=tmp_path).store_url) as store:
        store.register_channels([key_of(AppriseChannel(url))], now_ms - 30 * HOUR_MS)
        feed = Feed(store, now_ms=now_ms - 25 * HOUR_MS)
        feed.start(name="old")
        feed.event("alert", title="look at <this>", body="now", severity="critical")
        feed.event("finish")
    start_up("--no-dashboard", "--port", "0", MONITOR_ALERT_URLS=json.dumps([url]))
    until(lambda: bool(monitor(tmp_path, "dead")["messages"]))
    (dead,) = monitor(tmp_path, "dead")["messages"]
    assert "not sent within 24 h" in str(dead) and found.mails == []

    assert monitor(tmp_path, "retry")["retried"] == 1
    until(lambda: bool(found.mails))
    time.sleep(2)  # as above
    (mail,) = found.mails
    assert "look at <this>" in mail["Subject"]
    assert monitor(tmp_path, "dead")["messages"] == []
    assert monitor(tmp_path, "retry")["retried"] == 0


def monitor(folder: Path, verb: str) -> dict[str, Any]:
    """What `monitor alerts VERB --json` prints."""
    command = [sys.executable, "-m", "monitor", "alerts", verb, "--json"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")} | {"MONITOR_DIR": str(folder)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer
