"""`diagnose` and `import` read a file alike: the same series, steps, attempts and verdict, in every format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor.domain import Diagnosis, FindingState
from monitor.importers import judge, read_curves, send_run
from monitor.ingest import ingest
from monitor.ingest.engines import Engines
from monitor.roles import Role
from monitor.store import Store
from tests.conftest import NOW_MS

from .small import FORMATS, TRAIN, VAL


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Store]:
    with Store.open(sqlite_url) as opened:
        yield opened


def firing(found: Diagnosis) -> list[tuple[str, float, float]]:
    return sorted(
        (finding.rule, finding.onset_step, finding.fired_step)
        for finding in found.findings
        if finding.state is FindingState.FIRING
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_both_find_the_same(tmp_path: Path, database: Store, kind: str) -> None:
    curves = read_curves(FORMATS[kind](tmp_path))
    assert curves.val is not None
    assert sorted(curves.train[:, 1]) == sorted(np.repeat(TRAIN, 5) if kind == "batches" else factor(kind) * TRAIN)
    assert sorted(curves.val[:, 1]) == sorted(factor(kind) * VAL)
    found = judge(curves.run)
    sent = send_run(curves.run, lambda batch: ingest(database, Engines(), batch, now_ms=NOW_MS))
    stored = database.diagnosis(sent.run_id)
    assert (stored.verdict, stored.headline) == (found.verdict, found.headline)
    for name in ("action", "best_step", "best_val_loss", "stop_step", "patience"):
        assert getattr(stored.recommendation, name) == getattr(found.recommendation, name), name
    assert firing(stored) == firing(found)
    assert (stored.counts.train, stored.counts.val, stored.counts.late) == (
        found.counts.train, found.counts.val, found.counts.late
    )  # fmt: skip
    for role, series in ((Role.TRAIN, curves.train), (Role.VAL, curves.val)):
        points = database.history(sent.run_id, curves.columns[role])
        order = np.argsort(series[:, 0], kind="stable")
        assert points.steps.tolist() == series[order, 0].tolist()
        assert points.values.tolist() == series[order, 1].tolist()
    assert [note.place for note in curves.run.skipped if note.broken] == []


def factor(kind: str) -> np.ndarray:
    """What the losses are multiplied with: two terms of the same size are summed up."""
    return np.array(2.0 if kind == "ultralytics" else 1.0)


@pytest.mark.parametrize(
    ("kind", "unit", "first", "last"),
    [
        ("csv", "epoch", 0, 39),
        ("csv of a data frame", "epoch", 0, 39),
        ("batches", "step", 0, 199),
        ("llama-factory", "step", 10, 400),
        ("ms-swift", "step", 1, 40),
        ("comet", "step", 1, 40),
        ("rllib", "step", 4000, 160_000),
        ("spinning up", "step", 0, 39_000),
        ("mmengine", "step", 50, 2000),
        ("fairseq", "step", 100, 4000),
        ("rows by epoch", "epoch", 0, 39),
        ("dvclive", "epoch", 0, 39),
        ("wandb chart", "step", 0, 39),
        ("tensorboardX", "epoch", 0, 39),
    ],
)
def test_the_steps_are_those_that_the_training_counted(
    tmp_path: Path, kind: str, unit: str, first: int, last: int
) -> None:
    curves = read_curves(FORMATS[kind](tmp_path))
    assert curves.val is not None
    assert (curves.unit, curves.train[0, 0], curves.train[-1, 0]) == (unit, first, last)
    assert curves.val[-1, 0] == last
    assert curves.run.steps


def test_each_of_the_trainings_of_one_file_is_an_attempt_and_the_newest_is_judged(
    tmp_path: Path, database: Store
) -> None:
    run = read_curves(FORMATS["appended"](tmp_path)).run
    assert run.attempts == (60, 84)
    sent = send_run(run, lambda batch: ingest(database, Engines(), batch, now_ms=NOW_MS))
    assert database.run(sent.run_id).attempt == 3
    assert len(database.history(sent.run_id, "loss", attempt=1)) == 30
    assert len(database.history(sent.run_id, "loss", attempt=2)) == 12
    assert database.diagnosis(sent.run_id).counts.train == 40
    assert judge(run).counts.train == 40


def test_steps_out_of_order_are_no_attempts_and_judged_as_they_came(tmp_path: Path) -> None:
    run = read_curves(FORMATS["jsonl out of order"](tmp_path)).run
    assert run.attempts == ()
    assert run.points.step[:8:2].tolist() == [3, 2, 1, 0]
    assert judge(run).counts.late == 60


def test_a_folder_of_a_tracker_is_one_run_with_its_configuration(tmp_path: Path) -> None:
    for kind in ("dvclive", "sacred"):
        assert read_curves(FORMATS[kind](tmp_path / kind)).run.config == {"lr": 0.1}
