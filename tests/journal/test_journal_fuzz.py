"""A journal that anything may have happened to: never an exception, never a hang, nothing misread, nothing silent."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest

from monitor.journal.ack import NAME as ACK
from monitor.journal.read.records import JournalReader
from monitor.journal.segment import HEADER_SIZE, read_head, segment_files
from monitor.journal.write.journal import Journal
from monitor.shipping.sinks import MemorySink
from monitor.shipping.sync import sync, unsent
from tests.fuzzing import LONG_S

RUN = "ab" * 16


@dataclass
class Written:
    """A journal and where each of its records lies.

    Attributes:
        places: by a record's step, the segment and the bytes.
        layouts: by segment, the bytes of its layouts.
    """

    folder: Path
    places: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    images: dict[int, bytes] = field(default_factory=dict)
    layouts: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    values: dict[tuple[int, str], float] = field(default_factory=dict)
    count: int = 0


def write(folder: Path, rng: random.Random, run_id: str = RUN, n: int = 1200) -> Written:
    """A journal of several segments, of points of three layouts and of events; each has a step of its own."""
    found = Written(folder)
    journal = Journal(folder, run_id, first_bytes=16 * 1024, quota=64 << 20)
    journal.event("run", {"project": "p", "resume": "allow"})
    for step in range(1, n):
        before = journal._segment
        start = before.end
        if rng.random() < 0.05:
            journal.event("checkpoint", {"step": step, "path": "x" * rng.randrange(100)})
        else:
            keys = rng.choice([("a",), ("a", "b"), ("a", "b"), ("a", "b"), ("c", "a", "d")])
            values = [rng.random() for _ in keys]
            journal.points(keys, values, step=step, epoch=0.5 if len(keys) == 3 else None)
            found.values.update({(step, key): value for key, value in zip(keys, values, strict=True)})
        end = journal._segment.end
        if journal._segment is not before:
            start = HEADER_SIZE
        size = 8 * (3 + len(keys) + (len(keys) == 3)) if (step, "a") in found.values else end - start
        if end - start > size:
            found.layouts.setdefault(journal._segment.number, []).append((start, end - size))
        found.places[step] = (journal._segment.number, end - size, end)
    found.count = journal.count
    journal.close()
    found.images = {number: path.read_bytes() for number, path in segment_files(folder)}
    return found


def pick(rng: random.Random, folder: Path) -> Path:
    return rng.choice(sorted(path for path in folder.glob("*.seg") if path.is_file()))


def flip(rng: random.Random, folder: Path) -> None:
    path = pick(rng, folder)
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 3, 30]) if data else 0):
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    path.write_bytes(data)


def flip_header(rng: random.Random, folder: Path) -> None:
    path = pick(rng, folder)
    data = bytearray(path.read_bytes())
    if data:
        data[rng.randrange(min(80, len(data)))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def blank(rng: random.Random, folder: Path) -> None:
    path = pick(rng, folder)
    data = bytearray(path.read_bytes())
    at, size = rng.randrange(len(data) + 1), rng.choice([8, 40, 400, 4096])
    data[at : at + size] = rng.choice([b"\0", b"\xff", b"\x01"]) * len(data[at : at + size])
    path.write_bytes(data)


def truncate(rng: random.Random, folder: Path) -> None:
    path = pick(rng, folder)
    path.write_bytes(path.read_bytes()[: rng.choice([0, 7, 63, 64, 65, rng.randrange(1 << 15)])])


def extend(rng: random.Random, folder: Path) -> None:
    with pick(rng, folder).open("ab") as file:
        file.write(rng.randbytes(rng.randrange(200)))


def swap(rng: random.Random, folder: Path) -> None:
    one, other = pick(rng, folder), pick(rng, folder)
    if one != other:
        held = one.rename(folder / "held")
        other.rename(one)
        held.rename(other)


def copy(rng: random.Random, folder: Path) -> None:
    data = pick(rng, folder).read_bytes()
    (folder / f"{rng.randrange(12):08d}.seg").write_bytes(data)


def rename(rng: random.Random, folder: Path) -> None:
    name = rng.choice([f"{rng.randrange(12):08d}.seg", "abc.seg", "9" * 30 + ".seg", "\u0663.seg", "\u2462.seg"])
    pick(rng, folder).rename(folder / name)


def delete(rng: random.Random, folder: Path) -> None:
    if len(segment_files(folder)) > 1:
        pick(rng, folder).unlink()


def add_odd_things(rng: random.Random, folder: Path) -> None:
    (folder / f"{rng.randrange(12):08d}.seg.bak").write_bytes(b"x")
    (folder / f"1{rng.randrange(12):07d}.seg").mkdir(exist_ok=True)
    (folder / "writer.json").write_bytes(rng.choice([b"", b"[]", b'{"start": 7}', rng.randbytes(40)]))


def add_foreign(rng: random.Random, folder: Path) -> None:
    other = write(folder / "other", rng, "cd" * 16, n=5)
    (other.folder / "00000000.seg").rename(folder / f"{rng.randrange(8):08d}.seg")
    shutil.rmtree(other.folder)


def damage_ack(rng: random.Random, folder: Path) -> None:
    (folder / ACK).write_bytes(rng.randbytes(rng.choice([0, 64, 128, 200])))


Damage = Callable[[random.Random, Path], None]
DAMAGES: list[Damage] = [
    flip, flip, flip_header, blank, truncate, extend, swap, copy, rename, delete, add_odd_things, damage_ack,
]  # fmt: skip


def read(folder: Path, *, recover: bool) -> tuple[dict[int, int], int, dict[tuple[int, str], float]]:
    """How often each step came, how many records were lost, and the values."""
    steps: dict[int, int] = {}
    values: dict[tuple[int, str], float] = {}
    reader = JournalReader(folder, recover=recover, run_id=RUN)
    expected = lost = idle = reads = 0
    while idle < 4 and reads < 4000:
        part = reader.read(500)
        reads += 1
        if part is None:
            idle += 1
            continue
        idle = 0
        assert part.first == expected
        assert all(part.first <= event.record < part.first + part.count for event in part.events)
        told = sum(int(str(e.data["count"])) for e in part.events if e.kind == "warning")
        assert told == part.lost
        expected, lost = expected + part.count, lost + part.lost
        p = part.points
        values |= {
            (step, part.keys[key]): value
            for step, key, value in zip(p.step.tolist(), p.key.tolist(), p.value.tolist(), strict=True)
        }
        found = set(p.step.tolist()) | {int(str(e.data["step"])) for e in part.events if e.kind == "checkpoint"}
        for step in found:
            steps[step] = steps.get(step, 0) + 1
    assert reads < 4000
    return steps, lost, values


def undamaged(written: Written, folder: Path) -> set[int]:
    """Steps of the records that are as they were, in a segment that is there and whose header and layouts are whole."""
    there: dict[int, bytes] = {}
    for path in folder.glob("*.seg"):
        if path.is_file() and path.stem.isdecimal() and (head := read_head(data := path.read_bytes())) is not None:
            there.setdefault(head.number, data)
    intact = {
        number
        for number, data in there.items()
        if all(data[a:b] == written.images[number][a:b] for a, b in written.layouts.get(number, []))
    }
    return {
        step
        for step, (number, start, end) in written.places.items()
        if number in intact and there[number][start:end] == written.images[number][start:end]
    }


def fuzz(folder: Path, seconds: float, seed: int) -> int:
    rng = random.Random(seed)
    until, trials = monotonic() + seconds, 0
    while monotonic() < until or trials < 5:
        trials += 1
        place = folder / RUN / f"w{trials}"
        written = write(place, rng, n=rng.choice([3, 300, 1200]))
        done = [rng.choice(DAMAGES) for _ in range(rng.choice([1, 1, 2, 5]))]
        if rng.random() < 0.1:
            done = [add_foreign]  # alone: one whose header is damaged as well cannot be told from an own one
        try:
            for damage in done:
                damage(rng, place)
            _check(written, place, twice=copy in done and len(done) > 1)
            if trials % 4 == 0:
                _send_all(folder)
        except BaseException as error:
            error.add_note(f"seed {seed}, trial {trials}: {[damage.__name__ for damage in done]}")
            raise
        shutil.rmtree(folder / RUN, ignore_errors=True)
    return trials


def _check(written: Written, place: Path, *, twice: bool) -> None:
    """What is read is what was written, once; what is whole is read, or at least counted.

    Args:
        twice: True where a copy was made and something else was done, perhaps to one of the two: which of them is the
            better one, or that it is a copy at all, cannot always be told.
    """
    whole = undamaged(written, place)
    for recover in (True, False):
        steps, lost, values = read(place, recover=recover)
        assert set(values.items()) <= set(written.values.items())
        assert twice or all(n == 1 for n in steps.values())
        if recover and not twice:
            assert len(whole - set(steps)) <= lost


def _send_all(folder: Path) -> None:
    """The whole way, beside a journal that is whole."""
    place = folder / RUN / "good"
    good = write(place, random.Random(1), n=50)
    unsent(folder)
    sink = MemorySink()
    report = sync(folder, lambda _: sink)
    assert [item.problem for item in report.left if not item.foreign] == []
    assert sink._acked[RUN, "good"] == good.count


@pytest.mark.parametrize("seconds", [3, pytest.param(LONG_S, marks=pytest.mark.slow)])
def test_whatever_happens_to_a_journal_is_survived_and_told(tmp_path: Path, seconds: float) -> None:
    assert fuzz(tmp_path, seconds, seed=random.randrange(1 << 30)) >= 5
