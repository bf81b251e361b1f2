from __future__ import annotations

import struct
from pathlib import Path

import pytest

from monitor.domain import RunStatus
from monitor.errors import FileUnreadable
from monitor.importers import read_curves, sending
from monitor.importers.imported import ImportedRun
from monitor.importers.sending import send_run
from monitor.importers.sources import read_runs
from monitor.ingest import ingest
from monitor.ingest.engines import Engines
from monitor.roles import Role
from monitor.store import Store
from tests.conftest import NOW_MS


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def record(data: bytes) -> bytes:
    return struct.pack("<QI", len(data), 0) + data + struct.pack("<I", 0)


def event(step: int, tag: str, value: bytes) -> bytes:
    summary = field(1, field(1, tag.encode()) + value)
    return record(b"\x09" + struct.pack("<d", 1.0) + b"\x10" + varint(step) + field(5, summary))


def simple(value: float) -> bytes:
    return b"\x15" + struct.pack("<f", value)


def tensor(value: float, *, double: bool = False, packed: bool = True) -> bytes:
    if double:
        return field(8, b"\x08\x02" + field(4, struct.pack("<d", value)))
    body = field(5, struct.pack("<f", value)) if packed else b"\x2d" + struct.pack("<f", value)
    return field(8, b"\x08\x01" + body)


def write(folder: Path, data: bytes, name: str = "events.out.tfevents.1.host.0") -> Path:
    path = folder / name
    path.write_bytes(record(b"\x09" + struct.pack("<d", 1.0) + field(3, b"brain.Event:2")) + data)
    return path


def test_scalars_of_every_spelling(tmp_path: Path) -> None:
    data = b"".join(
        (
            event(-1, "loss/train", simple(0.5)),
            event(0, "val_loss", tensor(0.25)),
            event(1, "val_loss", tensor(2.5, double=True)),
            event(2, "val_loss", tensor(0.75, packed=False)),
            event(3, "other", simple(1.5)),
            event(3, "text", field(8, b"\x08\x07")),
        )
    )
    curves = read_curves(write(tmp_path, data))
    assert curves.train.tolist() == [[-1, 0.5]]
    assert curves.unmapped == ("other",)
    assert curves.val is not None
    assert curves.val.tolist() == [[0, 0.25], [1, 2.5], [2, 0.75]]


def test_a_folder_of_files_is_one_run(tmp_path: Path) -> None:
    write(tmp_path, event(1, "train/loss", simple(1.0)), "events.out.tfevents.1.host")
    write(tmp_path, event(2, "train/loss", simple(0.5)), "events.out.tfevents.2.host")
    assert read_curves(tmp_path).train.tolist() == [[1, 1.0], [2, 0.5]]


def test_a_tail_that_is_not_whole_is_cut_at_any_byte(tmp_path: Path) -> None:
    first, second = event(1, "loss", simple(1.0)), event(2, "loss", simple(0.5))
    for cut in range(len(second)):
        path = write(tmp_path, first + second[:cut])
        assert read_curves(path).train.tolist() == [[1, 1.0]]


def test_a_damaged_file_of_a_run_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    points = [event(step, "train/loss", simple(1.0)) for step in range(6)]
    torn = write(tmp_path, b"".join(points[:3]), "events.out.tfevents.1.host")
    write(tmp_path, b"".join(points[3:]), "events.out.tfevents.2.host")
    data = bytearray(torn.read_bytes())
    second = len(data) - len(points[1] + points[2])
    data[second + 7] ^= 0xFF  # of its length
    torn.write_bytes(data)
    (run,) = read_runs(tmp_path)
    assert isinstance(run, ImportedRun)
    assert run.points.step.tolist() == [0, 3, 4, 5]
    (note,) = run.skipped
    assert (note.place, note.broken) == ("events.out.tfevents.1.host", True)
    assert note.reason == f"byte {second}: is not an event record"


def test_what_is_no_event_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.x"
    path.write_bytes(b"step,loss\n0,1.0\n" * 4)
    with pytest.raises(FileUnreadable, match="byte 0"):
        read_curves(path)
    with pytest.raises(FileUnreadable, match="no scalars"):
        read_curves(write(tmp_path, b""))


