"""MLflow's server and ours at one address, used by real clients of both over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.domain import Access, Caller
from monitor.server.ports import free_port
from monitor.settings import Settings
from monitor.store import Store
from tests.server.conftest import Start, Up, until

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
NAME = "lossmonitor_entry-0.1.dist-info"


class Client:
    """Programs that use MLflow, each in a process of its own."""

    def __init__(self, url: str, folder: Path, **env: str) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MONITOR_", "MLFLOW_"))}
        own = {"MLFLOW_TRACKING_URI": url, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._env, self._folder, self.url = {**clean, **own, **env}, folder, url

    def start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a program."""
        command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
        return subprocess.Popen(
            command, env=self._env, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, program: str, *arguments: str) -> str:
        """Run a program; the run id that it prints."""
        return run_id_of(self.start(program, *arguments))

    def runs(self) -> list[dict[str, Any]]:
        """The runs on our pages."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v1/runs").json()["runs"]
        return found

    def history(self, run_id: str, key: str) -> list[int]:
        """The steps of a metric, as MLflow's API tells them."""
        query = {"run_id": run_id, "metric_key": key}
        found = httpx.get(f"{self.url}/api/2.0/mlflow/metrics/get-history", params=query)
        return [int(row.get("step", 0)) for row in found.json().get("metrics", [])]


def run_id_of(process: subprocess.Popen[str]) -> str:
    """Wait for a program; the id that it printed, which MLflow's own words may surround."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return next((line for line in out.splitlines() if re.fullmatch("[0-9a-f]{32}", line)), "")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("up")
    command = [sys.executable, "-m", "monitor", "up", "--json", "--dir", str(folder), "--port", "0", "--no-dashboard"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MONITOR_", "MLFLOW_"))}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--mlflow"], env=clean, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout
    line = process.stdout.readline()
    assert line, (folder / "log").read_text()
    yield Client(json.loads(line)["mlflow"], folder)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    process.stdout.close()


AUTOLOG = """
import mlflow
from sklearn.linear_model import SGDClassifier
from sklearn.datasets import load_iris
mlflow.autolog(log_models=False)
x, y = load_iris(return_X_y=True)
with mlflow.start_run() as run:
    SGDClassifier().fit(x, y)
print(run.info.run_id)
"""
OVERFITS = """
import math, mlflow
with mlflow.start_run(run_name="overfits") as run:
    mlflow.log_param("batch_size", 32)
    for step in range(160):
        mlflow.log_metrics({
            "training_loss": 2 * math.exp(-step / 30) + 0.01,
            "validation_loss": 0.7 + ((step - 40) / 60) ** 2,
        }, step=step)
print(run.info.run_id)
"""
ASYNC = """
import mlflow
with mlflow.start_run() as run:
    for step in range(200):
        mlflow.log_metric("loss", 1 / (step + 1), step=step, synchronous=False)
    mlflow.flush_async_logging()
print(run.info.run_id)
"""
JOINS = """
import sys, mlflow
client = mlflow.MlflowClient()
for step in range(int(sys.argv[2]), 100, 2):
    client.log_metric(sys.argv[1], "loss", 1 / (step + 1), step=step)
