"""Tables that are not a row for each step and a column for each metric."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import monitor
from monitor.errors import FileUnreadable, NoHistory
from monitor.importers import ImportedRun, NotTraining, read_curves, read_runs
from monitor.roles import Role

from .small import FORMATS, TRAIN, VAL, N, text


def runs(path: Path) -> list[ImportedRun]:
    found = list(read_runs(path))
    assert all(isinstance(each, ImportedRun) for each in found), found
    return [each for each in found if isinstance(each, ImportedRun)]


def series(run: ImportedRun, key: str) -> list[tuple[int, float]]:
    at = run.points.key == run.keys.index(key)
    return list(zip(run.points.step[at].tolist(), run.points.value[at].tolist(), strict=True))


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Name,State,learning_rate,train/loss,val/loss,_step", "run-{i},finished,0.001,{t},{v},5000"),
        ("ID,train_loss,val_loss", "abc{i},{t},{v}"),
        ("number,value,params_lr,state", "{i},{v},0.1,COMPLETE"),
        ("batch_size,hidden_size,learning_rate,val_loss", "32,64,0.1,{v}"),
        ("model,train_loss,epochs", "m{i},{t},50"),
    ],
)
def test_a_table_of_finished_runs_is_called_so_and_passed_over_in_a_folder(
    tmp_path: Path, header: str, row: str
) -> None:
    lines = [row.format(i=i, t=TRAIN[-i - 1], v=VAL[-i - 1]) for i in range(8)]
    path = text("runs.csv", header, *lines)(tmp_path)
    with pytest.raises(NoHistory, match="is a table of runs, one a row"):
        read_curves(path)
    (found,) = read_runs(tmp_path)
    assert isinstance(found, NotTraining)


def test_a_column_that_tells_runs_apart_makes_runs_of_them(tmp_path: Path) -> None:
    lines = [f"{seed},{i},{TRAIN[i] + seed}" for seed in (1, 2) for i in range(N)]
    first, second = runs(text("seeds.csv", "seed,epoch,train_loss", *lines)(tmp_path))
    assert [first.name, second.name] == ["seeds/seed-1", "seeds/seed-2"]
    assert series(second, "train_loss")[0] == (0, TRAIN[0] + 2)
    assert first.origin != second.origin
    with pytest.raises(FileUnreadable, match="such as 'seeds/seed-1' and 'seeds/seed-2'; name one with --run"):
        read_curves(tmp_path / "seeds.csv")
    for wanted in ("seed-2", "seeds/seed-2"):
        assert read_curves(tmp_path / "seeds.csv", wanted=wanted).train[0].tolist() == [0, TRAIN[0] + 2]
    with pytest.raises(FileUnreadable, match="holds no run called 'seed-3', but seeds/seed-1, seeds/seed-2"):
        read_curves(tmp_path / "seeds.csv", wanted="seed-3")


def test_histories_by_their_models_are_runs(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps({name: {"train_loss": TRAIN, "val_loss": VAL} for name in ("small", "large")}))
    assert [run.name for run in runs(path)] == ["h/small", "h/large"]


def test_a_chart_of_several_runs_is_several_runs(tmp_path: Path) -> None:
    lines = [f"{i},{TRAIN[i]},{TRAIN[i]},," if i % 2 else f"{i},,,{VAL[i]},{VAL[i]}" for i in range(N)]
    header = "Step,a - loss,a - loss__MIN,b - loss,b - loss__MAX"
    first, second = runs(text("wandb_export.csv", header, *lines)(tmp_path))
    assert (first.name, second.name, len(first.points), len(second.points)) == (
        "wandb_export/a",
        "wandb_export/b",
        20,
        20,
    )
    assert first.keys == ("loss",)


def test_a_curve_of_tensorboard_is_called_by_its_file(tmp_path: Path) -> None:
    lines = [f"{1.7e9 + i},{i * 10},{t}" for i, t in enumerate(TRAIN)]
    (run,) = runs(text("run-exp1-tag-train_loss.csv", "Wall time,Step,Value", *lines)(tmp_path))
    assert run.keys == ("train/loss",)
    assert run.mapped() == {Role.TRAIN: "train/loss"}
    assert run.config == {"run": "exp1"}
    assert run.points.time_ms[1] == 1_700_000_001_000


@pytest.mark.parametrize("name", ["train_loss.txt", "train_loss.json"])
def test_numbers_alone_are_the_curve_that_the_file_is_called_by(tmp_path: Path, name: str) -> None:
    lines = [json.dumps(TRAIN)] if name.endswith("json") else list(map(str, TRAIN))
    curves = read_curves(text(name, *lines)(tmp_path))
    assert curves.train[:, 1].tolist() == TRAIN


def test_episodes_are_counted_by_their_lengths(tmp_path: Path) -> None:
    lines = ['#{"t_start": 1700000000.5, "env_id": "CartPole-v1"}', "r,l,t", "10.0,10,0.5", "25.0,25,1.5"]
    (run,) = runs(text("0.monitor.csv", *lines)(tmp_path))
    assert series(run, "episode/reward") == [(10, 10.0), (35, 25.0)]
    assert run.config["env_id"] == "CartPole-v1"


def test_a_count_of_batches_without_epochs_goes_on_where_the_loss_does(tmp_path: Path) -> None:
    within = [f"{i % 8},{t}" for i, t in enumerate(TRAIN)]
    (run,) = runs(text("a.csv", "step,loss", *within)(tmp_path))
    assert run.points.step.tolist() == list(range(N))
    assert "each time it begins again x 8 + 'step'" in run.steps
    again = [f"{i},{TRAIN[i]}" for _ in range(3) for i in range(8)]
    (run,) = runs(text("b.csv", "step,loss", *again)(tmp_path))
    assert run.attempts == (8, 16)


def test_a_chosen_step_is_said_and_other_counts_are_named(tmp_path: Path) -> None:
    lines = [f"{i},{2048 * (i + 1)},{t}" for i, t in enumerate(TRAIN)]
    (run,) = runs(text("progress.csv", "time/iterations,time/total_timesteps,train/loss", *lines)(tmp_path))
    assert run.points.step[[0, -1]].tolist() == [2048, 2048 * N]
    assert run.steps == "column 'time/total_timesteps'"
    assert [note.place for note in run.skipped] == ["column 'time/iterations'"]


def test_a_column_called_time_that_is_not_one_is_a_series(tmp_path: Path) -> None:
    (run,) = runs(text("m.csv", "iteration,time,loss", "1,0.25,2", "2,0.26,1")(tmp_path))
    assert series(run, "time") == [(1, 0.25), (2, 0.26)]


def test_a_column_that_is_there_twice_is_kept_apart(tmp_path: Path) -> None:
    (run,) = runs(text("m.csv", "step,loss,loss", "1,2,3", "2,1,2")(tmp_path))
    assert run.keys == ("loss", "loss.1")
    assert [note.reason for note in run.skipped] == ["names the column 'loss' twice; this one is 'loss.1'"]


def test_the_losses_of_epochs_are_spread_over_those_of_batches(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps({"train_loss": [2.0] * 100, "val_loss": [2.0] * 5}))
    curves = read_curves(path)
    assert curves.val is not None
    assert curves.val[:, 0].tolist() == [19, 39, 59, 79, 99]
    assert any("spread evenly" in note for note in curves.left_out)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (tmp_path.joinpath("opened").touch, ())

    for protocol in (2, 4, 5):
        path = tmp_path / "history.pkl"
        path.write_bytes(pickle.dumps({"loss": Trap()}, protocol))
        with pytest.raises(NoHistory, match="is a pickle, which is never opened"):
            read_curves(path)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("cut", range(2, 60, 3))
@pytest.mark.parametrize("kind", ["keras", "trainer_state", "keras wrapped", "rows below a key"])
def test_a_document_cut_short_keeps_what_is_whole(tmp_path: Path, kind: str, cut: int) -> None:
    path = FORMATS[kind](tmp_path)
    path.write_text(path.read_text()[:-cut])
    curves = read_curves(path)
    assert len(curves.train) >= N - 3
    assert any(note.broken and "cut short" in note.reason for note in curves.run.skipped)


def test_a_number_that_is_cut_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    path.write_text('{"val_loss": [3.5, 2.5, 2.25], "loss": [2.5, 1.5, 1.2')
    assert read_curves(path).train[:, 1].tolist() == [2.5, 1.5]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(
        st.sampled_from(["loss", "step", "epoch", "log_history", "history", "data", "index", "columns", "values",
                         "steps", "iterations", "meta", "0", "1", "run", "train", "val", "name", "value", "phase"])
        | st.text(max_size=4),
        inner, max_size=5),
    max_leaves=30,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@example([{"\n": None}], "a.jsonl")
@example([{"loss": "\N{SUPERSCRIPT ONE}"}], "a.jsonl")
@example({"train": {"\N{SUPERSCRIPT ONE}": None}}, "a.jsonl")
@given(JSON, st.sampled_from(["a.json", "a.jsonl", "trainer_state.json"]))
def test_any_json_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, value: object, name: str
) -> None:
    folder = tmp_path_factory.mktemp("json")
    (folder / name).write_text(json.dumps(value))
    for source in (folder / name, folder):
        for found in read_runs(source):
            assert isinstance(found, ImportedRun | FileUnreadable | NotTraining)
            if isinstance(found, FileUnreadable):
                assert "\n" not in str(found)
        with suppress(FileUnreadable):
            read_curves(source)


def test_a_validation_that_counts_epochs_stands_at_the_steps_of_the_training(tmp_path: Path) -> None:
    lines = []
    for epoch in range(4):
        lines += [json.dumps({"step": 50 * epoch + i, "train_loss": 1.0}) for i in range(50)]
        lines += [json.dumps({"step": epoch, "val_loss": 1.0, "val_acc": 0.5})]
    (run,) = runs(text("log.jsonl", *lines)(tmp_path))
    assert [step for step, _ in series(run, "val_loss")] == [49, 99, 149, 199]
    assert [step for step, _ in series(run, "val_acc")] == [49, 99, 149, 199]
    assert "series 'val_loss'" in [note.place for note in run.skipped]


def test_a_validation_of_the_first_steps_alone_stays_where_it_is(tmp_path: Path) -> None:
    lines = [json.dumps({"step": i, "train_loss": 1.0, **({"val_loss": 1.0} if i < 4 else {})}) for i in range(200)]
    (run,) = runs(text("log.jsonl", *lines)(tmp_path))
    assert [step for step, _ in series(run, "val_loss")] == [0, 1, 2, 3]


def test_runs_with_an_id_and_a_name_are_named(tmp_path):
    path = tmp_path / "points.csv"
    rows = [f"{run * 16},{name},loss,{i},{1 / (i + 1)}" for run, name in (("a", "one"), ("b", "two")) for i in range(5)]
    path.write_text("\n".join(["run_id,run,key,step,value", *rows]))
    assert [run.name for run in read_runs(path)] == ["points/one", "points/two"]
    path.write_text("\n".join(["run_id,run,key,step,value", *rows]).replace("two", "one"))
    assert [run.name for run in read_runs(path)] == [f"points/{'a' * 16}", f"points/{'b' * 16}"]


def test_what_is_exported_is_imported_under_its_names(tmp_path, monkeypatch):
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path / "store"))
    for name in ("one", "two"):
        with monitor.init("digits", name=name, capture=False) as run:
            for step in range(20):
                run.log({"loss": 1 / (step + 1), "val/loss": 2 / (step + 1)}, step=step, epoch=step / 10)
    file = tmp_path / "points.csv"
    monitor.Api().export(["one", "two"], file)
    found = list(read_runs(file))
    assert [(run.name, run.skipped) for run in found] == [("points/one", ()), ("points/two", ())]
    assert {key: int((found[0].points.key == i).sum()) for i, key in enumerate(found[0].keys)} == {
        "loss": 20,
        "val/loss": 20,
    }


def test_a_blank_cell_of_a_printed_table_is_told_by_its_place(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text(
        "    Iteration    Epoch    TrainingLoss    ValidationLoss    TrainingAccuracy\n"
        "    _________    _____    ____________    ______________    ________________\n"
        "            1        1          2.3000            2.4000                10.5\n"
        "           50        1          1.5000                                  40.5\n"
        "          100        2          1.0000            1.2500                60.5\n"
    )
    (run,) = read_runs(path)
    curves = {key: run.points.value[run.points.key == i].tolist() for i, key in enumerate(run.keys)}
    assert curves == {
        "TrainingLoss": [2.3, 1.5, 1],
        "ValidationLoss": [2.4, 1.25],
        "TrainingAccuracy": [10.5, 40.5, 60.5],
    }
    assert run.skipped == ()


def test_comments_may_stand_between_the_names_and_the_numbers(tmp_path):
    path = tmp_path / "lcurve.out"
    path.write_text(
        "#  step   rmse_val   rmse_trn\n# If there is no data, rmse_* is nan.\n  0  2.5  2.4\n  100  1.5  1.4\n"
    )
    (run,) = read_runs(path)
    assert run.points.step[run.points.key == run.keys.index("rmse_trn")].tolist() == [0, 100]
