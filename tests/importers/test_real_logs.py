"""Logs as frameworks print them, those of several processes, and those of several trainings in one."""

import importlib.util
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.importers import ImportedRun, read_runs
from monitor.importers.text_log import LogParser
from tests.importers.conftest import series_of
from tests.variants import some

_SPEC = importlib.util.spec_from_file_location("real_logs", Path(__file__).with_name("real_logs.py"))
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
REAL = _MODULE.REAL


def runs_in(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return {run.part: run for run in read_runs(path) if isinstance(run, ImportedRun)}


@pytest.mark.parametrize("log", REAL)
def test_a_log_is_read_as_it_is_meant(log, tmp_path):
    text, expected = REAL[log]
    (run,) = runs_in(tmp_path / "train.log", text).values()
    found = {name: [(step, pytest.approx(value)) for step, value in curve] for name, curve in expected.items()}
    assert series_of(run) == found


EPOCHS = [(epoch, 1 / epoch) for epoch in range(1, 6)]
PARTS = {
    "headings": ("===== Fold {part}/3 =====\n", "Epoch {epoch}/5 | train loss {loss}\n"),
    "sentences": ("Training on fold {part}...\n", "Epoch {epoch}/5\n25/25 - 0s - loss: {loss}\n"),
    "labels": ("", "[fold {part}] epoch {epoch} train_loss {loss}\n"),
}


@pytest.mark.parametrize("kind", PARTS)
def test_each_fold_of_a_log_is_a_run(kind, tmp_path):
    heading, line = PARTS[kind]
    text = "".join(
        heading.format(part=part)
        + "".join(line.format(part=part, epoch=epoch, loss=loss + part) for epoch, loss in EPOCHS)
        for part in (1, 2, 3)
    )
    found = runs_in(tmp_path / "train.log", text + "Fold 3 best val loss: 0.1\n")
    assert list(found) == ["fold-1", "fold-2", "fold-3"]
    for part, run in enumerate(found.values(), 1):
        (curve,) = series_of(run).values()
        assert curve == [(epoch, pytest.approx(loss + part)) for epoch, loss in EPOCHS]


@given(st.permutations([part for part in (1, 2, 3) for _ in EPOCHS]))
def test_folds_that_take_turns_are_told_apart(tmp_path_factory, order):
    left = {part: iter(EPOCHS) for part in (1, 2, 3)}
    text = ""
    for part in order:
        epoch, loss = next(left[part])
        text += f"[fold {part}] epoch {epoch} loss {loss + part}\n"
    found = runs_in(tmp_path_factory.mktemp("folds") / "train.log", text)
    for part in (1, 2, 3):
        assert [step for step, _ in series_of(found[f"fold-{part}"])["loss"]] == [1, 2, 3, 4, 5]


def test_a_seed_is_told_of_the_run_and_a_sum_of_each_fold_is_not_a_run(tmp_path):
    (run,) = runs_in(tmp_path / "a.log", "Seed: 42\n" + "".join(f"epoch {e} loss {v}\n" for e, v in EPOCHS)).values()
    assert run.config["seed"] == "42"
    (run,) = runs_in(tmp_path / "b.log", "".join(f"Fold {i}: val loss 0.{i} acc 0.9\n" for i in range(1, 6))).values()
    assert "fold" not in run.keys


@pytest.mark.parametrize("log", some(zip(REAL), every=3))
@given(cuts=st.lists(st.integers(0, 2_000), max_size=6))
def test_a_log_is_read_the_same_in_any_pieces(log, cuts):
    text, _ = REAL[log]
    whole, parser = LogParser(), LogParser()
    whole.feed(text)
    whole.close()
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for begin, end in pairwise(bounds):
        parser.feed(text[begin:end])
    parser.close()
    assert parser.rows == whole.rows
