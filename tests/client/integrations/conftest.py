"""A run in memory that is told to stop at a step of the test's choosing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from monitor.client.run import Run, init
from monitor.client.sinks import MemorySink
from monitor.domain import Action, Recommendation
from monitor.settings import Settings, load


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load(dir=tmp_path_factory.mktemp("store"), capture=False, ship_interval_s=0.005)


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def run(settings: Settings, sink: MemorySink) -> Run:
    return init("p", settings=settings, sink=sink)


@pytest.fixture
def stop(sink: MemorySink) -> Callable[[], None]:
    """Makes the receiver recommend a stop from now on."""

    def now() -> None:
        sink.recommendation = Recommendation(action=Action.STOP, stop_step=1, reason="enough")

    return now
