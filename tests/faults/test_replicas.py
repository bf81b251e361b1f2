"""Two servers over one PostgreSQL, killed at random while writers log: every point is stored, and stored once."""

from __future__ import annotations

import random
import signal
import threading
import time
import uuid

import httpx
import pytest

from monitor.store import Store
from monitor.wire import MEDIA_TYPE, encode_batch
from tests.server.conftest import Start, Up, a_batch, start_up, until

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.faults]
WRITERS, KILLS, POINTS = 8, 8, 20
__all__ = ["start_up"]


class Writer(threading.Thread):
    """Sends batch after batch, each until somebody has answered that it is stored."""

    def __init__(self, addresses: list[str], over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.addresses, self.over, self.run_id = addresses, over, uuid.uuid4().hex
        self.acked = self.retries = 0
        self.error = ""

    def run(self) -> None:
        rng = random.Random(self.run_id)
        with httpx.Client(timeout=20) as client:
            while not self.over.is_set() and not self.error:
                batch = a_batch(self.run_id, [1.0] * POINTS, first=self.acked, name=self.run_id)
                body, headers = encode_batch(batch), {"Content-Type": MEDIA_TYPE}
                while True:
                    try:
                        url = f"{rng.choice(self.addresses)}/api/v1/batches"
                        answer = client.post(url, content=body, headers=headers)
                    except httpx.HTTPError:
                        self.retries += 1
                        time.sleep(0.02)  # whoever was killed is started again
                        continue
                    if answer.status_code == 200:
                        break
                    if answer.status_code < 500:
                        self.error = answer.text
                        return
                    self.retries += 1
                    time.sleep(0.05)
                self.acked = answer.json()["acked"]


def test_every_point_is_stored_once_though_both_servers_are_killed_at_random(
    start_up: Start, postgres_url: str
) -> None:
    def start() -> Up:
        return start_up("--no-dashboard", "--port", "0", MONITOR_DATABASE_URL=postgres_url)

    servers = [start(), start()]
    addresses = [server.urls["api"] for server in servers]
    over, rng = threading.Event(), random.Random(7)
    writers = [Writer(addresses, over) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.2, 1.5))  # the kill comes at any moment
        victim = rng.randrange(2)
        servers[victim].end(signal.SIGKILL)
        servers[victim] = start()
        addresses[victim] = servers[victim].urls["api"]
    until(lambda: all(writer.acked > POINTS or writer.error for writer in writers), 60)
    over.set()
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive()
        assert writer.error == ""

    assert sum(writer.retries for writer in writers) > 0
    with Store.open(postgres_url) as store:
        for writer in writers:
            points = store.history(writer.run_id, "train/loss")
            assert points.steps.tolist() == list(range(1, writer.acked))
    answer = httpx.get(f"{addresses[0]}/api/v1/info")
    assert answer.status_code == 200
