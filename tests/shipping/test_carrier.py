"""Batches that a receiver does not take: halved down to the record, which is set aside, and never sent for ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.errors import (
    BatchTooLarge,
    OffsetGap,
    RunExists,
    ServerFailed,
    ServerUnreachable,
    StoreBusy,
    Unauthorized,
    WireError,
)
from monitor.journal.read.records import JournalReader
from monitor.journal.write.journal import Journal
from monitor.shipping.carrier import Carrier, aside
from monitor.shipping.sinks import MemorySink
from monitor.wire import Batch, encode_batch

RUN = "ab" * 16
START = {"project": "p", "name": "r", "config": {"lr": 0.1}, "tags": {"a": "b"}, "resume": "never", "join": False}


def write(folder: Path, n: int, start: dict[str, object] = START) -> Journal:
    """A journal of a start and n records, of which each tenth is an event."""
    journal = Journal(folder, RUN, first_bytes=16 * 1024, quota=64 << 20)
    journal.event("run", start)
    for i in range(1, n + 1):
        if i % 10 == 0:
            journal.event("checkpoint", {"step": i, "path": f"{i}.pt"})
        else:
            journal.points(("x",), [float(i)], step=i)
    journal.close()
    return journal


def carry(folder: Path, sink: MemorySink, tries: int = 200) -> Carrier:
    """Send all of a journal, errors tried again."""
    carrier = Carrier(JournalReader(folder, recover=True), RUN, "w")
    while carrier.load() is not None:
        try:
            carrier.send(sink)
        except Exception:
            tries -= 1
            if not tries:
                raise
    return carrier


def records(batch: Batch) -> set[int]:
    return set(range(batch.first, batch.end))


def arrived(sink: MemorySink) -> set[int]:
    """Records that came as they were logged."""
    points = {step for step, _ in sink.points(RUN, "x")}
    return points | {e.record for e in sink.events(RUN) if e.kind != "warning"}


def refused(sink: MemorySink) -> dict[int, int]:
    return {e.record: int(str(e.data["count"])) for e in sink.events(RUN, "warning") if e.data["name"] == "refused"}


def poisoned(bad: set[int], error: Callable[[], Exception]) -> MemorySink:
    """A receiver that refuses a batch with one of these records in it, unless a notice stands for it."""

    def before(batch: Batch) -> None:
        noticed = {e.record for e in batch.events if e.data.get("name") == "refused"}
        if (records(batch) & bad) - noticed:
            raise error()

    return MemorySink(before)


ERRORS = {
    "refused": lambda: WireError("events[0].data.path", "must be a path"),
    "too large": lambda: BatchTooLarge("s", "HTTP 413"),
    "failed": lambda: ServerFailed("s", "OverflowError"),
    "unexpected": lambda: OverflowError("int too large"),
    "reset": lambda: ServerUnreachable("s", "broken pipe", cut="reset"),
}


@pytest.mark.parametrize("how", ERRORS)
@settings(max_examples=8)
@given(bad=st.sets(st.integers(1, 60), max_size=4))
def test_only_the_records_that_are_refused_are_left_out(
    tmp_path_factory: pytest.TempPathFactory, how: str, bad: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("j") / "w"
    write(folder, 60)
    sink = poisoned(bad, ERRORS[how])
    carrier = carry(folder, sink)
    assert refused(sink) == dict.fromkeys(bad, 1)
    assert arrived(sink) == set(range(61)) - bad
    assert sink._acked[RUN, "w"] == 61
    assert carrier.aside == len(bad) == aside(folder)[0]
    assert [b.first for b in sink.batches] == sorted(b.first for b in sink.batches)


def test_one_bad_record_of_a_long_journal_costs_few_requests(tmp_path: Path) -> None:
    write(tmp_path / "w", 20_000)
    sent = 0
    sink = poisoned({13_331}, ERRORS["refused"])
    before = sink._before

    def counted(batch: Batch) -> None:
        nonlocal sent
        sent += 1
        assert before is not None
        before(batch)

    sink._before = counted
    carry(tmp_path / "w", sink)
    assert len(arrived(sink)) == 20_000
    assert sent < 100


@pytest.mark.parametrize(
    "error",
    [
        ServerUnreachable("s", "connection refused"),
        ServerUnreachable("s", "HTTP 502"),
        ServerUnreachable("s", "timed out", cut="timeout"),
        StoreBusy("u", 5.0),
        Unauthorized("s"),
        OSError("no route"),
    ],
    ids=lambda error: f"{type(error).__name__}-{error}"[:40],
)
def test_a_receiver_that_is_down_never_sets_anything_aside(tmp_path: Path, error: Exception) -> None:
    write(tmp_path / "w", 60)
    fails = iter([True] * 60)

    def before(_: Batch) -> None:
        if next(fails, False):
            raise error

    sink = MemorySink(before)
    assert carry(tmp_path / "w", sink).aside == 0
    assert arrived(sink) == set(range(61))


def test_a_receiver_that_fails_at_everything_for_a_while_sets_nothing_aside(tmp_path: Path) -> None:
    write(tmp_path / "w", 60)
    fails = iter([True] * 150)

    def before(_: Batch) -> None:
        if next(fails, False):
            raise ServerFailed("s", "HTTP 500")

    sink = MemorySink(before)
    assert carry(tmp_path / "w", sink).aside == 0
    assert arrived(sink) == set(range(61))


def test_where_even_the_notice_is_refused_nothing_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "w", 60)

    def before(_: Batch) -> None:
        raise WireError("body", "starts with b'LMB1': another format")

    with pytest.raises(WireError, match="another format"):
        carry(tmp_path / "w", MemorySink(before), tries=1)
    assert aside(tmp_path / "w") == (0, None)


def test_the_size_that_worked_is_remembered_and_grows_slowly(tmp_path: Path) -> None:
    write(tmp_path / "w", 20_000)
    most, refusals = 40_000, 0

    def before(batch: Batch) -> None:
        nonlocal refusals
        if len(encode_batch(batch)) > most:
            refusals += 1
            raise BatchTooLarge("s", "HTTP 413")

    sink = MemorySink(before)
    carry(tmp_path / "w", sink)
    assert arrived(sink) == set(range(20_001))
    sizes = [len(encode_batch(batch)) for batch in sink.batches]
    assert refusals < len(sizes) / 4
    assert sorted(sizes)[len(sizes) // 2] > most / 3


def test_a_start_that_is_refused_goes_without_what_is_refused_of_it(tmp_path: Path) -> None:
    start = {**START, "config": {"text": "x" * 50_000}, "tags": {"": "no name"}}
    write(tmp_path / "w", 20, start)

    def before(batch: Batch) -> None:
        if len(encode_batch(batch)) > 10_000:
            raise BatchTooLarge("s", "HTTP 413")
        for i, event in enumerate(batch.events):
            if event.data.get("tags"):
                raise WireError(f"events[{i}].data.tags", "has a tag without a name")

    sink = MemorySink(before)
    carry(tmp_path / "w", sink)
    (run,) = sink.events(RUN, "run")
    assert run.data == {"project": "p", "name": "r", "resume": "never", "join": False}
    assert refused(sink) == {0: 1}
    assert arrived(sink) == set(range(21))


def test_the_end_of_a_run_is_never_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w", RUN)
    journal.event("run", START)
    journal.event("finish", {"status": "failed", "error": "x" * 5000, "reason": None})
    journal.close()

    def before(batch: Batch) -> None:
        if any(event.data.get("error") for event in batch.events):
            raise WireError("events[0].data.error", "is too long")

    sink = MemorySink(before)
    carry(tmp_path / "w", sink)
    (end,) = sink.events(RUN, "finish")
    assert end.data["status"] == "failed"


def test_a_refusal_of_the_run_itself_is_raised(tmp_path: Path) -> None:
    write(tmp_path / "w", 20)

    def before(batch: Batch) -> None:
        raise RunExists(batch.run_id)

    with pytest.raises(RunExists):
        carry(tmp_path / "w", MemorySink(before), tries=1)


class TestAFirstRecordThatIsLost:
    @pytest.mark.parametrize("how", ["segment 0 deleted", "record damaged", "header and record damaged"])
    def test_is_made_up_from_what_its_writer_noted(self, tmp_path: Path, how: str) -> None:
        write(tmp_path / "w", 3000)
        note = {"project": "mine", "run": "brisk-otter-7", "start": {"resume": "allow", "join": False, "group": "g"}}
        (tmp_path / "w" / "writer.json").write_text(json.dumps(note))
        path = tmp_path / "w" / "00000000.seg"
        if how == "segment 0 deleted":
            path.unlink()
        else:
            data = bytearray(path.read_bytes())
            data[80] ^= 1
            data[17] ^= how.startswith("header")
            path.write_bytes(data)
        sink = MemorySink()
        carry(tmp_path / "w", sink)
        first = sink.batches[0].events[0]
        assert (first.kind, first.record) == ("run", 0)
        assert first.data == {
            "project": "mine",
            "name": "brisk-otter-7",
            "resume": "allow",
            "join": False,
            "group": "g",
        }
        gone = sum(int(str(e.data["count"])) for e in sink.events(RUN, "warning") if e.data["name"] == "lost")
        assert gone > 0
        assert len(arrived(sink) - {0}) == 3001 - gone
        assert sink._acked[RUN, "w"] == 3001

    def test_without_any_note_still_begins_a_run(self, tmp_path: Path) -> None:
        write(tmp_path / "w", 3000)
        (tmp_path / "w" / "00000000.seg").unlink()
        sink = MemorySink()
        carry(tmp_path / "w", sink)
        assert sink.batches[0].events[0].data["project"] == "default"

    def test_so_is_that_of_a_run_that_the_receiver_has_forgotten(self, tmp_path: Path) -> None:
        write(tmp_path / "w", 3000)
        reader = JournalReader(tmp_path / "w", recover=True)
        while reader.position.segment == 0:
            assert reader.read(500) is not None
        stored = reader.position.record
        reader.drop_read()

        def before(batch: Batch) -> None:
            if batch.first and (RUN, "w") not in sink._acked:
                raise OffsetGap(RUN, "w", expected=0, got=batch.first)

        sink = MemorySink(before)
        carrier = Carrier(reader, RUN, "w")
        while carrier.load() is not None:
            carrier.send(sink)
        assert sink.events(RUN, "run")
        assert sink._acked[RUN, "w"] == 3001
        assert arrived(sink) >= set(range(stored, 3001))
