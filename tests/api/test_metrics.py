"""What `/metrics` says is what happened."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.api import create_api
from monitor.domain import Access, Caller, JobHealth
from monitor.ingest.engines import Engines
from monitor.settings import Settings
from monitor.store import Store
from monitor.wire import MEDIA_TYPE, encode_batch

from .conftest import NOW_MS, a_batch, served


def values(text: str) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


@pytest.mark.parametrize("url", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_points_batches_runs_verdicts_alerts_and_jobs_are_counted(
    request: pytest.FixtureRequest, url: str, tmp_path: Path
) -> None:
    settings = Settings(dir=tmp_path, database_url=request.getfixturevalue(f"{url}_url"))
    jobs = {"liveness": JobHealth(), "mlflow": JobHealth(failing=True)}
    with Store.open(settings.store_url) as store:
        api = create_api(store, Engines(), settings, clock=lambda: NOW_MS + 5000, jobs=lambda: jobs)
        with served(api) as address, httpx.Client(base_url=address) as http:
            batch = a_batch([2.0, 1.0, 0.5])
            for body in (encode_batch(batch), encode_batch(batch), b"no batch"):
                http.post("/api/v1/batches", content=body, headers={"Content-Type": MEDIA_TYPE})
            http.post(
                "/api/v1/batches",
                content=encode_batch(a_batch([1.0], run_id=batch.run_id, first=9)),
                headers={"Content-Type": MEDIA_TYPE},
            )
            answer = http.get("/metrics")

    found = values(answer.text)
    assert answer.headers["content-type"].startswith("text/plain")
    assert found["monitor_points_total",] == 3
    assert found["monitor_batches_total", "stored"] == 1
    assert found["monitor_batches_total", "duplicate"] == 1
    assert found["monitor_batches_total", "refused"] == 1
    assert found["monitor_commit_seconds_count",] == 2
    assert found["monitor_lag_seconds_sum",] == pytest.approx(5, abs=0.1)
    assert found["monitor_live_runs", "running"] == 1
    assert sum(value for name, value in found.items() if name[0] == "monitor_live_verdicts") == 1
    assert found["monitor_alerts_waiting",] == 0
    assert (found["monitor_job_failing", "liveness"], found["monitor_job_failing", "mlflow"]) == (0, 1)


def test_it_needs_a_token_of_all_projects_where_the_server_asks_for_one(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path)
    with Store.open(settings.store_url) as store:
        by = Caller(name="test", access=Access.ADMIN)
        tokens = [
            store.create_token("t", Access.VIEWER, project=project, expires_ms=None, now_ms=1, by=by)[1]
            for project in (None, "a")
        ]
        with served(create_api(store, Engines(), settings)) as address:
            statuses = [
                httpx.get(f"{address}/metrics", headers={"Authorization": f"Bearer {token}"}).status_code
                for token in ("none", *tokens)
            ]
    assert statuses == [401, 200, 403]
