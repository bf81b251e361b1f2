from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.domain import Reply
from monitor.errors import OffsetGap, RunNotFound, SchemaMismatch, ServerUnreachable, StoreBusy, Unauthorized, WireError
from monitor.journal.ack import read_ack
from monitor.journal.write.journal import Journal
from monitor.shipping.shipper import _FIRST_WAIT_S, _MOST_WAIT_S, _SLOW_WAIT_S, Shipper
from monitor.shipping.sinks import MemorySink, Sink
from monitor.wire import Batch

RUN = "ab" * 16


class Bench:
    """A journal, a sink and a shipper between them."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder, RUN, first_bytes=16 * 1024, quota=64 << 20)
        self.journal.event("run", {"project": "p"})
        self.folder = folder
        self.replies: list[Reply] = []
        self.shippers: list[Shipper] = []

    def write(self, n: int, begin: int = 0) -> None:
        for i in range(begin, begin + n):
            if not self.journal.try_points({"x": float(i)}, i):
                self.journal.points(("x",), [float(i)], step=i)

    def made(self, sink: Sink, *, open_sink: Callable[[], Sink] | None = None, joins: bool = False) -> Shipper:
        """A shipper that has not started."""
        return Shipper(
            self.folder,
            RUN,
            "w",
            open_sink or (lambda: sink),
            interval_s=0.01,
            heartbeat_s=0.05,
            on_reply=self.replies.append,
            joins=joins,
            rng=random.Random(1),
        )

    def ship(self, sink: Sink, *, open_sink: Callable[[], Sink] | None = None, joins: bool = False) -> Shipper:
        shipper = self.made(sink, open_sink=open_sink, joins=joins)
        self.shippers.append(shipper)
        shipper.start()
        return shipper


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "w")
    yield made
    for shipper in made.shippers:
        shipper.stop()


def steps(sink: MemorySink) -> list[int]:
    return [step for step, _ in sink.points(RUN, "x")]


def test_ships_all_in_order_and_notes_what_is_acknowledged(bench: Bench) -> None:
    sink = MemorySink()
    bench.write(5000)
    shipper = bench.ship(sink)
    assert shipper.drain(5001, 60)
    assert steps(sink) == list(range(5000))
    assert read_ack(bench.folder).record == 5001
    assert shipper.acked == 5001
    assert bench.replies[-1].acked == 5001


def test_goes_on_where_another_shipper_ended(bench: Bench) -> None:
    sink = MemorySink()
    bench.write(1000)
    first = bench.ship(sink)
    assert first.drain(1001, 60)
    assert first.stop(60)
    bench.write(1000, 1000)
    assert bench.ship(sink).drain(2001, 60)
    assert steps(sink) == list(range(2000))


def test_a_beat_is_sent_where_there_is_nothing_to_say(bench: Bench) -> None:
    sink = MemorySink()
    assert bench.ship(sink).drain(1, 60)
    assert sink.wait_for(lambda: sum(batch.count == 0 for batch in sink.batches) >= 2, 60)
    assert {batch.first for batch in sink.batches if batch.count == 0} == {1}


@pytest.mark.parametrize("error", [ServerUnreachable("s", "refused"), StoreBusy("u", 5.0), OSError("reset")], ids=str)
def test_tries_again_after_what_passes_and_says_so_once(
    bench: Bench, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    fails = iter([True] * 3)

    def before(_: Batch) -> None:
        if next(fails, False):
            raise error

    sink = MemorySink(before)
    bench.write(10)
    shipper = bench.ship(sink)
    assert shipper.drain(11, 60)
    assert steps(sink) == list(range(10))
    assert len(caplog.records) == 1
    assert shipper.trouble is None


@pytest.mark.parametrize(
    ("error", "longest"),
    [
        (ServerUnreachable("http://x", "is down"), _MOST_WAIT_S),
        (StoreBusy("sqlite", 5.0), _MOST_WAIT_S),
        (Unauthorized("http://x"), _SLOW_WAIT_S),
        (SchemaMismatch("sqlite", found="1", wanted="2", command="monitor db upgrade"), _SLOW_WAIT_S),
    ],
)
def test_the_wait_doubles_up_to_its_bound(bench: Bench, error: Exception, longest: float) -> None:
    ships = bench.made(MemorySink())  # the heartbeats of one that runs succeed, which ends a row of failures
    waits = [ships._failed(error) for _ in range(40)]
    least, most = 0.5, 1.5  # jitter
    for tries, wait in enumerate(waits):
        due = min(longest, _FIRST_WAIT_S * 2.0**tries)
        assert least * due <= wait <= most * due
    assert min(waits[10:]) < 0.8 * longest < 1.2 * longest < max(waits)


def test_the_wait_is_short_again_after_something_was_stored(bench: Bench) -> None:
    ships = bench.ship(MemorySink())
    for _ in range(10):
        ships._failed(ServerUnreachable("http://x", "is down"))
    bench.write(3)
    assert ships.drain(4, 60)
    assert ships._failed(ServerUnreachable("http://x", "is down")) <= 1.5 * _FIRST_WAIT_S


def test_a_lost_answer_makes_no_point_twice(bench: Bench) -> None:
    rng = random.Random(7)

    def after(_: Batch) -> None:
        if rng.random() < 0.5:
            raise ServerUnreachable("s", "timed out")

    sink = MemorySink(after=after)
    shipper = bench.ship(sink)
    for k in range(5):
        bench.write(300, 300 * k)
        assert shipper.drain(300 * (k + 1) + 1, 60)
    assert steps(sink) == list(range(1500))


def test_goes_back_where_the_receiver_forgot_and_forward_where_it_knows_more(bench: Bench) -> None:
    sink = MemorySink()
    bench.write(100)
    shipper = bench.ship(sink)
    assert shipper.drain(101, 60)
    sink._acked[RUN, "w"] = 50  # restored from an old backup
    bench.write(100, 100)
    assert shipper.drain(201, 60)
    assert steps(sink) == [*range(100), *range(49, 200)]
    assert shipper.stop(60)
    sink._acked[RUN, "w"] = 250  # an answer was lost, and the noted offset with it
    bench.write(100, 200)
    assert bench.ship(sink).drain(301, 60)
    assert steps(sink)[-51:] == list(range(249, 300))


def test_what_is_refused_for_good_is_said_once_and_kept(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def before(_: Batch) -> None:
        raise WireError("points.key", "is no key")

    sink = MemorySink(before)
    bench.write(10)
    shipper = bench.ship(sink)
    assert not shipper.drain(11, 60)
    assert isinstance(shipper.refused, WireError)
    assert len(caplog.records) == 1
    assert str(bench.folder) in caplog.text
    assert read_ack(bench.folder).record == 0


def test_a_receiver_that_asks_for_what_is_not_there_is_a_refusal(bench: Bench) -> None:
    def before(batch: Batch) -> None:
        raise OffsetGap(batch.run_id, batch.writer, expected=10**6, got=batch.first)

    shipper = bench.ship(MemorySink(before))
    assert not shipper.drain(1, 60)
    assert isinstance(shipper.refused, WireError)


def test_a_receiver_that_asks_in_circles_is_not_spun_on(bench: Bench) -> None:
    asked = 0

    def before(batch: Batch) -> None:
        nonlocal asked
        asked += 1
        raise OffsetGap(batch.run_id, batch.writer, expected=(batch.first + 1) % 5, got=batch.first)

    bench.write(100)
    shipper = bench.ship(MemorySink(before))
    assert not shipper.drain(101, 60, patient=False)
    assert shipper.trouble is not None
    assert not shipper.drain(101, 1.0)
    assert asked < 50


def test_an_extra_writer_waits_for_its_run(bench: Bench) -> None:
    there = threading.Event()

    def before(batch: Batch) -> None:
        if not there.is_set():
            raise RunNotFound(batch.run_id)

    sink = MemorySink(before)
    shipper = bench.ship(sink, joins=True)
    assert not shipper.drain(1, 0.3)
    assert shipper.refused is None
    there.set()
    assert shipper.drain(1, 60)


def test_a_missing_run_is_a_refusal_for_its_owner(bench: Bench) -> None:
    def before(batch: Batch) -> None:
        raise RunNotFound(batch.run_id)

    shipper = bench.ship(MemorySink(before))
    assert not shipper.drain(1, 60)
    assert isinstance(shipper.refused, RunNotFound)


def test_a_sink_that_cannot_be_opened_yet_is_opened_later(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    sink = MemorySink()
    fails = iter([Unauthorized("s"), ValueError("unexpected")])

    def open_sink() -> Sink:
        error = next(fails, None)
        if error is not None:
            raise error
        return sink

    shipper = bench.ship(sink, open_sink=open_sink)
    with caplog.at_level(logging.WARNING):
        assert shipper.drain(1, 60)
    assert len(caplog.records) == 2


def test_segments_that_are_acknowledged_are_deleted(bench: Bench) -> None:
    sink = MemorySink()
    shipper = bench.ship(sink)
    for k in range(6):
        bench.write(3000, 3000 * k)
        assert shipper.drain(3000 * (k + 1) + 1, 60)
    assert len(list(bench.folder.glob("*.seg"))) == 1
    assert steps(sink) == list(range(18_000))


def test_ends_at_once_though_it_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def before(_: Batch) -> None:
        raise Unauthorized("s")

    monkeypatch.setattr("monitor.shipping.shipper._FIRST_WAIT_S", 600.0)
    monkeypatch.setattr("monitor.shipping.shipper._SLOW_WAIT_S", 600.0)
    shipper = bench.ship(MemorySink(before))
    shipper.first_answer(60)
    assert shipper.trouble is not None
    assert shipper.stop(60)