"""


def test_autologging_of_scikit_learn_is_on_our_pages(client: Client) -> None:
    run_id = client.run(AUTOLOG)
    (run,) = [run for run in client.runs() if run["id"] == run_id]
    assert run["status"] == "finished"
    assert run["config"]["loss"] == "hinge"
    assert client.history(run_id, "training_accuracy_score") == [0]


def test_a_run_made_to_overfit_raises_a_finding_while_it_runs(client: Client) -> None:
    process = client.start(OVERFITS)
    live: list[str] = []

    def overfits() -> bool:
        live.extend(r["status"] for r in client.runs() if r["name"] == "overfits" and r["verdict"] == "overfitting")
        return bool(live)

    until(overfits, timeout_s=300)
    assert live[0] == "running"
    run_id = run_id_of(process)

    def tagged() -> bool:
        found = httpx.get(f"{client.url}/api/2.0/mlflow/runs/get", params={"run_id": run_id}).json()
        tags = {tag["key"]: tag["value"] for tag in found["run"]["data"]["tags"]}
        return tags.get("monitor.verdict") == "overfitting" and tags.get("monitor.state") == "finished"

    until(tagged, timeout_s=60)


def test_points_that_are_logged_asynchronously_all_arrive_in_order(client: Client) -> None:
    assert client.history(client.run(ASYNC), "loss") == list(range(200))


def test_two_processes_log_to_one_run(client: Client) -> None:
    run_id = client.run("import mlflow; print(mlflow.start_run().info.run_id)")
    processes = [client.start(JOINS, run_id, str(first)) for first in (0, 1)]
    for process in processes:
        run_id_of(process)
    assert sorted(client.history(run_id, "loss")) == list(range(100))


def test_a_run_of_our_client_is_in_mlflow_within_two_seconds(client: Client, tmp_path: Path) -> None:
    import monitor
    from monitor.settings import Settings

    settings = Settings(dir=tmp_path, server_url=client.url, capture=(), shipper="thread")
    with monitor.init(project="sdk", settings=settings) as run:
        for step in range(10):
            run.log({"train/loss": 1 / (step + 1)}, step=step)
        until(lambda: httpx.get(f"{client.url}/api/v1/runs/{run.id}").is_success, timeout_s=60)
        stored = time.monotonic()
        query = {"run_id": run.id}
        until(lambda: httpx.get(f"{client.url}/api/2.0/mlflow/runs/get", params=query).is_success, timeout_s=60)
        waited = time.monotonic() - stored
    assert waited < 60  # two on a machine with nothing else to do
    until(lambda: client.history(run.id, "train/loss") == list(range(10)))


def test_a_point_that_is_refused_is_refused_as_mlflow_does(client: Client) -> None:
    run_id = client.run("import mlflow; print(mlflow.start_run().info.run_id)")
    point = {"run_id": run_id, "key": "loss", "value": 1.0, "timestamp": 7, "step": 0}
    for change, code, words in (
        ({}, None, ""),
        ({"value": "NaN"}, None, ""),
        ({"step": "3"}, None, ""),  # protocol buffers take a number as text
        ({"run_id": "f" * 32}, "RESOURCE_DOES_NOT_EXIST", "not found"),
        ({"key": "a@b"}, "INVALID_PARAMETER_VALUE", "a@b"),
        ({"value": None}, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'value'"),
        ({"timestamp": "soon"}, "INVALID_PARAMETER_VALUE", "timestamp"),
    ):
        answer = httpx.post(f"{client.url}/api/2.0/mlflow/runs/log-metric", json={**point, **change})
        assert answer.json().get("error_code") == code, answer.text
        assert words in answer.text
        assert "x-content-type-options" in answer.headers
    foreign = {"Origin": "https://evil.example"}
    answer = httpx.post(f"{client.url}/api/2.0/mlflow/runs/log-metric", json=point, headers=foreign)
    assert answer.status_code == 403
    assert sorted(client.history(run_id, "loss")) == [0, 0, 3]


def test_our_routes_stand_in_front_of_mlflows_middleware(client: Client) -> None:
    foreign = {"Host": "evil.example"}
    assert "MONITOR_TOKEN" in httpx.get(f"{client.url}/api/v1/runs", headers=foreign).text  # ours says why
    assert httpx.get(f"{client.url}/api/2.0/mlflow/experiments/get?experiment_id=0", headers=foreign).status_code == 403
    assert httpx.get(f"{client.url}/version").text.count(".") == 2
    assert "<title>MLflow</title>" in httpx.get(client.url).text


def test_mlflow_asks_for_the_token_too(start_up: Start, tmp_path: Path) -> None:
    up: Up = start_up("--no-dashboard", "--port", "0", "--mlflow", MONITOR_TOKEN="secret")
    url = up.urls["mlflow"]
    path = f"{url}/api/2.0/mlflow/experiments/get?experiment_id=0"
    refused = httpx.get(path)
    assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (401, "Basic")
    assert httpx.get(path, auth=("anybody", "wrong")).status_code == 401
    assert httpx.get(path, auth=("anybody", "secret")).is_success
    with_token = Client(url, tmp_path, MLFLOW_TRACKING_TOKEN="secret")
    assert len(with_token.run("import mlflow; print(mlflow.start_run().info.run_id)")) == 32
    assert httpx.get(f"{url}/health").is_success


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `mlflow server --app-name monitor` with options; the entry point as an installed package has it."""
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "METADATA").write_text("Metadata-Version: 2.1\nName: lossmonitor-entry\nVersion: 0.1\n")
    project = (ROOT / "pyproject.toml").read_text()
    points = project.split('[project.entry-points."mlflow.app"]\n')[1].split("\n\n")[0].replace('"', "")
    (tmp_path / NAME / "entry_points.txt").write_text(f"[mlflow.app]\n{points}\n")
    started: list[subprocess.Popen[str]] = []

    def start(*options: str, app: str = "monitor", **env: str) -> subprocess.Popen[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MONITOR_", "MLFLOW_"))}
        own = {"MONITOR_DIR": str(tmp_path / "dir"), "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHONWARNINGS": "ignore"}
        own |= env
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", app, "--host", "127.0.0.1", *options]
        off = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                command, env={**clean, **own, **off}, cwd=tmp_path, stdout=log, stderr=log, text=True
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_mlflow_server_serves_both_with_several_workers(
    mlflow_server: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    port = free_port("127.0.0.1", 0, "port")
    url = f"http://127.0.0.1:{port}"
    mlflow_server("--port", str(port), "--workers", "2", "--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}")
    until(lambda: answers(f"{url}/readyz"), timeout_s=120)
    client = Client(url, tmp_path)
    run_id = client.run("import mlflow; print(mlflow.start_run().info.run_id)")
    for process in [client.start(JOINS, run_id, str(first)) for first in (0, 1)]:
        run_id_of(process)
    assert sorted(client.history(run_id, "loss")) == list(range(100))
    assert [run["id"] for run in client.runs()] == [run_id]
    assert httpx.get(f"{url}/api/v1/runs/{run_id}/curve?key=loss").json()["total"] == 100


WITH_USERS = """
import sys, mlflow
from mlflow.server import get_app_client
url = sys.argv[1]
admin = get_app_client("basic-auth", tracking_uri=url)
admin.create_user("anna", "a-long-password")
with mlflow.start_run() as run:
    mlflow.log_metric("loss", 1.0, step=0)
print(run.info.run_id)
"""
AS_ANNA = """
import sys, mlflow
from mlflow.exceptions import MlflowException
client = mlflow.MlflowClient()
print(len(client.get_metric_history(sys.argv[1], "loss")))
for write in (client.log_metric, client.set_tag):
    try:
        write(sys.argv[1], "loss", 0.5)
    except MlflowException as error:
        print("refused" if "403" in str(error) or "Permission denied" in str(error) else error)
"""


def test_mlflows_users_and_permissions_hold(
    mlflow_server: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    port = free_port("127.0.0.1", 0, "port")
    url = f"http://127.0.0.1:{port}"
    secrets = {"MLFLOW_FLASK_SERVER_SECRET_KEY": "k" * 32, "MLFLOW_AUTH_ADMIN_PASSWORD": "the-admins-password"}
    options = ("--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow_server(*options, app="monitor-basic-auth", MONITOR_TOKEN="a-token-of-16-or-more", **secrets)
    until(lambda: answers(f"{url}/readyz"), timeout_s=120)
    assert httpx.post(f"{url}/api/2.0/mlflow/runs/log-metric", json={}).status_code == 401
    assert httpx.get(f"{url}/api/v1/runs").status_code == 401
    admin = Client(url, tmp_path, MLFLOW_TRACKING_USERNAME="admin", MLFLOW_TRACKING_PASSWORD="the-admins-password")
    run_id = admin.run(WITH_USERS, url)
    anna = Client(url, tmp_path, MLFLOW_TRACKING_USERNAME="anna", MLFLOW_TRACKING_PASSWORD="a-long-password")
    out, err = anna.start(AS_ANNA, run_id).communicate(timeout=120)
    assert out.split("\n")[:3] == ["1", "refused", "refused"], err  # READ is what MLflow gives everybody
    headers = {"Authorization": "Bearer a-token-of-16-or-more"}
    assert httpx.get(f"{url}/api/v1/runs/{run_id}", headers=headers).is_success


def test_mlflows_users_need_a_token_for_our_routes(
    mlflow_server: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    options = ("--port", str(free_port("127.0.0.1", 0, "port")), "--workers", "1")
    mlflow_server(*options, "--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}", app="monitor-basic-auth")
    until(lambda: "MONITOR_TOKEN: not set" in (tmp_path / "log").read_text(), 120)


@pytest.mark.skipif(find_spec("gunicorn") is None, reason="gunicorn is not installed")
def test_gunicorn_is_refused_with_what_to_do(
    mlflow_server: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    options = ("--gunicorn-opts", "--timeout 5", "--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow_server("--port", str(free_port("127.0.0.1", 0, "port")), "--workers", "1", *options)
    until(lambda: "--gunicorn-opts: starts a server that cannot serve ASGI" in (tmp_path / "log").read_text(), 120)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False


def test_mlflow_takes_the_store_s_tokens_by_their_roles_and_none_of_a_project(start_up: Start, tmp_path: Path) -> None:
    tokens = {}
    with Store.open(Settings(dir=tmp_path).store_url) as store:
        for role, project in (("viewer", None), ("logger", None), ("editor", None), ("admin", "vision")):
            by = Caller(name="test", access=Access.ADMIN)
            made = store.create_token(role, Access(role), project=project, expires_ms=None, now_ms=1, by=by)
            tokens[role] = made[1]
    url = start_up("--no-dashboard", "--port", "0", "--mlflow").urls["api"]

    def ask(verb: str, role: str, **body: object) -> int:
        place, headers = f"{url}/api/2.0/mlflow/{verb}", {"Authorization": f"Bearer {tokens[role]}"}
        return httpx.post(place, json=body, headers=headers, timeout=60).status_code

    assert ask("experiments/search", "viewer", max_results=1) == 200
    assert httpx.get(f"{url}/", auth=("anybody", tokens["viewer"])).status_code == 200
    assert ask("experiments/create", "viewer", name="x") == 403
    assert ask("experiments/create", "logger", name="x") == 200
    assert ask("experiments/delete", "logger", experiment_id="1") == 403
    assert ask("experiments/delete", "editor", experiment_id="1") == 200
    assert ask("experiments/search", "admin", max_results=1) == 403
    assert httpx.post(f"{url}/api/2.0/mlflow/experiments/search", json={"max_results": 1}).status_code == 401

    def at(method: str, path: str, role: str) -> int:
        headers = {"Authorization": f"Bearer {tokens[role]}", "Host": "lab.example.org"}  # a token opens any name
        return httpx.request(method, f"{url}/{path}", headers=headers, timeout=60).status_code

    artifact = "api/2.0/mlflow-artifacts/artifacts/1/search.txt"
    assert [at("PUT", artifact, role) for role in ("viewer", "logger")] == [403, 200]
    assert [at("DELETE", artifact, role) for role in ("viewer", "logger", "editor")] == [403, 403, 200]
    assert at("POST", "ajax-api/3.0/mlflow/assistant/message", "editor") == 403
    assert [at("GET", path, "viewer") for path in ("", "api/2.0/mlflow/experiments/get?experiment_id=0")] == [200, 200]
