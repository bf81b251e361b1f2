"""Offline W&B runs, written by hand byte for byte, and by W&B itself in an environment of its own."""

from __future__ import annotations

import json
import math
import subprocess
import venv
from pathlib import Path

import pytest

from monitor.errors import FileUnreadable
from monitor.importers import ImportedRun, NotTraining, read_runs


def only(path: Path) -> ImportedRun:
    (run,) = read_runs(path)
    assert isinstance(run, ImportedRun), run
    return run


def series(run: ImportedRun, key: str) -> list[tuple[int, float]]:
    at = run.points.key == run.keys.index(key)
    return list(zip(run.points.step[at].tolist(), run.points.value[at].tolist(), strict=True))


def test_history_config_and_end_are_read(tmp_path: Path, formats) -> None:
    config = b"".join(
        b"\x0a" + bytes([len(item)]) + item for item in (formats.item("lr", "0.1"), formats.item("_wandb", "{}"))
    )
    records = [formats.run(config=config)]
    records += [formats.history(i, loss=str(1 / (i + 1)), _timestamp=f"170000000{i}.5", _step=str(i)) for i in range(3)]
    run = only(formats.wandb(tmp_path / "run-abc.wandb", [*records, formats.exit(0)]))
    assert (run.project, run.name, run.status, run.config) == ("digits", "warm", "finished", {"lr": 0.1})
    assert series(run, "loss") == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert run.points.time_ms.tolist() == [1_700_000_000_500, 1_700_000_001_500, 1_700_000_002_500]


def test_a_run_began_when_it_says_which_is_before_its_first_point(tmp_path: Path, formats) -> None:
    records = [
        formats.run(started=(1_700_000_000, 250_000_000)),
        formats.history(0, loss="1", _timestamp="1700000009.5"),
    ]
    run = only(formats.wandb(tmp_path / "run-a.wandb", records))
    assert (run.started_ms, run.points.time_ms.tolist()) == (1_700_000_000_250, [1_700_000_009_500])


def test_a_record_larger_than_a_block_is_put_together(tmp_path: Path, formats) -> None:
    big = formats.history(0, loss="1.0", text=json.dumps("x" * 100_000))
    run = only(formats.wandb(tmp_path / "run-a.wandb", [big, formats.history(1, loss="0.5")]))
    assert series(run, "loss") == [(0, 1.0), (1, 0.5)]
    assert [(s.place, s.reason) for s in run.skipped] == [("metric 'text'", "holds text")]


@pytest.mark.parametrize("room", range(9))
def test_a_record_that_begins_near_the_end_of_a_block_is_read(tmp_path: Path, formats, room: int) -> None:
    head = len(formats.history(0, pad='""'))
    pad = 32_768 - 7 - 7 - head - room - 2  # the length of the text takes two bytes more than that of ""
    first = formats.history(0, pad=json.dumps("x" * pad))
    path = formats.wandb(tmp_path / "run-a.wandb", [first, *(formats.history(i, loss=str(i)) for i in (1, 2))])
    assert series(only(path), "loss") == [(1, 1.0), (2, 2.0)]


def test_a_file_cut_at_any_byte_keeps_its_whole_records(tmp_path: Path, formats) -> None:
    path = formats.wandb(tmp_path / "run-a.wandb", [formats.history(i, loss="0.5") for i in range(2)])
    whole = path.read_bytes()
    first = (len(whole) - 7) // 2 + 7
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        run = only(path)
        assert series(run, "loss") == [(0, 0.5)]
        assert (run.status, run.error) == ("stopped", "the file does not say how the run ended")


