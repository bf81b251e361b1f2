"""Habits of people and programs that print numbers, names and places in their own way."""

import importlib.util
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import FileUnreadable
from monitor.importers import ImportedRun, read_curves, read_runs
from monitor.importers.text_log import LogParser
from monitor.importers.text_numbers import plain_numbers
from tests.importers.conftest import series_of

_SPEC = importlib.util.spec_from_file_location("habits_of_logs", Path(__file__).with_name("habits_of_logs.py"))
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
HABITS = _MODULE.HABITS


def series(path):
    (run,) = read_runs(path)
    assert isinstance(run, ImportedRun), run
    return series_of(run)


def same(found, expected):
    """Whether curves are equal, NaN being equal to itself."""
    return repr(dict(sorted(found.items()))) == repr(
        {name: [(int(step), float(value)) for step, value in curve] for name, curve in sorted(expected.items())}
    )


@pytest.mark.parametrize("habit", HABITS)
def test_a_log_of_this_habit_is_read(habit, tmp_path):
    text, expected = HABITS[habit]
    path = tmp_path / "train.log"
    path.write_text(text, encoding="utf-8", newline="")
    found = series(path)
    assert same(found, expected), found


def points(lines):
    parser = LogParser()
    parser.feed("".join(lines))
    parser.close()
    return [(row.cells.get("step"), row.cells["loss"]) for row in parser.rows], parser.understood


losses = st.lists(st.floats(1e-3, 1e3).map(lambda value: round(value, 4)), min_size=1, max_size=20)


@given(losses, st.data())
def test_ranks_that_wait_for_each_other_are_one_curve(values, data):
    """Whatever order the processes print in between two steps."""
    lines = []
    for step, value in enumerate(values):
        for rank in data.draw(st.permutations(range(3))):
            lines.append(f"[rank{rank}]: step {step} loss {value}\n")
    found, understood = points(lines)
    assert found == list(enumerate(values))
    assert understood.again == 2 * len(values)


@given(losses, st.integers(2, 4))
def test_a_curve_does_not_depend_on_how_often_its_lines_are_printed(values, times):
    found, _ = points([f"step {step} loss {value}\n" for step, value in enumerate(values) for _ in range(times)])
    assert found == list(enumerate(values))


@given(st.floats(1e-6, 1e9), st.integers(1, 6))
def test_a_number_means_the_same_with_a_decimal_comma(value, digits):
    text = f"{value:.{digits}f}"
    assert plain_numbers(text.replace(".", ",")) == text


@given(st.floats(0, 1e12), st.integers(1, 6))
def test_a_number_means_the_same_with_commas_or_points_between_its_thousands(value, digits):
    text = f"{value:,.{digits}f}"
    assert float(plain_numbers(text)) == float(text.replace(",", ""))
    swapped = text.translate(str.maketrans(",.", ".,"))
    assert float(plain_numbers(f"x {swapped} y")[2:-2]) == float(text.replace(",", ""))


@given(st.floats(allow_nan=False), st.floats(-1e6, 1e6))
def test_numbers_with_decimal_points_are_left_alone(one, other):
    text = f"loss {one!r}, lr={other!r}"
    assert plain_numbers(text) == text


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-8", "utf-16"])
def test_a_log_in_another_encoding_is_read(encoding, tmp_path):
    path = tmp_path / "train.log"
    path.write_bytes("Läuft für step 10 loss 2.5\nLäuft für step 20 loss 2.25\n".encode(encoding))
    assert series(path) == {"loss": [(10, 2.5), (20, 2.25)]}


def test_a_log_in_which_a_byte_is_broken_is_read(tmp_path):
    path = tmp_path / "train.log"
    path.write_bytes("Läuft step 10 loss 2.5 █\nstep 20 loss 2.25\n".encode() + b"\xe2\x96 step 30 loss 2.0\n")
    assert series(path) == {"loss": [(10, 2.5), (20, 2.25), (30, 2.0)]}


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "train.log"
    path.write_bytes(b"step 10 loss 2.5\n\xff\x01\x02\x03")
    with pytest.raises(FileUnreadable, match="row 2: is not text in UTF-8"):
        read_curves(path)


