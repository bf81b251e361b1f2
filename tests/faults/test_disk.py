from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from monitor.errors import ServerUnreachable
from monitor.journal.ack import AckFile
from monitor.journal.claim import claim, note_of
from monitor.journal.read.records import JournalReader
from monitor.journal.segment import Segment
from monitor.journal.write.journal import Journal
from monitor.run.start import init
from monitor.settings import Settings
from monitor.shipping.sinks import MemorySink
from monitor.shipping.sync import sync, unsent
from monitor.wire import Batch
from tests.faults.conftest import Victim

pytestmark = pytest.mark.faults


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, where this machine lets us have one."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting needs a privilege that this process has not")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_counted_and_never_raises_or_kills(
    small_disk: Path, place: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    open_again = False

    def before(_: Batch) -> None:
        if not open_again:
            raise ServerUnreachable("s", "away")

    sink = MemorySink(before)
    run = init("faults", settings=place.model_copy(update={"dir": small_disk}), sink=sink)
    for step in range(100_000):
        run.log({"train/loss": float(step)}, step=step)
    assert run._writer is not None
    dropped = run._writer.journal.dropped
    assert dropped > 0
    open_again = True
    assert run.flush(60)
    stored = len(sink.points(run.id, "train/loss"))
    assert stored == 100_000 - dropped
    run._writer.journal.sync()  # what was sent has made room; the keeper would see to it within a second
    run._writer.journal._supply.retry_at = 0.0
    run.log({"train/loss": -1.0}, step=200_000)
    run.finish()
    steps = [step for step, _ in sink.points(run.id, "train/loss")]
    assert steps[-1] == 200_000
    assert steps == sorted(set(steps))
    assert any("cannot grow" in text for text in caplog.messages)
    warned = [e.data for e in sink.events(run.id, "warning")]
    assert sum(int(str(w["count"])) for w in warned if w["name"] == "disk_full") == dropped


def test_a_limit_on_file_sizes_does_not_stop_the_loop(victim: Victim, place: Settings) -> None:
    order = {"steps": 50_000, "limit_bytes": 50_000, "init": {"mode": "offline", "run_id": "d" * 32}}
    child = victim.start("log", place, **order)
    child.wait(60)
    assert child.done() == 50_000
    sink = MemorySink()
    assert len(sync(place.journal_dir, lambda _: sink).sent) == 1
    steps = [step for step, _ in sink.points("d" * 32, "train/loss")]
    assert 0 < len(steps) < 50_000
    assert steps == list(range(len(steps)))


def test_a_journal_cut_at_every_byte_of_its_last_record_gives_all_the_others(place: Settings, tmp_path: Path) -> None:
    run = init("faults", mode="offline", settings=place)
    for step in range(20):
        run.log({"train/loss": float(step), "lr": 0.5}, step=step)
    assert run._writer is not None
    end = run._writer.journal._segment.end
    folder, size = run._writer.folder, 40
    data = (folder / "00000000.seg").read_bytes()
    run.finish()
    for cut in range(end - size + 1, end):
        target = tmp_path / f"cut-{cut}" / run.id / "w"
        target.mkdir(parents=True)
        (target / "00000000.seg").write_bytes(data[:cut])
        sink = MemorySink()
        report = sync(tmp_path / f"cut-{cut}", lambda _, sink=sink: sink)  # type: ignore[misc]  # mypy cannot infer it
        assert report.left == ()
        assert sink.points(run.id, "train/loss") == [(step, float(step)) for step in range(19)]
    assert os.path.lexists(folder)


def test_a_segment_that_cannot_be_made_takes_no_other_along(small_disk: Path) -> None:
    used = Segment.spare(small_disk, 64 * 1024)
    used.take(1)
    with pytest.raises(OSError, match="No space left"):
        Segment.spare(small_disk, 4 << 20)
    assert used.path.stat().st_ino == os.fstat(used.fd).st_ino
    assert [path.name for path in small_disk.iterdir()] == ["00000001.seg"]


def counted(sink: MemorySink, run_id: str, name: str) -> int:
    warnings = [e.data for e in sink.events(run_id, "warning")]
    return sum(int(str(w["count"])) for w in warnings if w["name"] == name)


@pytest.mark.parametrize("keys", [1, 400])
def test_a_run_that_ends_on_a_full_disk_has_an_end_and_all_its_counts(
    small_disk: Path, place: Settings, keys: int
) -> None:
    run = init("faults", mode="offline", settings=place.model_copy(update={"dir": small_disk}))
    for key in range(keys):
        run.log({f"odd/{key}": "no number"})
    for step in range(120_000):
        run.log({"train/loss": float(step)}, step=step)
    assert run._writer is not None
    dropped = run._writer.journal.dropped
    assert dropped > 0
    run.log({"odd": "no number"})
    run.finish("failed", "x" * 5000)
    sink = MemorySink()
    assert sync(small_disk / "journal", lambda _: sink).left == ()
    (end,) = sink.events(run.id, "finish")
    assert end.data["status"] == "failed"
    assert counted(sink, run.id, "disk_full") == dropped
    assert counted(sink, run.id, "dropped") == keys + 1
    assert len(sink.points(run.id, "train/loss")) == 120_000 - dropped


def test_a_loop_that_is_faster_than_the_disk_has_room_accounts_for_each_step(small_disk: Path, place: Settings) -> None:
    for trial in range(4):
        sink = MemorySink()
        run = init("faults", name=f"r{trial}", settings=place.model_copy(update={"dir": small_disk}), sink=sink)
        for step in range(150_000):
            run.log({"train/loss": float(step)}, step=step)
        run.finish()
        steps = [step for step, _ in sink.points(run.id, "train/loss")]
        assert steps == sorted(set(steps))
        assert counted(sink, run.id, "lost") == 0
        assert len(steps) + counted(sink, run.id, "disk_full") == 150_000
        assert sink.events(run.id, "finish")
        assert unsent(small_disk / "journal") == ()


def test_a_full_disk_keeps_no_segment_that_is_acknowledged_and_no_note_is_emptied(small_disk: Path) -> None:
    held = claim(small_disk / "w", {"project": "p", "run": "r", "server": "http://s"})
    assert held is not None
    journal = Journal(small_disk / "w", "ab" * 16, first_bytes=16 * 1024)
    for step in range(3000):
        journal.points(("x",), [float(step)], step=step)
    journal.close()
    with (small_disk / "full").open("wb", 0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    held.say_why("x" * 5000)  # it does not fit
    assert note_of(small_disk / "w")["server"] == "http://s"
    reader, ack = JournalReader(small_disk / "w"), AckFile(small_disk / "w")
    while (part := reader.read(500)) is not None:
        ack.write(part.after)
        reader.drop_read()
    assert ack.position.record == 3000
    assert len(list((small_disk / "w").glob("*.seg"))) == 1
    ack.close()
    held.release()
