"""A real MLflow server for the whole session, and a store that is a dict."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from monitor.domain import Checkpoint, Finding, RunInfo, SeriesInfo
from monitor.mlflow_store import Exporter, rest
from monitor.server.ports import free_port
from monitor.store import Store
from monitor.store.mirrors import Arrived

if TYPE_CHECKING:
    from mlflow import MlflowClient

STARTS_WITHIN_S = 300


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port("127.0.0.1", 0, "port")
    uri = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
                *(
                    "--backend-store-uri",
                    f"sqlite:///{folder}/mlflow.db",
                    "--artifacts-destination",
                    str(folder / "art"),
                ),
                *("--workers", "1"),
            ],
            env={
                **os.environ,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "DO_NOT_TRACK": "true",
                "PYTHONWARNINGS": "ignore",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(uri, child, folder / "log")
            yield uri
        finally:
            os.killpg(child.pid, 15)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, 9)
                child.wait()


def _wait(uri: str, child: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end and child.poll() is None:
        try:
            if httpx.get(f"{uri}/health", timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    pytest.fail(f"MLflow did not start: {log.read_text()[-2000:]}")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass of an exporter copies all that there is, and waits for a busy MLflow."""
    monkeypatch.setitem(Exporter.__init__.__kwdefaults__, "budget_s", math.inf)
    monkeypatch.setattr(rest, "TIMEOUT_S", 60.0)


@pytest.fixture
def mlflow_client(mlflow_uri: str) -> MlflowClient:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        return MlflowClient(mlflow_uri)


class DictStore(Store):
    """Runs by id, with the version that was exported; without points."""

    def __init__(self) -> None:
        self.runs: dict[str, RunInfo] = {}
        self.all_series: dict[str, tuple[SeriesInfo, ...]] = {}
        self.external: dict[str, tuple[int, str | None]] = {}

    def put(self, run: RunInfo, *series: SeriesInfo) -> None:
        self.runs[run.id] = run
        self.all_series[run.id] = series

    def changed_runs(
        self, target: str, limit: int = 100, *, without: Collection[str] = ()
    ) -> tuple[tuple[RunInfo, str | None], ...]:
        rows = [(run, self.external.get(run.id, (-1, None))) for run in self.runs.values()]
        return tuple((run, known) for run, (version, known) in rows if run.version > version and run.id not in without)[
            :limit
        ]

    def exported(self, run_id: str, target: str, version: int, external_id: str | None) -> None:
        self.external[run_id] = (version, external_id)

    def mirrored_as(self, run_id: str, target: str, external_id: str, *, instead_of: str | None) -> str:
        version, known = self.external.get(run_id, (-1, None))
        if known == instead_of:
            self.external[run_id] = (version, external_id)
            return external_id
        assert known is not None
        return known

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        return self.all_series[run_id]

    def mirrored_ids(self, target: str, limit: int) -> tuple[str, ...]:
        return tuple(known for _, known in self.external.values() if known is not None)[:limit]

    def mirror_again(self, target: str) -> None:
        self.external = {run_id: (0, known) for run_id, (_, known) in self.external.items()}

    def findings(self, run_id: str) -> tuple[Finding, ...]:
        return ()

    def checkpoints(self, run_id: str) -> tuple[Checkpoint, ...]:
        return ()

    def capture(self, run_id: str) -> Mapping[str, object]:
        return {}

    def arrived(self, run_id: str, target: str, most: int) -> tuple[Arrived, ...]:
        return ()

    def mirrored(self, run_id: str, target: str, far: Sequence[tuple[Arrived, int]]) -> None:
        pass
