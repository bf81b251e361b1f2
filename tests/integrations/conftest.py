"""Runs in memory, given or started by a callback, which are told to stop when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from monitor.domain import Action, Recommendation
from monitor.integrations import _owned
from monitor.run.start import Run, init
from monitor.settings import Settings, load
from monitor.shipping.sinks import MemorySink
from tests.sdk import _alone, start  # noqa: F401


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


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, settings: Settings, sink: MemorySink) -> list[Run]:
    """The runs that callbacks start, in memory."""
    made: list[Run] = []

    def begin(project: str, name: str | None = None, **options: Any) -> Run:
        made.append(init(project, name, **{**options, "settings": settings, "sink": sink}))
        return made[-1]

    monkeypatch.setattr(_owned, "init", begin)
    return made
