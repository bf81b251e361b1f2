"""A name server that is slow or silent, for real: in a network of its own whose only name server is ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.settings import load
from monitor.shipping.sinks import MemorySink
from monitor.shipping.sync import sync, unsent
from monitor.store import Store
from tests.faults.conftest import check, until
from tests.faults.slow_names import STEPS

pytestmark = pytest.mark.faults
APART = ["unshare", "--mount", "--net", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    if sys.platform != "linux" or subprocess.run([*APART, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a network of its own needs Linux namespaces, which this process may not make")


def logged(folder: Path, delay_s: float, finish_timeout_s: float) -> dict[str, Any]:
    """What a loop measured that logs to a server whose name takes so long."""
    script = [sys.executable, "-m", "tests.faults.slow_names", str(folder), str(delay_s), str(finish_timeout_s)]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [*APART, *script], cwd=root, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True,
        timeout=300, start_new_session=True, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["asked"] > 0
    assert found["ratio"] < 3, "log() costs more while the name is looked up"
    assert found["init_s"] < 25  # a lookup takes 30 s at least
    return found


def test_a_name_server_that_answers_late_delays_the_shipping_alone(tmp_path: Path) -> None:
    found = logged(tmp_path, 1.0, 40.0)
    left = [item.run_id for item in unsent(tmp_path / "journal")]
    assert found["run_id"] not in left  # finish() waited for it
    server = load(dir=tmp_path / "server")
    with Store.open(server.store_url) as store:
        assert check(store, found["run_id"], "train/loss", STEPS) == STEPS


def test_a_name_server_that_never_answers_costs_no_more_than_the_time_finish_may_take(tmp_path: Path) -> None:
    found = logged(tmp_path, -1.0, 0.5)
    assert found["finish_s"] < 25
    sink = MemorySink()
    until(lambda: sync(tmp_path / "journal", lambda _: sink).sent, 60)
    assert sink.points(found["run_id"], "train/loss") == [(step, float(step)) for step in range(STEPS)]
