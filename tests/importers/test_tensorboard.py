from __future__ import annotations

import struct
from pathlib import Path

import pytest

from monitor.errors import FileUnreadable
from monitor.importers import read_curves


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
