from __future__ import annotations

import errno
import math
import signal
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.journal import segment
from monitor.journal.ack import AckFile, Position, read_ack
from monitor.journal.read.records import JournalReader
from monitor.journal.write import journal as journal_module
from monitor.journal.write.append import appender
from monitor.journal.write.journal import Journal

RUN = "0123456789abcdef" * 2


def everything(folder: Path, *, recover: bool = True) -> list[tuple[int, dict[str, float], int]]:
    """Every record's number, values and step, read one by one; an event is its kind at step -1."""
    reader, found = JournalReader(folder, recover=recover), []
    while (part := reader.read(1)) is not None:
        assert part.count == 1
        row = {part.keys[k]: v for k, v in zip(part.points.key.tolist(), part.points.value.tolist(), strict=True)}
        row |= {event.kind: 0.0 for event in part.events}
        found.append((part.first, row, int(part.points.step[0]) if len(part.points) else -1))
    return found


def in_four_threads(write: Callable[[str], None]) -> None:
    """Call with "t0" to "t3" at once, and wait for all."""
    threads = [threading.Thread(target=write, args=(f"t{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class TestWhatIsWritten:
    def test_reads_back_as_it_was_logged(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        journal.event("run", {"project": "p"})
        journal.points(("a", "b"), [1.0, math.inf], step=5)
        assert journal.try_points({"a": 2.0, "b": -math.inf}, 6)
        assert journal.try_points({"a": math.nan, "b": 0.1}, 7)
        found = everything(tmp_path / "w")
        assert [number for number, _, _ in found] == [0, 1, 2, 3]
        assert found[0][1] == {"run": 0.0}
        assert found[1:3] == [(1, {"a": 1.0, "b": math.inf}, 5), (2, {"a": 2.0, "b": -math.inf}, 6)]
        assert math.isnan(found[3][1]["a"])

    def test_is_there_for_another_reader_at_once(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        reader = JournalReader(tmp_path / "w")
        assert reader.read() is None
        for step in range(5):
            journal.points(("a",), [float(step)], step=step)
            part = reader.read()
            assert part is not None
            assert part.first == step
            assert part.points.value.tolist() == [float(step)]
        assert reader.read() is None

    def test_keeps_epochs_only_where_they_were_given(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        journal.points(("a",), [1.0], step=0)
        journal.points(("a",), [2.0], step=1, epoch=0.5)
        part = JournalReader(tmp_path / "w").read()
        assert part is not None
        assert part.points.epoch is not None
        assert part.points.epoch.tolist()[1] == 0.5
        assert math.isnan(part.points.epoch.tolist()[0])

    def test_keeps_the_time_that_was_given(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        journal.points(("a",), [1.0], step=0, at_ns=1_700_000_000_123_456_789)
        part = JournalReader(tmp_path / "w").read()
        assert part is not None
        assert part.points.time_ms.tolist() == [1_700_000_000_123]

    def test_goes_on_over_many_segments(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN, first_bytes=16 * 1024, quota=64 << 20)
        for i in range(20_000):
            if not journal.try_points({"a": float(i), "b": -1.0}, i):
                journal.points(("a", "b"), [float(i), -1.0], step=i)
        assert len(list((tmp_path / "w").glob("*.seg"))) > 2
        for recover in (False, True):
            reader = JournalReader(tmp_path / "w", recover=recover)
            values: list[float] = []
            while (part := reader.read(777)) is not None:
                chosen = part.points.key == part.keys.index("a")
                values += part.points.value[chosen].tolist()
            assert values == [float(i) for i in range(20_000)]

    def test_takes_a_record_that_is_longer_than_a_segment(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN, first_bytes=16 * 1024)
        keys = tuple(f"metric/{i}" for i in range(20_000))
        journal.points(keys, [float(i) for i in range(20_000)], step=3)
        journal.event("config", {"config": {"text": "x" * 100_000}})
        part = JournalReader(tmp_path / "w", recover=True).read()
        assert part is not None
        assert part.points.value.tolist() == [float(i) for i in range(20_000)]
        assert len(part.keys) == 20_000

    def test_gives_a_step_where_none_is_given(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        for data in ({"train": 1.0}, {"train": 2.0}, {"val": 9.0}, {"train": 3.0}, {"train": 4.0}, {"val": 8.0}):
            if not journal.try_points(data, None):
                journal.points(tuple(data), list(data.values()))
        assert [(next(iter(row)), step) for _, row, step in everything(tmp_path / "w")] == [
            ("train", 0), ("train", 1), ("val", 1), ("train", 2), ("train", 3), ("val", 3)
        ]  # fmt: skip

    @pytest.mark.parametrize("width", [1, 2, 16, 17, 300])
    def test_takes_the_same_keys_in_any_order_and_tells_other_ones_apart(self, tmp_path: Path, width: int) -> None:
        journal = Journal(tmp_path / "w", RUN)
        rows = [{f"k{i}": float(i + 100 * n) for i in range(width)} for n in range(3)]
        other = {"other" if key == "k0" else key: value for key, value in rows[1].items()}
        given = [rows[0], rows[1], dict(reversed(rows[2].items())), other, rows[0] | {"more": 1.0}, rows[2]]
        for step, data in enumerate(given):
            if not (journal.append(data, step) or journal.try_points(data, step)):
                journal.points(tuple(data), list(data.values()), step=step)
        assert [(row, step) for _, row, step in everything(tmp_path / "w")] == [
            (data, step) for step, data in enumerate(given)
        ]

    def test_leaves_what_is_no_plain_number_to_the_slow_way(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        journal.points(("a",), [1.0], step=0)
        for value in (None, "2", [2.0], np.zeros(2), 2j):
            assert not journal.append({"a": value}, 1)
        assert journal.append({"a": True}, 1)
        assert journal.append({"a": 7}, 2)
        with pytest.raises(OverflowError):
            journal.append({"a": 10**400}, None)
        assert journal.append({"a": 8}, None)
        with pytest.raises(struct.error):
            journal.append({"a": 1.0}, 3.5)  # type: ignore[arg-type]  # what people give
        assert [(row["a"], step) for _, row, step in everything(tmp_path / "w")] == [(1, 0), (1, 1), (7, 2), (8, 3)]

    def test_an_automatic_step_follows_a_given_one(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        journal.points(("a",), [1.0], step=100)
        journal.points(("b",), [1.0])
        journal.points(("a",), [1.0])
        assert [step for _, _, step in everything(tmp_path / "w")] == [100, 100, 101]

    @given(
        rows=st.lists(
            st.tuples(
                st.dictionaries(st.sampled_from("abcde"), st.floats(), min_size=1, max_size=4),
                st.integers(-(2**63), 2**63 - 1),
                st.one_of(st.none(), st.floats(0, 100)),
            ),
            max_size=60,
        ),
        size=st.integers(1, 50),
    )
    def test_any_mixture_of_layouts_comes_back_in_order(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        rows: list[tuple[dict[str, float], int, float | None]],
        size: int,
    ) -> None:
        folder = tmp_path_factory.mktemp("j") / "w"
        journal = Journal(folder, RUN, first_bytes=16 * 1024)
        for data, step, epoch in rows:
            if epoch is not None or not journal.try_points(data, step):
                journal.points(tuple(data), list(data.values()), step=step, epoch=epoch)
        journal.close()
        expected = [(k, s, v, e) for data, s, e in rows for k, v in data.items()]
        got: list[tuple[str, int, float, float | None]] = []
        reader = JournalReader(folder, recover=True)
        count = 0
        while (part := reader.read(size)) is not None:
            assert part.first == count
            count += part.count
            assert part.count <= size
            p = part.points
            epochs = [None] * len(p) if p.epoch is None else [None if math.isnan(e) else e for e in p.epoch.tolist()]
            keys = [part.keys[k] for k in p.key.tolist()]
            got += zip(keys, p.step.tolist(), p.value.tolist(), epochs, strict=True)
        assert count == len(rows)
        assert [(k, s, struct.pack("d", v), e) for k, s, v, e in got] == [
            (k, s, struct.pack("d", v), e) for k, s, v, e in expected
        ]


class TestATornTail:
    def _written(self, folder: Path) -> tuple[bytes, list[int]]:
        journal = Journal(folder, RUN, first_bytes=16 * 1024)
        ends = []
        journal.event("run", {"project": "p"})
        for i in range(5):
            journal.points(("loss", "lr"), [float(i + 1), 0.5], step=i)
            ends.append(journal._segment.end)
        journal.close()
        return (folder / "00000000.seg").read_bytes(), ends

    @pytest.mark.parametrize("rest", ["zeros", "ones", "cut"])
    def test_is_cut_wherever_the_last_record_is_torn(self, tmp_path: Path, rest: str) -> None:
        data, ends = self._written(tmp_path / "w")
        whole = everything(tmp_path / "w")
        for at in range(ends[-2], ends[-1]):
            kept = data[:at]
            if kept == data[:at].ljust(ends[-1], b"\0") or data[at : ends[-1]].strip(b"\0") == b"":
                continue
            if rest != "cut":
                kept = kept.ljust(len(data), b"\0" if rest == "zeros" else b"\xff")
            if rest == "ones" and data[at : ends[-1]].strip(b"\xff") == b"":
                continue
            (tmp_path / "w" / "00000000.seg").write_bytes(kept)
            assert everything(tmp_path / "w") == whole[:-1], at

    def test_is_cut_at_any_flipped_bit_of_the_last_record(self, tmp_path: Path) -> None:
        data, ends = self._written(tmp_path / "w")
        whole = everything(tmp_path / "w")
        for at in range(ends[-2], ends[-1]):
            for bit in range(8):
                broken = bytearray(data)
                broken[at] ^= 1 << bit
                (tmp_path / "w" / "00000000.seg").write_bytes(broken)
                assert everything(tmp_path / "w") == whole[:-1], (at, bit)

    def test_in_the_middle_counts_what_the_disk_lost_and_goes_on(self, tmp_path: Path) -> None:
        folder = tmp_path / "w"
        journal = Journal(folder, RUN, first_bytes=16 * 1024)
        for i in range(3000):
            journal.points(("loss",), [float(i)], step=i)
        journal.close()
        first = folder / "00000000.seg"
        broken = bytearray(first.read_bytes())
        broken[8000] ^= 1
        first.write_bytes(broken)
        reader = JournalReader(folder, recover=True)
        steps: list[int] = []
        lost = count = 0
        while (part := reader.read()) is not None:
            assert part.first == count
            count += part.count
            lost += part.lost
            steps += part.points.step.tolist()
        assert count == 3000
        assert lost > 0
        assert len(steps) == 3000 - lost
        assert steps == sorted(steps)
        assert steps[-1] == 2999


class TestADeviceValue:
    def test_holds_up_the_reader_until_it_is_there(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        journal.points(("a",), [1.0], step=0)
        slot = journal.points(("a",), [0.0], step=1, pending=True)
        journal.points(("a",), [3.0], step=2)
        reader = JournalReader(tmp_path / "w")
        part = reader.read()
        assert part is not None
        assert part.points.value.tolist() == [1.0]
        assert reader.read() is None
        assert slot is not None
        journal.resolve(slot, [2.0])
        part = reader.read()
        assert part is not None
        assert part.points.value.tolist() == [2.0, 3.0]
        assert part.points.step.tolist() == [1, 2]

    def test_that_never_came_takes_its_number_and_no_other(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        journal.points(("a",), [1.0], step=0)
        journal.points(("a",), [0.0], step=1, pending=True)
        journal.points(("a",), [3.0], step=2)
        part = JournalReader(tmp_path / "w", recover=True).read()
        assert part is not None
        assert (part.count, part.lost) == (3, 1)
        assert part.points.step.tolist() == [0, 2]

    def test_torn_while_it_is_filled_in_is_still_only_pending(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        slot = journal.points(("a", "b"), [0.0, 0.0], step=1, pending=True, epoch=2.0)
        journal.points(("a",), [3.0], step=2)
        assert slot is not None
        buffer = slot.layout.segment.buffer
        before = buffer[:]
        journal.resolve(slot, [7.0, 8.0])
        after = buffer[:]
        changed = [i for i in range(len(before)) if before[i] != after[i] and i >= slot.offset + 8]
        path = tmp_path / "w" / "00000000.seg"
        for at in changed:
            torn = bytearray(before)
            torn[slot.offset + 8 : at] = after[slot.offset + 8 : at]
            path.write_bytes(torn)
            part = JournalReader(tmp_path / "w", recover=True).read()
            assert part is not None
            assert (part.count, part.lost) == (2, 1)


class TestTheDisk:
    def test_full_is_counted_and_the_journal_goes_on_when_there_is_room(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = Journal(tmp_path / "w", RUN, first_bytes=16 * 1024, quota=64 << 20)
        real = segment._allocate

        def full(fd: int, size: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(segment, "_allocate", full)
        for i in range(2000):
            journal.points(("a",), [float(i)], step=i)
        assert journal.dropped > 0
        assert journal.why_dropped == "disk_full"
        assert not list((tmp_path / "w").glob("00000001.seg"))
        monkeypatch.setattr(segment, "_allocate", real)
        journal._supply.retry_at = 0.0
        journal.points(("a",), [-1.0], step=5000)
        found = everything(tmp_path / "w")
        assert found[-1][2] == 5000
        assert len(found) == journal.count == 2001 - journal.dropped

    def test_quota_thins_but_keeps_what_is_not_finite(self, tmp_path: Path) -> None:
        quota = 512 * 1024
        journal = Journal(tmp_path / "w", RUN, quota=quota)
        for i in range(200_000):
            value = math.nan if i % 1000 == 7 else float(i)
            if not journal.try_points({"a": value}, i):
                journal.points(("a",), [value], step=i)
        used = sum(path.stat().st_size for path in (tmp_path / "w").glob("*.seg"))
        assert used <= 2 * quota
        assert journal.dropped > 0
        assert journal.why_dropped == "quota"
        reader = JournalReader(tmp_path / "w", recover=True)
        steps: list[int] = []
        while (part := reader.read()) is not None:
            steps += part.points.step.tolist()
        assert len(steps) == journal.count == 200_000 - journal.dropped
        assert {i for i in range(200_000) if i % 1000 == 7} <= set(steps)
        assert steps[-1] > 190_000

    def test_acknowledged_segments_are_deleted_and_the_rest_is_readable(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN, first_bytes=16 * 1024, quota=64 << 20)
        for i in range(5000):
            journal.points(("a",), [float(i)], step=i)
        reader = JournalReader(tmp_path / "w")
        for _ in range(3):
            assert reader.read(1000) is not None
        reader.drop_read()
        again = JournalReader(tmp_path / "w", reader.position)
        part = again.read()
        assert part is not None
        assert part.first == 3000 or part.points.step[0] == reader.position.record
        assert again.seek(0)  # whoever has forgotten them is told that they are gone
        part = again.read()
        assert part is not None
        assert (part.first, part.lost) == (0, part.count)


class TestSeeking:
    def test_finds_every_record_from_every_other(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN, first_bytes=16 * 1024, quota=64 << 20)
        for i in range(3000):
            journal.points(("a",), [float(i)], step=i)
        reader = JournalReader(tmp_path / "w")
        rng = np.random.default_rng(1)
        for target in rng.integers(0, 3000, 30).tolist():
            assert reader.seek(target)
            part = reader.read(1)
            assert part is not None
            assert part.points.step.tolist() == [target]
        assert reader.seek(3000)
        assert reader.read() is None
        assert not reader.seek(3001)

    def test_tells_how_much_remains(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        journal.event("run", {})
        for i in range(10):
            journal.points(("a", "b"), [1.0, 2.0], step=i)
        reader = JournalReader(tmp_path / "w")
        reader.read(4)
        assert reader.remaining() == (7, 14, 0)
        assert reader.position.record == 4


class TestSeveralThreads:
    def test_lose_and_mix_nothing(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN, first_bytes=16 * 1024, quota=64 << 20)

        def write(name: str) -> None:
            for i in range(3000):
                if not journal.try_points({name: float(i)}, i):
                    journal.points((name,), [float(i)], step=i)

        in_four_threads(write)
        by_key: dict[str, list[float]] = {}
        reader = JournalReader(tmp_path / "w", recover=True)
        while (part := reader.read()) is not None:
            for k, v in zip(part.points.key.tolist(), part.points.value.tolist(), strict=True):
                by_key.setdefault(part.keys[k], []).append(v)
        assert by_key == {f"t{k}": [float(i) for i in range(3000)] for k in range(4)}

    def test_give_each_record_of_one_metric_a_step_of_its_own(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN, first_bytes=16 * 1024, quota=64 << 20)

        def write(name: str) -> None:
            for i in range(1500):
                data = {"loss": float(i)} if i % 100 else {"loss": float(i), name: 0.0}
                if not (journal.append(data, None) or journal.try_points(data, None)):
                    journal.points(tuple(data), list(data.values()))

        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            in_four_threads(write)
        finally:
            sys.setswitchinterval(before)
        steps = [step for _, _, step in everything(tmp_path / "w")]
        assert sorted(steps) == list(range(6000))
        assert journal.count == 6000

    def test_count_a_record_before_another_one_begins_the_next_segment(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN, first_bytes=16 * 1024, quota=64 << 20)
        journal.points(("a",), [0.0], step=0)
        layout = journal.last
        assert layout is not None
        store, begun = layout.frame, []

        def goes_last(*record: object) -> None:
            store(*record)
            if not begun:  # after a call another thread may go first, and fill the segment
                begun.append(True)
                for step in range(2, 1000):
                    journal.points(("b",), [0.0], step=step)

        layout.frame = goes_last
        journal._fast[("a",)] = append = appender(journal, layout)
        assert append({"a": 1.0}, 1)
        assert journal.count == 1000
        reader, steps = JournalReader(tmp_path / "w", recover=True), []
        while (part := reader.read()) is not None:
            assert (part.first, part.lost) == (len(steps), 0)
            steps += part.points.step.tolist()
        assert steps == list(range(1000))

    def test_mix_nothing_where_a_debugger_looks_at_every_line(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN, first_bytes=64 * 1024, quota=64 << 20)

        def trace(frame: FrameType, event: str, arg: object) -> object:
            if frame.f_code.co_name != "append":
                return None
            time.sleep(0)  # lets another thread go first
            return trace

        def write(name: str) -> None:
            sys.settrace(trace)
            for i in range(400):
                if not journal.try_points({name: float(i)}, i):
                    journal.points((name,), [float(i)], step=i)

        in_four_threads(write)
        found = [(key, value) for _, row, _ in everything(tmp_path / "w") for key, value in row.items()]
        assert sorted(found) == sorted((f"t{k}", float(i)) for k in range(4) for i in range(400))

    def test_that_append_after_it_is_closed_write_nothing(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN)
        journal.points(("a",), [1.0], step=0)
        append = journal.append
        journal.close()
        append({"a": 2.0}, 1)
        assert journal.dropped == 1
        assert [step for _, _, step in everything(tmp_path / "w")] == [0]

    def test_an_interpreter_without_a_lock_of_its_own_appends_by_the_slow_way(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(journal_module, "SAFE", False)
        journal = Journal(tmp_path / "w", RUN)
        journal.points(("a",), [1.0], step=0)
        assert not journal.append({"a": 2.0}, 1)
        assert not journal.try_points({"a": 2.0}, 1)

    def test_a_signal_handler_that_logs_breaks_no_record(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "w", RUN, first_bytes=16 * 1024, quota=64 << 20)
        handled = 0

        def handler(*_: object) -> None:
            nonlocal handled
            number = handled  # a handler may be interrupted by the next one, so it takes its number at once
            handled += 1
            if not journal.try_points({"signal": float(number)}, number):
                journal.points(("signal",), [float(number)], step=number)

        before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        try:
            i = 0
            while handled < 200:
                if not journal.try_points({"a": float(i)}, i):
                    journal.points(("a",), [float(i)], step=i)
                i += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        found: dict[str, list[float]] = {"a": [], "signal": []}
        reader = JournalReader(tmp_path / "w", recover=True)
        while (part := reader.read()) is not None:
            for k, v in zip(part.points.key.tolist(), part.points.value.tolist(), strict=True):
                found[part.keys[k]].append(v)
        assert found["a"] == [float(k) for k in range(i)]
        assert sorted(found["signal"]) == [float(k) for k in range(handled)]


class TestTheAcknowledgedPosition:
    def test_survives_and_the_newest_counts(self, tmp_path: Path) -> None:
        ack = AckFile(tmp_path)
        for i in range(5):
            ack.write(Position(i * 10, i, i * 100 + 64))
        ack.close()
        assert read_ack(tmp_path) == Position(40, 4, 464)
        assert AckFile(tmp_path).position == Position(40, 4, 464)

    def test_falls_back_to_the_older_one_where_the_newest_is_torn(self, tmp_path: Path) -> None:
        ack = AckFile(tmp_path)
        ack.write(Position(10, 0, 100))
        ack.write(Position(20, 0, 200))
        ack.close()
        data = bytearray((tmp_path / "acked").read_bytes())
        for at in range(64):  # the second write went to the first slot
            broken = bytearray(data)
            broken[at] ^= 0xFF
            (tmp_path / "acked").write_bytes(broken)
            assert read_ack(tmp_path) == Position(10, 0, 100)

    def test_is_the_start_where_there_is_none(self, tmp_path: Path) -> None:
        assert read_ack(tmp_path) == Position()


def test_a_segment_without_its_header_is_no_segment(tmp_path: Path) -> None:
    made = segment.Segment.spare(tmp_path, 16 * 1024)
    made.take(0)
    assert segment.read_head(made.buffer) is None
    made.begin(RUN, 7, 123)
    head = segment.read_head(made.buffer)
    assert head is not None
    assert (head.run_id, head.first, head.created_ns) == (RUN, 7, 123)
    made.buffer[20] ^= 1
    assert segment.read_head(made.buffer) is None
    made.close()


def test_the_end_mark_carries_its_checksum() -> None:
    crc, kind, words = segment.FRAME.unpack(segment.END_FRAME)
    assert (kind, words) == (segment.END, 1)
    assert crc == zlib.crc32(segment.END_FRAME[4:])


def test_the_next_segment_is_prepared_and_used(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w", RUN, first_bytes=16 * 1024, quota=64 << 20)
    for i in range(3000):
        journal.points(("a",), [float(i)], step=i)
        journal.prepare()
    journal.close()
    numbers = sorted(int(path.stem) for path in (tmp_path / "w").glob("*.seg"))
    assert numbers == list(range(len(numbers)))
    assert [step for _, _, step in everything(tmp_path / "w")] == list(range(3000))


def test_the_page_that_is_being_filled_is_left_alone_once_and_then_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "w", RUN)
    asked: list[int | None] = []
    monkeypatch.setattr(segment.Segment, "sync", lambda _: asked.append(None))
    monkeypatch.setattr(segment.Segment, "sync_up_to", lambda _, end: asked.append(end))
    journal.points(("a",), [1.0], step=0)
    end = journal._segment.end
    journal.sync()
    journal.sync()
    assert asked == [end, None]
    for i in range(200):
        journal.points(("a",), [float(i)], step=i)
    journal.sync()
    assert asked[2:] == [journal._segment.end]
    journal.sync(all_of_it=True)
    assert asked[3:] == [None]


def test_a_loop_that_overtakes_the_keeper_keeps_every_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "w", RUN, first_bytes=16 * 1024, quota=64 << 20)

    def overtaken(made: segment.Segment, start: int = 0) -> None:
        if made.number == 0:
            return
        monkeypatch.undo()
        while journal._segment.number == 0:
            journal.points(("a",), [float(journal.count)], step=journal.count)

    monkeypatch.setattr(segment.Segment, "populate", overtaken)
    journal.prepare()
    for _ in range(5000):
        journal.points(("a",), [float(journal.count)], step=journal.count)
    steps = [step for _, _, step in everything(tmp_path / "w")]
    assert steps == list(range(journal.count))
