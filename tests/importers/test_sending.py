"""Runs reach the store once, whatever happens on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import OffsetGap, ServerUnreachable
from monitor.importers import ImportedRun, read_runs, run_id_of, send_run, sending
from monitor.ingest import ingest
from monitor.ingest.engines import Engines
from monitor.shipping.sinks import MemorySink
from monitor.store import Store
from monitor.wire import Batch


def table(path: Path, n: int, *, start: float = 2.0) -> ImportedRun:
    path.write_text("step,loss,val_loss\n" + "".join(f"{i},{start / (i + 1)},{i}\n" for i in range(n)))
    (run,) = read_runs(path)
    assert isinstance(run, ImportedRun)
    return run


def test_a_run_arrives_with_its_start_its_points_and_its_end(tmp_path: Path) -> None:
    run, sink = table(tmp_path / "a.csv", 10), MemorySink()
    sent = send_run(run, sink.send, project="vision", name="first")
    assert sent.points == 20
    assert [e.kind for e in sink.events(sent.run_id)] == ["run", "capture", "finish"]
    assert sink.events(sent.run_id)[0].data["project"] == "vision"
    assert sink.events(sent.run_id)[0].data["name"] == "first"
    assert sink.points(sent.run_id, "loss") == [(i, 2.0 / (i + 1)) for i in range(10)]


def test_the_same_again_is_one_duplicate(tmp_path: Path, store: Store) -> None:
    def send(batch: Batch):  # type: ignore[no-untyped-def]  # the reply's type is the store's matter
        calls.append(batch)
        return ingest(store, Engines(), batch, now_ms=1_700_000_000_000)

    calls: list[Batch] = []
    run = table(tmp_path / "a.csv", 100)
    first = send_run(run, send)
    version = store.run(first.run_id).version
    calls.clear()
    again = send_run(table(tmp_path / "a.csv", 100), send)
    assert (again.run_id, again.points, again.known) == (first.run_id, 0, True)
    assert len(calls) == 1
    assert store.run(first.run_id).version == version
    assert store.run(first.run_id).status == "finished"
    assert len(store.history(first.run_id, "loss")) == 100


def test_a_source_that_has_grown_is_a_new_attempt(tmp_path: Path, store: Store) -> None:
    def send(batch: Batch):  # type: ignore[no-untyped-def]  # the reply's type is the store's matter
        return ingest(store, Engines(), batch, now_ms=1_700_000_000_000)

    first = send_run(table(tmp_path / "a.csv", 50), send)
    grown = send_run(table(tmp_path / "a.csv", 80), send)
    assert grown.run_id == first.run_id and not grown.known
    info = store.run(first.run_id)
    assert (info.attempt, info.status) == (2, "finished")
    assert store.history(first.run_id, "loss").steps.tolist() == list(range(80))
    assert len(store.history(first.run_id, "loss", attempt=1)) == 50


def test_another_run_at_the_same_path_and_another_project_are_other_runs(tmp_path: Path) -> None:
    run = table(tmp_path / "a.csv", 5)
    other = table(tmp_path / "a.csv", 5, start=3.0)
    assert len({run_id_of(run), run_id_of(other), run_id_of(run, "vision")}) == 3


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 9))
def test_lost_answers_and_broken_connections_lose_and_double_nothing(tmp_path_factory, fates, size) -> None:
    """True: the batch arrives but its answer is lost; False: it does not arrive."""
    run, remaining = table(tmp_path_factory.mktemp("t") / "a.csv", 12), iter(fates)
    sink = MemorySink()

    def send(batch: Batch):  # type: ignore[no-untyped-def]  # the reply's type is the sink's matter
        arrives = next(remaining, None)
        if arrives is False:
            raise ServerUnreachable("x", "down")
        reply = sink.send(batch)
        if arrives:
            raise ServerUnreachable("x", "timeout")
        return reply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "BATCH", size)
        for _ in range(len(fates) + 1):
            try:
                sent = send_run(run, send)
                break
            except ServerUnreachable:
                continue
    assert sink.points(sent.run_id, "loss") == [(i, 2.0 / (i + 1)) for i in range(12)]
    assert [e.kind for e in sink.events(sent.run_id)] == ["run", "capture", "finish"]


def test_batches_of_another_size_close_the_gap(tmp_path: Path) -> None:
    run, sink = table(tmp_path / "a.csv", 12), MemorySink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "BATCH", 7)
        with pytest.raises(ServerUnreachable):
            send_run(run, MemoryThatBreaks(sink, after=2).send)
    sent = send_run(run, sink.send)
    assert sink.points(sent.run_id, "val_loss") == [(i, float(i)) for i in range(12)]


def test_a_gap_that_cannot_be_closed_is_raised(tmp_path: Path) -> None:
    def send(batch: Batch):  # type: ignore[no-untyped-def]  # it never answers
        raise OffsetGap(batch.run_id, batch.writer, expected=10**9, got=batch.first)

    with pytest.raises(OffsetGap):
        send_run(table(tmp_path / "a.csv", 3), send)


class MemoryThatBreaks:
    """Takes some batches, then nobody answers."""

    def __init__(self, sink: MemorySink, after: int) -> None:
        self.sink, self.after = sink, after

    def send(self, batch: Batch):  # type: ignore[no-untyped-def]  # the reply's type is the sink's matter
        self.after -= 1
        if self.after < 0:
            raise ServerUnreachable("x", "down")
        return self.sink.send(batch)
