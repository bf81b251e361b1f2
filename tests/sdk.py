"""A folder, a sink in memory and settings that do not wait, for every test of the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.run import lifetime
from monitor.run.start import Run, init
from monitor.settings import Settings, load
from monitor.shipping.sinks import MemorySink


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No setting of the machine, no run that outlives its test, and time for what a run waits for."""
    for name in ("MONITOR_SERVER_URL", "MONITOR_TOKEN", "MONITOR_RUN_ID", "RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path))
    for limit in ("start._FIRST_ANSWER_S", "run._CAPTURE_S", "capture._GIT_S"):
        monkeypatch.setattr(f"monitor.run.{limit}", 60.0)
    yield
    for run in list(lifetime._open):
        run.finish()
    lifetime._current.clear()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(
        dir=tmp_path, capture=False, ship_interval_s=0.02, heartbeat_s=0.2, finish_timeout_s=60.0, fsync_interval_s=0.05
    )


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def start(settings: Settings, sink: MemorySink) -> Callable[..., Run]:
    """Starts a run that goes to the sink in memory."""

    def make(**options: object) -> Run:
        given = {"project": "p", "settings": settings, "sink": sink, **options}
        return init(**given)  # type: ignore[arg-type]  # a test's own arguments

    return make
