"""Text logs: many shapes, read by a few patterns."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.errors import FileUnreadable, NoHistory
from monitor.importers import ImportedRun, read_runs
from monitor.importers.text_log import LogParser, read_log


def beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LOGS = beside("logs").LOGS
SHAPES = beside("shapes_of_logs").SHAPES
PLACES = ("step", "epoch", "timestamp")


def curves(table):
    found = {}
    for row in table.rows:
        place = row.cells.get("step", row.cells.get("epoch"))
        for name, value in row.cells.items():
            if name not in PLACES:
                found.setdefault(name, []).append((place, value))
    return found


@pytest.mark.parametrize("shape", LOGS)
def test_a_log_of_this_shape_is_read(shape):
    text, expected = LOGS[shape]
    assert curves(read_log("train.log", text)) == expected


@pytest.mark.parametrize("shape", LOGS)
def test_a_file_of_this_shape_is_one_run(shape, tmp_path):
    path = tmp_path / "train.log"
    path.write_text(LOGS[shape][0], encoding="utf-8", newline="")
    (run,) = read_runs(path)
    assert isinstance(run, ImportedRun)
    if shape in ("fastai", "skorch", "markdown"):  # tables, whoever printed them
        return
    assert run.kind == "text"
    assert set(run.keys) - set(run.derived) == set(LOGS[shape][1])
    own = run.points.key < len(run.keys) - len(run.derived)
    assert own.sum() == sum(map(len, LOGS[shape][1].values()))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_losses_and_the_goal_of_this_shape_are_found(shape, tmp_path):
    text, expected = SHAPES[shape]
    path = tmp_path / "train.log"
    path.write_text(text, encoding="utf-8", newline="")
    (run,) = read_runs(path)
    if not isinstance(run, ImportedRun):
        assert set(expected.values()) == {None}
        return
    mapped = {str(role): key for role, key in run.mapped().items()}
    for role, points in expected.items():
        if points is None:
            assert role not in mapped
            continue
        at = run.points.key == run.keys.index(mapped[role])
        fractions = any(isinstance(place, float) for place, _ in points)
        places = run.points.epoch[at] if fractions else run.points.step[at]
        assert list(zip(places.tolist(), run.points.value[at].tolist(), strict=True)) == points, role


@given(st.sampled_from(sorted(LOGS)), st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_log_is_read_the_same_in_any_pieces(shape, cuts):
    text = LOGS[shape][0]
    parser, at = LogParser(), 0
    for cut in sorted(cuts):
        parser.feed(text[at:cut])
        before = list(parser.rows)
        at = max(at, cut)
    parser.feed(text[at:])
    assert parser.rows[: len(before) if cuts else 0] == (before if cuts else [])
    parser.close()
    whole = LogParser()
    whole.feed(text)
    whole.close()
    assert parser.rows == whole.rows


@given(st.text(st.sampled_from("loss acu:=|[]{}0123456789.e-+%/\r\n\b\x1b[m'\"trainvalepochstep ━▏"), max_size=400))
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_the_reader(text):
    parser = LogParser()
    parser.feed(text)
    parser.close()


@pytest.mark.parametrize("text", ["x" * 200_000, " " * 200_000, "a." * 90_000 + "=", "1 " * 90_000, "loss: " * 40_000])
def test_a_long_line_takes_no_time_to_speak_of(text):
    parser = LogParser()
    parser.feed(text + "\nloss: 0.5\n")
    parser.close()
    assert parser.rows[-1].cells["loss"] == 0.5


@pytest.mark.parametrize(
    "line",
    [
        "Namespace(batch_size=32, lr=0.1, loss_weight=0.5, top_k=5)",
        "loss_weight: 0.5",
        "Best val loss: 0.3 at epoch 7",
        "Epoch 00002: val_loss improved from 1.80000 to 1.60000, saving model to best.h5",
        "train loss improved to 0.5",
        "Training task: scrape the top 5 headlines",
        "[LightGBM] [Info] Start training from score 0.5",
        "accuracy                           0.98      6184",
        "{'train_runtime': 12.3, 'train_loss': 0.5, 'epoch': 3.0}",
        "2024-01-01 10:00:00 error 404",
        "Epoch: 01 | Epoch Time: 0m 30s",
    ],
)
def test_a_line_that_is_no_point_is_left_alone(line):
    parser = LogParser()
    parser.feed(line + "\n")
    parser.close()
    assert parser.rows == []


def test_it_says_which_lines_it_understood():
    parser = LogParser()
    parser.feed("start\nstep 1 loss 0.5\nthe loss of version 1.2 was high\nstep 2 loss 0.4\n")
    parser.close()
    assert str(parser.understood) == (
        "2 lines read as points, the first is line 2: step 1 loss 0.5; "
        "not understood: line 3: the loss of version 1.2 was high"
    )


def test_what_is_told_again_is_not_called_misunderstood():
    parser = LogParser()
    parser.feed("Epoch 1: val_loss improved from 0.9 to 0.75, saving model\nepoch 1 val_loss 0.75\n")
    parser.feed("{'train_runtime': '14.76', 'train_loss': '0.6016', 'epoch': '4'}\nBest val loss: 0.75\n")
    parser.close()
    assert parser.understood.missed is None


def test_a_pattern_reads_what_is_not_known():
    table = read_log(
        "x.log", "at 10 badness 2.5 ok\nnoise\nat 20 badness 1.5 ok\n", r"at (?P<step>\d+) badness (?P<loss>\S+)"
    )
    assert [dict(row.cells) for row in table.rows] == [{"step": "10", "loss": "2.5"}, {"step": "20", "loss": "1.5"}]


@pytest.mark.parametrize(
    ("pattern", "says"), [("(", "is not a regular expression"), (r"(?P<step>\d+)", "names no series")]
)
def test_a_pattern_that_cannot_be_used_says_so(pattern, says):
    with pytest.raises(FileUnreadable, match=says):
        read_log("x.log", "loss 1", pattern)


def test_a_text_without_points_names_the_way_out():
    with pytest.raises(NoHistory, match="--pattern REGEX"):
        read_log("x.log", "nothing here\nat all\n")


def test_a_table_with_the_name_of_a_log_is_a_table(tmp_path):
    path = tmp_path / "training.log"
    path.write_text("epoch,acc,loss,val_loss\n0,0.5,1.0,1.1\n1,0.6,0.9,1.0\n")
    (run,) = read_runs(path)
    assert run.kind == "csv" and set(run.keys) == {"acc", "loss", "val_loss"}


def test_a_search_reads_a_log_only_where_nothing_else_tells_of_the_training(tmp_path):
    for folder in ("alone", "beside"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.log").write_text("".join(f"step {i} loss {1 / (i + 1)}\n" for i in range(9)))
    (tmp_path / "beside" / "metrics.csv").write_text("step,loss\n" + "".join(f"{i},{2 / (i + 1)}\n" for i in range(9)))
    found = [run for run in read_runs(tmp_path) if isinstance(run, ImportedRun)]
    assert sorted((run.name, run.kind) for run in found) == [("alone/train", "text"), ("beside", "csv")]
