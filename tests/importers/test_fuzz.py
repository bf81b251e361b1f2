"""Whatever a file holds, it is read or refused with a `FileUnreadable`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from monitor.errors import FileUnreadable
from monitor.importers import ImportedRun, NotTraining, read_curves, read_runs

from ..fuzzing import BUDGETS, mutants, refuses_in_one_way
from .test_documents import COLUMNS, FRAMES, SACRED, SCALARS

TEXTS = {
    "csv": ["step,train_loss,val_loss,time\n0,1.0,2,2024-01-01\n1,0.5,nan,\n2,,inf,x\n", "a;b\n1,5;2\n"],
    "jsonl": ['{"step": 1, "loss": 0.5, "a": {"b": [1, {"c": 2}]}}\n{"step": 2, "loss": NaN}\n'],
    "json": [
        json.dumps(data)
        for data in (
            COLUMNS,
            SCALARS,
            SACRED,
            *FRAMES,
            [{"loss": 1.0}, {"loss": 0.5, "epoch": 1}],
            {"history": COLUMNS, "epoch": [1, 2, 3]},
            {"log_history": [{"step": 1, "loss": 1.0}, {"train_runtime": 1}], "global_step": 3},
        )
    ],
}
WORDS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"[" * 3000,
    b'{"a":' * 3000,
    b'"',
    b",",
    b":",
    b"null",
    b"true",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 400,
    b"9" * 5000,
    b"-1",
    b"0.5",
    b"{}",
    b"[]",
    b'"loss"',
    b'"step"',
    b'"epoch"',
    b"\n",
    b"\r",
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\\ud800",
    b'"steps"',
    b'"values"',
    b'"data"',
    b'"index"',
    b'"columns"',
    b'"schema"',
    b"2024-01-01T00:00:00",
    b"9999-12-31T23:59:59-23:59",
    b"1_000",
    b";",
    b"\t",
    b'""',
]


def check(path: Path) -> None:
    """Both readers: the judged curves, and all series as a run."""
    for found in read_runs(path):
        if isinstance(found, ImportedRun):
            assert len(found.points) > 0
        else:
            assert isinstance(found, FileUnreadable | NotTraining)
    for found in read_runs(path.parent):
        assert isinstance(found, ImportedRun | FileUnreadable | NotTraining)
    read_curves(path)


@pytest.mark.parametrize("seconds", BUDGETS)
@pytest.mark.parametrize("kind", TEXTS)
def test_texts_are_read_or_refused(tmp_path: Path, kind: str, seconds: float | None) -> None:
    path = tmp_path / f"log.{kind}"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        check(path)

    seeds = [text.encode() for text in TEXTS[kind]]
    assert refuses_in_one_way(read, mutants(seeds, WORDS, seconds), FileUnreadable) > 0


@pytest.mark.parametrize("seconds", BUDGETS)
def test_binary_logs_are_read_or_refused(tmp_path: Path, formats, seconds: float | None) -> None:
    events = formats.events(tmp_path / "seed", "train/loss", [1.0, 0.5, 0.25])
    records = [formats.run(), *(formats.history(i, loss="0.5", _timestamp="1e9") for i in range(3)), formats.exit(1)]
    wandb = formats.wandb(tmp_path / "seed" / "run-a.wandb", records)
    seeds = {events.name: events.read_bytes(), wandb.name: wandb.read_bytes()}
    shutil.rmtree(tmp_path / "seed")

    def read(data: bytes) -> None:
        for name in seeds:
            (tmp_path / name).write_bytes(data)
            check(tmp_path / name)
            (tmp_path / name).unlink()

    inputs = mutants(list(seeds.values()), [*WORDS, b"\x0a\xff\xff\xff\xff\x0f", b"\x80" * 12], seconds)
    refuses_in_one_way(read, inputs, FileUnreadable)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"loss": [' + "[" * 100_000,
        '"' + "x" * 100_000,
    ],
    ids=["lists", "objects", "closed", "in-a-history", "text"],
)
@pytest.mark.parametrize("ending", ["json", "jsonl", "csv"])
def test_what_is_nested_too_deeply_is_refused(tmp_path: Path, text: str, ending: str) -> None:
    path = tmp_path / f"log.{ending}"
    path.write_text(text)
    with pytest.raises(FileUnreadable):
        read_curves(path)
    (found,) = read_runs(path)
    assert isinstance(found, FileUnreadable)
