"""Tables and documents as people and trackers keep them: each is the same run of two losses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import monitor
from monitor.errors import NoHistory, RulesError
from monitor.importers import ImportedRun, NotTraining, read_curves, read_runs

TRAIN = [round(2 * math.exp(-i / 8) + 0.1, 6) for i in range(40)]
VAL = [round(1 + 0.6 * math.exp(-i / 4) + max(0.0, 0.03 * (i - 10)), 6) for i in range(40)]
ROWS = list(enumerate(zip(TRAIN, VAL, strict=True)))
HISTORY = {"loss": TRAIN, "val_loss": VAL}
SETS = (("train", TRAIN), ("val", VAL))
CSV = "epoch,train_loss,val_loss\n"


def points(values: list[float]) -> list[dict[str, float]]:
    return [{"step": i, "value": value} for i, value in enumerate(values)]


def lists(values: list[float]) -> dict[str, list[float]]:
    return {"x": list(range(len(values))), "y": values}


SHAPES: dict[str, tuple[str, str]] = {
    "curves of ClearML": (
        "scalars.json",
        json.dumps({"loss": {"train": {"name": "train", **lists(TRAIN)}, "val": {"name": "val", **lists(VAL)}}}),
    ),
    "metrics with their points": (
        "export.json",
        json.dumps({"metrics": [{"name": f"{s}_loss", "values": points(x)} for s, x in SETS]}),
    ),
    "a frame without its index": (
        "history.json",
        json.dumps({"columns": ["epoch", "loss", "val_loss"], "data": [[i, t, v] for i, (t, v) in ROWS]}),
    ),
    "a printed dictionary": ("history.txt", str({**HISTORY, "done": True, "lr": None})),
    "a printed dictionary of NumPy": (
        "history.log",
        f"{{'loss': array({TRAIN}, dtype=float32), 'val_loss': [{', '.join(f'np.float64({v})' for v in VAL)}]}}\n",
    ),
    "a header in two rows": (
        "log.csv",
        ",train,train,val,val\n,loss,acc,loss,acc\n" + "".join(f"{i},{t},0.5,{v},0.4\n" for i, (t, v) in ROWS),
    ),
    "a row for each metric": (
        "log.csv",
        "".join(f"{name},{','.join(map(str, x))}\n" for name, x in (("epoch", range(40)), *SETS)),
    ),
    "the newest row first": ("log.csv", CSV + "".join(f"{i},{t},{v}\n" for i, (t, v) in reversed(ROWS))),
    "sets in a context": (
        "aim.csv",
        "metric.name,metric.context,step,value\n"
        + "".join(f"loss,\"{{'subset': '{s}'}}\",{i},{x[i]}\n" for i in range(40) for s, x in SETS),
    ),
    "a configuration above the rows": (
        "log.jsonl",
        '{"config": {"lr": 0.1}}\n'
        + "".join(json.dumps({"step": i, "loss": t, "val_loss": v}) + "\n" for i, (t, v) in ROWS),
    ),
    "the same lines of several processes": (
        "log.jsonl",
        "".join((json.dumps({"step": i, "loss": t, "val_loss": v}) + "\n") * 4 for i, (t, v) in ROWS),
    ),
    "lines of a cloud": (
        "cloud.jsonl",
        "".join(
            json.dumps({"jsonPayload": {"message": f"step={i} loss={t} val_loss={v}"}, "severity": "INFO"}) + "\n"
            for i, (t, v) in ROWS
        ),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_losses_of_this_shape_are_read(shape: str, tmp_path: Path) -> None:
    name, text = SHAPES[shape]
    (tmp_path / name).write_text(text)
    curves = read_curves(tmp_path / name)
    assert curves.val is not None
    np.testing.assert_array_equal(curves.train, np.column_stack([range(40), TRAIN]))
    np.testing.assert_array_equal(curves.val, np.column_stack([range(40), VAL]))
    assert not [note for note in curves.run.skipped if note.broken]


def test_what_was_not_logged_yet_is_blank(tmp_path: Path) -> None:
    table = "Step\tTraining Loss\tValidation Loss\n100\tNo log\t1.5\n200\t0.5\t1.25\n"
    (tmp_path / "card.txt").write_text(table)
    curves = read_curves(tmp_path / "card.txt")
    assert curves.train.tolist() == [[200, 0.5]]
    assert not [note for note in curves.run.skipped if note.broken]


@pytest.mark.parametrize("data", [{"results": {"a": HISTORY, "b": HISTORY}}, [HISTORY, HISTORY]])
def test_histories_of_several_runs_are_not_summed(data: object, tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text(json.dumps(data))
    for run in (found := list(read_runs(tmp_path / "runs.json"))):
        assert isinstance(run, ImportedRun)
        assert run.keys == ("loss", "val_loss")
    assert len(found) == 2


def test_the_results_of_a_search_are_no_curve_and_predictions_are_no_training(tmp_path: Path) -> None:
    rows = "".join(f"{i},0.1,{i},0.8,1\n" for i in range(9))
    (tmp_path / "cv.csv").write_text(f",mean_fit_time,param_C,mean_test_score,rank_test_score\n{rows}")
    with pytest.raises(NoHistory, match="is a table of runs"):
        read_curves(tmp_path / "cv.csv")
    (tmp_path / "predictions.csv").write_text(
        "id,y_true,y_pred,loss\n" + "".join(f"{i},1,0,0.{i}\n" for i in range(1, 9))
    )
    assert all(isinstance(found, NotTraining) for found in read_runs(tmp_path))


def test_a_state_and_the_events_below_it_are_one_training_also_with_a_last_evaluation(
    tmp_path: Path, formats: object
) -> None:
    log = [{"step": i, "loss": t} for i, (t, _) in ROWS] + [{"step": i, "eval_loss": v} for i, (_, v) in ROWS[9::10]]
    state = tmp_path / "out" / "checkpoint-40" / "trainer_state.json"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"log_history": log}))
    events: Callable[..., object] = formats.events  # type: ignore[attr-defined]  # a module of the tests
    events(tmp_path / "out" / "runs" / "Nov29", "train/loss", TRAIN)
    events(tmp_path / "out" / "runs" / "Nov29", "eval/loss", [*VAL[9::10], VAL[-1]])
    run, again = read_runs(tmp_path)
    assert isinstance(run, ImportedRun) and run.kind == "trainer_state"
    assert isinstance(again, NotTraining)


def frame(**columns: object) -> object:
    return pytest.importorskip("pandas").DataFrame(columns)


def test_a_data_frame_or_a_history_is_diagnosed_by_its_names() -> None:
    for table in (HISTORY, frame(**HISTORY), frame(epoch=range(40), **HISTORY)):
        found = monitor.diagnose(table)  # type: ignore[arg-type]  # pandas is not typed here
        assert (found.verdict, found.counts.train, found.counts.val) == ("overfitting", 40, 40)
        assert found.recommendation.best_step == monitor.diagnose(TRAIN, VAL, unit="epoch").recommendation.best_step


def test_nan_between_numbers_of_a_data_frame_is_missing_and_at_the_end_a_value() -> None:
    sparse = [v if i % 4 == 3 else math.nan for i, (_, v) in ROWS]
    found = monitor.diagnose(frame(loss=[*TRAIN[:30], *[math.nan] * 10], val_loss=sparse))  # type: ignore[arg-type]
    assert (found.verdict, found.counts.val) == ("nan", 10)


def test_a_named_column_that_should_rise_is_a_goal() -> None:
    series = pytest.importorskip("pandas").Series([1 - 0.9**i for i in range(60)], name="val_auc")
    assert monitor.diagnose(series).headline.startswith("Nothing is wrong. val_auc began at 0")


def test_a_table_that_names_no_loss_or_holds_several_runs_is_refused() -> None:
    with pytest.raises(RulesError, match="names no loss and no goal among: a, b; pass its columns"):
        monitor.diagnose({"a": [1.0, 2.0], "b": [1.0, 2.0]})
    with pytest.raises(RulesError, match="holds 2 runs, such as fold-0, fold-1"):
        monitor.diagnose({"fold": [0] * 20 + [1] * 20, "epoch": [*range(20)] * 2, "loss": TRAIN})


def test_two_lists_are_a_curve_only_where_they_are_no_columns_and_no_loss_stands_elsewhere(tmp_path: Path) -> None:
    steps = list(range(0, 400, 10))
    for name, data, keys in (
        ("val_loss.json", {"steps": steps, "values": VAL}, ("val_loss",)),
        ("columns.json", {"step": steps, "value": VAL, "loss": TRAIN}, ("loss", "value")),
        ("fractions.json", {"loss": {"x": [i / 3 for i in range(40)], "y": TRAIN}}, ("loss",)),
    ):
        (tmp_path / name).write_text(json.dumps(data))
        (run,) = read_runs(tmp_path / name)
        assert isinstance(run, ImportedRun)
        assert run.keys == keys
    roc = {**HISTORY, "roc": {"x": list(range(40)), "y": TRAIN}}
    (tmp_path / "history.json").write_text(json.dumps(roc))
    assert read_curves(tmp_path / "history.json").train[:, 1].tolist() == TRAIN