@pytest.mark.parametrize(
    ("cell", "value"),
    [('"12,345.5"', 12345.5), ('"1,234,567"', 1234567), ("-nan(ind)", math.nan), ("1.#INF", math.inf), ('"0,5"', 0.5),
     ("−0.5", -0.5), ('"1.234,5"', 1234.5)],
)  # fmt: skip
def test_a_cell_of_a_table_may_be_written_so(cell, value, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(f"step,loss\n1,1.5\n2,{cell}\n3,1.25\n", encoding="utf-8")
    ((_, second, _),) = series(path).values()
    assert repr(second) == repr((2, float(value)))


def test_a_table_separated_by_commas_has_none_for_decimals(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('step,loss\n"1,000","2,500"\n"2,000","2,250"\n')
    assert series(path) == {"loss": [(1000, 2500), (2000, 2250)]}


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


RANKED = [{"rank": rank, "step": step, "loss": 3 - step / 20 + rank} for step in (10, 20) for rank in range(2)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.jsonl", lines(*RANKED)),
        ("log.csv", "rank,step,loss\n" + "".join(f"{row['rank']},{row['step']},{row['loss']}\n" for row in RANKED)),
        ("log.csv", "step,loss,worker_id\n10,2.5,b\n10,2.6,a\n20,2.0,a\n20,2.1,b\n"),
    ],
)
def test_a_table_that_several_processes_wrote_is_read_from_one(name, text, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    assert series(path) == {"loss": [(10, 2.5), (20, 2.0)]}
    (run,) = read_runs(path)
    assert "2 rows are from other processes" in " ".join(f"{note.place} {note.reason}" for note in run.skipped)


def test_sets_of_several_processes_are_kept_apart(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "rank,split,step,loss\n1,train,10,1\n0,train,10,2\n0,val,10,3\n1,val,10,4\n1,train,20,.5\n0,val,20,.6\n"
    )
    assert series(path) == {"train/loss": [(10, 1.0), (20, 0.5)], "val/loss": [(10, 3.0), (20, 0.6)]}


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.data())
def test_rows_of_processes_that_wait_for_each_other_are_one_curve(tmp_path_factory, values, data):
    rows = []
    for step, value in enumerate(values):
        rows += [f"{rank},{step},{value!r}" for rank in data.draw(st.permutations(range(3)))]
    path = tmp_path_factory.mktemp("ranks") / "log.csv"
    path.write_text("\n".join(["rank,step,loss", *rows]) + "\n")
    assert series(path) == {"loss": list(enumerate(values))}


def test_an_event_tells_training_from_evaluation(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = [{"event": event, "step": step, "loss": step / 10} for step in (10, 20) for event in ("train_step", "eval")]
    path.write_text(lines(*rows))
    assert series(path) == {"train_step/loss": [(10, 1.0), (20, 2.0)], "eval/loss": [(10, 1.0), (20, 2.0)]}


def mmdetection(epochs, *, head):
    rows = [{"env_info": "sys.platform: linux", "config": "...", "seed": 0, "exp_name": "a.py"}] if head else []
    for epoch in range(1, epochs + 1):
        rows += [
            {"mode": "train", "epoch": epoch, "iter": at, "loss": 1 / (3 * epoch + at / 50)} for at in (50, 100, 150)
        ]
        rows.append({"mode": "val", "epoch": epoch, "iter": 20, "bbox_mAP": epoch / 10})
    return lines(*rows)


@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_an_evaluation_of_mmdetection_stands_where_the_training_had_come_to(epochs, head, tmp_path):
    path = tmp_path / "20240501_120000.log.json"
    path.write_text(mmdetection(epochs, head=head))
    found = series(path)
    assert [step for step, _ in found["train/loss"]] == [50 * (at + 1) for at in range(3 * epochs)]
    assert found["val/bbox_mAP"] == [(150 * epoch, epoch / 10) for epoch in range(1, epochs + 1)]


def test_an_evaluation_that_has_steps_of_its_own_keeps_them(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("split,epoch,step,loss\ntrain,1,10,2\ntrain,1,20,1.9\nval,1,10,2.1\ntrain,1,30,1.8\nval,1,20,2\n")
    assert series(path)["val/loss"] == [(10, 2.1), (20, 2.0)]


def test_the_line_that_tells_excel_the_separator_is_no_header(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("sep=;\nepoch;train_loss\n1;0,91\n2;0,81\n")
    assert series(path) == {"train_loss": [(1, 0.91), (2, 0.81)]}
