from __future__ import annotations

from pathlib import Path

import pytest

from monitor.journal.read.records import JournalReader
from monitor.journal.write.journal import Journal
from monitor.run import background
from monitor.run.start import init
from monitor.run.system import SystemSampler
from monitor.settings import Settings
from monitor.shipping.sinks import MemorySink


def test_measures_the_machine_and_this_process() -> None:
    sampler = SystemSampler()
    sum(i * i for i in range(2_000_000))  # some work, so that there is something to measure
    found = sampler.sample()
    assert found["system/process_cpu_percent"] > 0
    assert found["system/process_memory_mib"] > 5
    assert 0 < found["system/memory_percent"] < 100
    assert 0 <= found["system/cpu_percent"] <= 100
    assert all(key.startswith("system/") for key in found)


def test_takes_the_step_the_loop_is_at_and_moves_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w", "0" * 32)
    journal.points(("loss",), [1.0], step=5)
    journal.points(("system/cpu",), [50.0], aside=True)
    journal.points(("loss",), [1.0])
    part = JournalReader(tmp_path / "w").read()
    assert part is not None
    assert part.points.step.tolist() == [5, 5, 6]


@pytest.mark.parametrize("capture", [True, False])
def test_is_logged_from_time_to_time_unless_it_is_switched_off(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capture: bool
) -> None:
    monkeypatch.setattr(background, "INTERVAL_S", 0.05)
    sink = MemorySink()
    with init("p", settings=settings.model_copy(update={"capture": ("system",) if capture else ()}), sink=sink) as run:
        run.log({"loss": 1.0}, step=7)
        came = sink.wait_for(lambda: bool(sink.points(run.id, "system/process_memory_mib")), 60 if capture else 0.3)
    assert came is capture
    if capture:
        assert {step for step, _ in sink.points(run.id, "system/process_memory_mib")} <= {0, 7}
