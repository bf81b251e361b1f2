"""Journals whose middle is damaged: what is whole comes back, what is not is counted, and nothing waits for it."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.journal.claim import note_of
from monitor.journal.read.records import JournalReader
from monitor.journal.segment import LAYOUT, read_head, segment_files
from monitor.journal.write.journal import Journal, _json_record
from monitor.run.start import init
from monitor.settings import Settings
from monitor.shipping.sinks import MemorySink
from monitor.shipping.sync import sync, unsent

RUN = "0123456789abcdef" * 2


def read(reader: JournalReader) -> tuple[list[int], int, int, list[dict[str, object]]]:
    """Steps, records, lost records and warnings of what is there now."""
    steps: list[int] = []
    warnings: list[dict[str, object]] = []
    count, lost = reader.position.record, 0
    while (part := reader.read()) is not None:
        assert part.first == count
        assert all(part.first <= event.record < part.first + part.count for event in part.events)
        steps += dict.fromkeys(part.points.step.tolist())  # two metrics a record
        warnings += [dict(event.data) for event in part.events if event.kind == "warning"]
        count, lost = count + part.count, lost + part.lost
    return steps, count, lost, warnings


def write(folder: Path, n: int = 20) -> tuple[Journal, list[int]]:
    """A journal of n records and where each begins, with an end behind them."""
    journal, at = Journal(folder, RUN, first_bytes=16 * 1024), []
    journal.points(("a", "b"), [0.0, 0.0], step=0)
    at.append(journal._segment.end - 40)
    for i in range(1, n):
        at.append(journal._segment.end)
        assert journal.append({"a": float(i), "b": 0.5}, i)
    return journal, [*at, journal._segment.end]


@pytest.mark.parametrize("byte", range(0, 40, 3))
@pytest.mark.parametrize("recover", [True, False])
def test_a_damaged_record_is_skipped_and_told_and_the_others_come(tmp_path: Path, byte: int, recover: bool) -> None:
    journal, at = write(tmp_path / "w")
    journal._segment.buffer[at[7] + byte] ^= 0xFF
    reader = JournalReader(tmp_path / "w", recover=recover)
    steps, _, _, _ = read(reader)
    if not recover:
        assert steps == list(range(7))  # it might be just being stored
        more, count, lost, warnings = read(reader)
        steps += more
    else:
        _, count, lost, warnings = read(JournalReader(tmp_path / "w", recover=True))
    assert steps == [i for i in range(20) if i != 7]
    assert (count, lost) == (20, 1)
    assert [(w["name"], w["count"]) for w in warnings] == [("lost", 1)]
    assert f"bytes {at[7]} to {at[8]} of segment 0" in str(warnings[0]["example"])


def test_the_last_record_is_waited_for_until_another_one_follows(tmp_path: Path) -> None:
    journal, at = write(tmp_path / "w")
    journal._segment.buffer[at[19] + 30] ^= 0xFF
    reader = JournalReader(tmp_path / "w")
    assert read(reader)[0] == list(range(19))
    for _ in range(3):
        assert read(reader) == ([], 19, 0, [])
    journal._segment.buffer[at[19] + 30] ^= 0xFF
    assert read(reader)[0] == [19]
    journal._segment.buffer[at[20] : at[20] + 40] = b"\xee" * 40  # a torn one, behind which the writer goes on
    journal._segment.end += 40
    assert read(reader)[0] == []
    journal.append({"a": 20.0, "b": 0.5}, 21)
    assert read(reader)[0] == [21]


def test_a_stretch_of_zeros_and_a_lost_layout_are_counted(tmp_path: Path) -> None:
    journal, at = write(tmp_path / "w", 200)
    end = journal._segment.end
    journal.points(("c",), [1.0], step=500)
    journal.points(("c",), [2.0], step=501)
    journal.event("tags", {"tags": {}})
    journal.points(("a", "b"), [1.0, 1.0], step=502)
    journal.points(("a", "b"), [1.0, 1.0], step=503)
    buffer = journal._segment.buffer
    buffer[at[50] : at[80]] = bytes(at[80] - at[50])
    buffer[end + 30] ^= 0xFF  # in the layout of c
    steps, count, lost, warnings = read(JournalReader(tmp_path / "w", recover=True))
    assert steps == [*range(50), *range(80, 200), 502, 503][: len(steps)] and steps[-1] == 503
    assert (count, lost) == (journal.count, 32)
    assert sum(int(str(w["count"])) for w in warnings) == 32
    behind = JournalReader(tmp_path / "w", JournalReader(tmp_path / "w", recover=True).position, recover=True)
    assert behind.seek(204)
    assert read(behind)[0] == [503]


def test_a_damaged_end_mark_does_not_hold_up_the_next_segment(tmp_path: Path) -> None:
    journal, _ = write(tmp_path / "w")
    first = journal._segment
    end = first.end
    for i in range(20, 900):
        if not journal.append({"a": float(i), "b": 0.5}, i):
            journal.points(("a", "b"), [float(i), 0.5], step=i)
    assert journal._segment is not first
    place = next(k for k in range(end, len(first.buffer), 8) if first.buffer[k + 4 : k + 6] == b"\3\0")
    first.buffer[place] ^= 0xFF
    for recover in (True, False):
        assert read(JournalReader(tmp_path / "w", recover=recover))[0] == list(range(900))


@pytest.mark.parametrize("recover", [True, False])
@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_segment_whose_header_is_damaged_is_read(tmp_path: Path, which: int, recover: bool) -> None:
    journal, _ = write(tmp_path / "w")
    for i in range(20, 3000):
        if not journal.append({"a": float(i), "b": 0.5}, i):
            journal.points(("a", "b"), [float(i), 0.5], step=i)
    heads = {number: path for number, path in segment_files(tmp_path / "w") if read_head(path.read_bytes())}
    assert len(heads) > 3
    last = max(heads)
    path = heads[which % (last + 1)]
    with path.open("r+b") as file:
        file.seek(17)
        file.write(b"damaged")
    steps, count, lost, warnings = read(JournalReader(tmp_path / "w", recover=recover))
    if which == -1 and not recover:  # it might be just being begun
        assert steps == list(range(len(steps)))
        assert len(steps) < 3000
    else:
        assert steps == list(range(3000))
        assert count == journal.count
    assert (lost, warnings) == (0, [])


@given(damage=st.lists(st.tuples(st.integers(0, 1200), st.integers(1, 255)), min_size=1, max_size=4))
def test_whatever_is_damaged_nothing_is_misread_and_what_follows_is_found(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]]
) -> None:
    journal, at = write(tmp_path_factory.mktemp("j") / "w", 30)
    journal.event("tags", {"tags": {}})
    journal.points(("a", "b"), [99.0, 0.5], step=99)
    start, buffer = at[0], journal._segment.buffer
    hit = set()
    for place, bits in damage:
        if start + place < at[30]:
            buffer[start + place] ^= bits
            hit.add(place // 40)
    records = [buffer[a:b] for a, b in pairwise(at)]
    right = {i for i, data in enumerate(records) if zlib.crc32(data[4:]).to_bytes(4, "little") == data[:4]}
    for recover in (True, False):
        reader = JournalReader(journal.folder, recover=recover)
        steps = [step for _ in range(2 + len(damage)) for step in read(reader)[0]]
        assert steps == [*sorted(right), 99]
        assert right >= set(range(30)) - hit


def test_sync_and_the_doctor_name_what_is_damaged(settings: Settings) -> None:
    with init("p", name="r", mode="offline", settings=settings) as run:
        for step in range(100):
            run.log({"x": float(step)}, step=step)
    (segment,) = (settings.journal_dir / run.id).rglob("*.seg")
    data = bytearray(segment.read_bytes())
    data[data.rindex(b'{"keys"') + 1000] ^= 1
    segment.write_bytes(data)
    (item,) = unsent(settings.journal_dir)
    assert (item.records, item.points, item.lost) == (102, 99, 1)
    sink = MemorySink()
    report = sync(settings.journal_dir, lambda _: sink)
    assert (report.lost, report.left) == (1, ())
    assert len(sink.points(run.id, "x")) == 99
    (warning,) = sink.events(run.id, "warning")
    assert (warning.data["name"], warning.data["count"]) == ("lost", 1)
    assert sink.events(run.id, "finish")


class TestFilesThatAreNotWhereTheyWere:
    def segments(self, folder: Path) -> tuple[Journal, dict[int, Path]]:
        journal, _ = write(folder)
        for i in range(20, 3000):
            if not journal.append({"a": float(i), "b": 0.5}, i):
                journal.points(("a", "b"), [float(i), 0.5], step=i)
        journal.close()
        return journal, {n: path for n, path in segment_files(folder) if read_head(path.read_bytes())}

    @pytest.mark.parametrize("recover", [True, False])
    def test_a_copy_under_another_number_is_not_read_and_told(self, tmp_path: Path, recover: bool) -> None:
        _, files = self.segments(tmp_path / "w")
        for number in (2, 99):
            files[0].with_name(f"{number:08d}.seg").write_bytes(files[0].read_bytes())
        reader = JournalReader(tmp_path / "w", recover=recover)
        steps, _, lost, _ = read(reader)
        assert reader.oddities()[0] == "00000002.seg is a copy of 00000000.seg and is not read"
        assert len(steps) == 3000 - lost
        assert lost == 0 or steps[-1] == 2999
        assert lost > 0  # what was in segment 2

    @pytest.mark.parametrize("recover", [True, False])
    def test_swapped_and_renamed_ones_are_read_in_their_order(self, tmp_path: Path, recover: bool) -> None:
        _, files = self.segments(tmp_path / "w")
        files[0].rename(tmp_path / "w" / "held")
        files[1].rename(files[0])
        (tmp_path / "w" / "held").rename(files[1])
        files[2].rename(tmp_path / "w" / "odd.seg")
        reader = JournalReader(tmp_path / "w", recover=recover)
        steps, _, lost, _ = read(reader)
        assert (steps, lost) == (list(range(3000)), 0)
        assert len(reader.oddities()) == 3

    def test_one_of_another_run_is_neither_read_nor_deleted(self, settings: Settings) -> None:
        folder = settings.journal_dir / RUN / "w"
        journal = Journal(folder, RUN)
        journal.event("run", {"project": "p"})
        journal.close()
        other = Journal(settings.journal_dir / "other", "cd" * 16)
        other.event("run", {"project": "other"})
        other.close()
        (settings.journal_dir / "other" / "00000000.seg").rename(folder / "00000001.seg")
        sink = MemorySink()
        report = sync(settings.journal_dir, lambda _: sink)
        assert [event.data["project"] for event in sink.events(RUN)] == ["p"]
        assert [item.problem for item in report.left if item.foreign] == [
            f"00000001.seg is of run {'cd' * 16} and is not read; move it to a folder of its run"
        ]
        assert (folder / "00000001.seg").exists()


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"{", b"[]", b"7", b"{}", b'{"kind": 3, "data": {}}', b'{"kind": "tags", "data": []}', b"[" * 9999],
)
def test_a_whole_record_that_says_nothing_counts_as_lost(tmp_path: Path, content: bytes) -> None:
    journal, _ = write(tmp_path / "w")
    journal._append_event(struct.pack("<q", -5) + content)
    journal.append({"a": 20.0, "b": 0.5}, 20) or journal.points(("a", "b"), [20.0, 0.5], step=20)
    for recover in (True, False):
        steps, count, lost, warnings = read(JournalReader(tmp_path / "w", recover=recover))
        assert steps == list(range(21))
        assert (count, lost) == (journal.count, 1)
        assert "its checksum is right" in str(warnings[0]["example"])


@pytest.mark.parametrize("content", [b"\xff", b"{}", b'{"keys": "ab", "epoch": false}', b'{"keys": [1], "epoch": 0}'])
def test_a_whole_layout_that_says_nothing_loses_its_records_and_no_others(tmp_path: Path, content: bytes) -> None:
    journal, _ = write(tmp_path / "w")
    layout = journal._layout(("c",), epoch=False)
    assert layout is not None
    journal._segment.end -= 8 * ((16 + 8 + len(b'{"keys":["c"],"epoch":false}') + 7) // 8)
    journal._put(_json_record(LAYOUT, struct.pack("<q", layout.kind) + content), records=0)
    journal.points(("c",), [1.0], step=500)
    journal.points(("a", "b"), [1.0, 1.0], step=501)
    steps, count, lost, _ = read(JournalReader(tmp_path / "w", recover=True))
    assert steps == [*range(20), 501]
    assert (count, lost) == (journal.count, 1)


def test_one_journal_that_cannot_be_read_keeps_no_other_from_being_sent(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bad", "good"):
        with init("p", name=name, mode="offline", settings=settings) as run:
            run.log({"x": 1.0})
    real = JournalReader.remaining

    def remaining(reader: JournalReader) -> tuple[int, int, int]:
        if note_of(reader.folder)["run"] == "bad":
            raise OSError("Input/output error")
        return real(reader)

    monkeypatch.setattr(JournalReader, "remaining", remaining)
    found = {item.run_name or item.problem for item in unsent(settings.journal_dir)}
    assert found == {"good", "it cannot be read: Input/output error"}
    sink = MemorySink()
    report = sync(settings.journal_dir, lambda _: sink)
    assert [item.run_name for item in report.sent] == ["good"]
    assert [item.problem for item in report.left] == ["it cannot be read: Input/output error"]