@pytest.mark.slow
def test_what_torch_writes_is_read(tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    with tensorboard.SummaryWriter(tmp_path) as writer:
        for step in range(100):
            writer.add_scalar("train/loss", 1 / (step + 1), step)
    curves = read_curves(tmp_path)
    assert curves.train[:, 0].tolist() == list(range(100))
    assert curves.train[:, 1] == pytest.approx([1 / (step + 1) for step in range(100)])


def begun_again(folder: Path, tag: str = "train/loss") -> None:
    """A training that was killed at step 80, began again at 50 and went on to 120, in two further files."""
    folder.mkdir(parents=True)
    for i, (first, last, value) in enumerate(((0, 80, 1.0), (50, 100, 2.0), (100, 120, 3.0))):
        data = b"".join(event(step, tag, simple(value)) for step in range(first, last))
        write(folder, data, f"events.out.tfevents.{i + 1}.host.0")


def test_steps_that_a_further_file_goes_back_to_are_another_attempt(tmp_path: Path, store: Store) -> None:
    begun_again(tmp_path / "run")
    (run,) = read_runs(tmp_path / "run")
    assert isinstance(run, ImportedRun)
    assert run.attempts == (80,)
    sent = send_run(run, lambda batch: ingest(store, Engines(), batch, now_ms=NOW_MS))
    assert sent.points == 150
    assert store.run(sent.run_id).attempt == 2
    assert store.run(sent.run_id).status is RunStatus.FINISHED
    assert store.history(sent.run_id, "train/loss").values.tolist() == [1.0] * 50 + [2.0] * 50 + [3.0] * 20
    assert store.history(sent.run_id, "train/loss", attempt=1).values.tolist() == [1.0] * 80
    assert read_curves(tmp_path / "run").train.tolist() == [
        [step, 1.0 if step < 50 else 2.0 if step < 100 else 3.0] for step in range(120)
    ]
    assert send_run(run, lambda batch: ingest(store, Engines(), batch, now_ms=NOW_MS)).known
    assert store.run(sent.run_id).attempt == 2


def test_an_import_in_small_batches_stores_the_same(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_again(tmp_path / "run")
    (run,) = read_runs(tmp_path / "run")
    assert isinstance(run, ImportedRun)
    monkeypatch.setattr(sending, "BATCH", 7)
    sent = send_run(run, lambda batch: ingest(store, Engines(), batch, now_ms=NOW_MS))
    assert (sent.points, store.run(sent.run_id).attempt) == (150, 2)
    assert store.history(sent.run_id, "train/loss").values.tolist() == [1.0] * 50 + [2.0] * 50 + [3.0] * 20


def test_folders_of_one_run_begin_again_together(tmp_path: Path) -> None:
    begun_again(tmp_path / "run" / "train", "epoch_loss")
    begun_again(tmp_path / "run" / "validation", "epoch_loss")
    (run,) = read_runs(tmp_path / "run")
    assert isinstance(run, ImportedRun)
    assert run.attempts == (160,)
    assert run.keys == ("train/loss", "validation/loss")
    second = run.points.step[160:]
    assert (second.min(), len(second)) == (50, 140)


def test_the_parts_of_a_loss_in_a_folder_are_judged(tmp_path: Path) -> None:
    tags = ("train/loss", "loss/kl", "accuracy")
    write(tmp_path, b"".join(event(step, tag, simple(1.0)) for step in range(3) for tag in tags))
    curves = read_curves(tmp_path)
    assert {name: len(part) for name, part in curves.parts.items()} == {"kl": 3}
    assert curves.columns[Role.GOAL] == "accuracy"


@pytest.mark.parametrize(("folder", "role"), [("validation", Role.VAL), ("eval", Role.VAL), ("train", Role.TRAIN)])
@pytest.mark.parametrize("named", ["file", "folder"])
def test_the_file_of_a_folder_called_after_a_set_is_of_that_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, role: Role, named: str
) -> None:
    (tmp_path / "exp" / folder).mkdir(parents=True)
    path = write(tmp_path / "exp" / folder, b"".join(event(i, "epoch_loss", simple(1 / (i + 1))) for i in range(5)))
    monkeypatch.chdir(path.parent)
    (run,) = read_runs(path.name if named == "file" else Path())
    assert isinstance(run, ImportedRun)
    assert dict(run.mapped()) == {role: f"{folder}/loss"}
    assert run.name == "exp" or named == "folder"


def test_terms_without_a_whole_are_summed(tmp_path: Path) -> None:
    names = ("box_loss", "cls_loss", "dfl_loss")
    points = [
        (i, f"{part}/{name}", 2.0**j) for i in range(4) for part in ("train", "val") for j, name in enumerate(names)
    ]
    write(tmp_path, b"".join(event(step, tag, simple(value)) for step, tag, value in points))
    (run,) = read_runs(tmp_path)
    assert isinstance(run, ImportedRun)
    assert dict(run.mapped()) == {Role.TRAIN: "train/loss", Role.VAL: "val/loss"}
    at = run.points.key == run.keys.index("train/loss")
    assert (run.points.step[at].tolist(), run.points.value[at].tolist()) == ([0, 1, 2, 3], [7.0] * 4)
    assert (
        "series 'val/loss' is the sum of val/box_loss, val/cls_loss, val/dfl_loss, because no total loss was logged"
        in {f"{note.place} {note.reason}" for note in run.skipped}
    )