def test_a_damaged_record_is_named_and_the_next_block_goes_on(tmp_path: Path, formats) -> None:
    records = [formats.history(i, loss=str(i), pad=json.dumps("x" * 10_000)) for i in range(20)]
    path = formats.wandb(tmp_path / "run-a.wandb", records)
    data = bytearray(path.read_bytes())
    data[7 + 20_000] ^= 0xFF
    path.write_bytes(data)
    run = only(path)
    damaged = [s for s in run.skipped if s.broken]
    assert len(damaged) == 1 and damaged[0].place.startswith("byte ")
    steps = [step for step, _ in series(run, "loss")]
    assert steps[0] == 0 and steps[-1] == 19 and 10 < len(steps) < 20


def test_a_record_with_a_damaged_middle_is_lost_whole(tmp_path: Path, formats) -> None:
    other = b"".join(bytes([0x9A, 0x06, 0x80, 0x01]) + bytes(128) for _ in range(800))  # fields that nobody reads
    path = formats.wandb(
        tmp_path / "run-a.wandb", [formats.history(0, loss="1.0") + other, formats.history(1, loss="0.5")]
    )
    data = bytearray(path.read_bytes())
    data[40_000] ^= 0xFF  # in the second of its four blocks
    path.write_bytes(data)
    run = only(path)
    assert series(run, "loss") == [(1, 0.5)]
    assert len([s for s in run.skipped if s.broken]) == 1


def test_nan_is_a_point_and_a_failed_run_is_one(tmp_path: Path, formats) -> None:
    run = only(formats.wandb(tmp_path / "run-a.wandb", [formats.history(0, loss="NaN"), formats.exit(1)]))
    assert math.isnan(run.points.value[0])
    assert (run.status, run.error) == ("failed", "exit code 1")


def test_what_is_no_wandb_file_or_empty_is_said(tmp_path: Path, formats) -> None:
    path = tmp_path / "run-a.wandb"
    path.write_bytes(b"hello")
    (problem,) = read_runs(path)
    assert isinstance(problem, FileUnreadable) and "not a W&B file" in str(problem)
    (nothing,) = read_runs(formats.wandb(path, [formats.run()]))
    assert isinstance(nothing, NotTraining)


WRITE = """
import math, wandb
with wandb.init(project="digits", name="warm", group="g", tags=["a"], config={"lr": 0.1, "net": {"depth": 3}}) as run:
    for i in range(2000):
        run.log({"train/loss": math.nan if i == 7 else 2 / (i + 1), "val": {"loss": float(i)}, "note": "x" * 40})
    run.log({"late": 1, "flag": True, "list": [1, 2]}, step=5000)
"""


@pytest.mark.slow
def test_what_wandb_writes_is_read(tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    installed = subprocess.run([home / "bin/pip", "install", "-q", "wandb"], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"wandb cannot be installed: {installed.stderr[-200:]}")
    env = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "HOME": str(tmp_path), "PATH": str(home / "bin")}
    subprocess.run([home / "bin/python", "-c", WRITE], cwd=tmp_path, env=env, check=True, timeout=120)
    (run,) = [each for each in read_runs(tmp_path / "wandb") if not isinstance(each, NotTraining)]  # its own logs
    assert isinstance(run, ImportedRun)
    assert (run.project, run.name, run.group, run.tags, run.status) == ("digits", "warm", "g", {"a": ""}, "finished")
    assert run.config == {"lr": 0.1, "net": {"depth": 3}}
    train = series(run, "train/loss")
    assert [step for step, _ in train] == list(range(2000))
    assert math.isnan(train[7][1]) and train[8] == (8, 2 / 9)
    assert series(run, "val/loss")[1999] == (1999, 1999.0)
    assert series(run, "late") == [(5000, 1.0)]
    assert not [s for s in run.skipped if s.broken]


def test_steps_that_are_logged_again_are_another_attempt(tmp_path: Path, formats) -> None:
    steps = [0, 1, 2, 3, 1, 2]
    path = formats.wandb(tmp_path / "run-a.wandb", [formats.history(i, loss=str(i), _step=str(i)) for i in steps])
    (run,) = read_runs(path)
    assert isinstance(run, ImportedRun)
    assert run.attempts == (4,)
