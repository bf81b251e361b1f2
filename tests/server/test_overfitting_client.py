"""A run that overfits, logged by two processes with nothing but `mlflow.log_metric`: alert, live page, stop."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.alerts.conftest import Webhook
from tests.server.conftest import Start, until
from tests.server.test_native import Client

pytestmark = pytest.mark.slow
LOOP = """
import math, sys, mlflow, monitor.mlflow

run_id, name = sys.argv[1:]
with mlflow.start_run(run_id=run_id):
    for step in range(20_000):
        train, val = 2 * math.exp(-step / 30) + 0.01, 0.7 + ((step - 40) / 60) ** 2
        mlflow.log_metric(name, train if name == "train_loss" else val, step=step)
        if monitor.mlflow.should_stop():
            break
print(step)
"""


def test_a_run_of_two_processes_that_overfits_raises_an_alert_is_seen_live_and_stops(
    start_up: Start, webhook: Webhook, tmp_path: Path
) -> None:
    up = start_up(
        *("--no-dashboard", "--port", "0", "--mlflow"),
        MONITOR_ALERT_URLS=json.dumps([webhook.url]),
        MONITOR_ALERT_INTERVAL_S="0.1",
    )
    client = Client(up.urls["mlflow"], tmp_path)
    run_id = client.run("import mlflow; print(mlflow.MlflowClient().create_run('0', run_name='mine').info.run_id)")
    processes = [client.start(LOOP, run_id, name) for name in ("train_loss", "val_loss")]
    live: list[str] = []

    def seen() -> bool:
        run = httpx.get(f"{client.url}/api/v1/runs/{run_id}").json()
        live.extend([run["status"]] if run["verdict"] == "overfitting" else [])
        return bool(live)

    until(seen, timeout_s=300)
    assert live[0] == "running"
    until(lambda: any(body["title"].startswith("mine: overfitting since") for body in webhook.bodies), timeout_s=60)
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert 0 < max(int(line) for line in out.splitlines() if line.isdigit()) < 19_999  # the loop was left
