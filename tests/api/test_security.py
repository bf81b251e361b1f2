from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from monitor import __version__
from monitor.api import create_api, readiness
from monitor.domain import JobHealth
from monitor.ingest.engines import Engines
from monitor.settings import Settings
from monitor.store import Store

from .conftest import Api, served

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = Settings(dir=tmp_path_factory.mktemp("guarded"), token=TOKEN)
    with (
        Store.open(settings.store_url) as store,
        served(create_api(store, Engines(), settings)) as url,
        httpx.Client(base_url=url) as client,
    ):
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer ÿÿ".encode("latin-1")},
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/info", "/api/v1/runs/x/curve?key=loss", "/api/v1/alerts"])
def test_without_the_token_nothing_is_told(guarded: httpx.Client, headers: dict[str, str], path: str) -> None:
    response = guarded.get(path, headers=headers)

    assert (response.status_code, response.json()["type"]) == (401, "urn:lossmonitor:problem:unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"
    assert "MONITOR_TOKEN" in response.json()["detail"]


def test_without_the_token_nothing_is_stored(guarded: httpx.Client) -> None:
    response = guarded.post("/api/v1/batches", json={})

    assert response.status_code == 401


def test_with_the_token_everything_answers(guarded: httpx.Client) -> None:
    response = guarded.get("/api/v1/runs", headers={"Authorization": f"Bearer {TOKEN}"})

    assert (response.status_code, response.json()["total"]) == (200, 0)


def test_probes_need_no_token_and_tell_nothing_of_the_runs(guarded: httpx.Client) -> None:
    health = guarded.get("/healthz").json()

    assert {k: health[k] for k in ("status", "name", "version")} == {
        "status": "ok",
        "name": "lossmonitor",
        "version": __version__,
    }
    assert guarded.get("/readyz").status_code == 200


def test_a_probe_of_a_server_whose_database_is_gone_does_not_tell_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FRESH_S", 0.0)
    settings = Settings(dir=tmp_path)
    with Store.open(settings.store_url) as store:
        failing = {"mlflow": JobHealth(failing=True, last_error="http://secret.example is down")}
        with served(create_api(store, Engines(), settings, jobs=lambda: failing)) as url:
            degraded = httpx.get(f"{url}/readyz")
            store.close()
            (tmp_path / "monitor.db").write_bytes(b"no database")
            gone = httpx.get(f"{url}/readyz")

    assert degraded.json() == {"status": "degraded", "store": "sqlite", "jobs": {"mlflow": "failing"}}
    assert (gone.status_code, gone.json()["type"]) == (503, "urn:lossmonitor:problem:store-error")
    assert "monitor.db" not in gone.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8470", "127.0.0.1.nip.example"])
def test_a_page_that_rebinds_its_name_to_this_machine_reads_nothing(api: Api, host: str) -> None:
    response = api.http.get("/api/v1/runs", headers={"Host": host})

    assert (response.status_code, response.json()["type"]) == (403, "urn:lossmonitor:problem:host")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8470", "[::1]:8470", "192.168.1.7", "trainbox"])
def test_names_that_no_web_page_can_take_are_answered(api: Api, host: str) -> None:
    assert api.http.get("/api/v1/runs", headers={"Host": host}).status_code == 200


def test_with_a_token_any_name_is_answered(guarded: httpx.Client) -> None:
    headers = {"Host": "monitor.example.org", "Authorization": f"Bearer {TOKEN}"}

    assert guarded.get("/api/v1/runs", headers=headers).status_code == 200


def test_no_answer_lets_other_sites_read_it(api: Api) -> None:
    response = api.http.get("/api/v1/runs", headers={"Origin": "https://evil.example"})

    assert "access-control-allow-origin" not in response.headers
