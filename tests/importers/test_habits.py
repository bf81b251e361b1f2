"""Habits of people and programs that print numbers, names and places in their own way."""

import importlib.util
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import FileUnreadable
from monitor.importers import ImportedRun, read_curves, read_runs
from monitor.importers.text_log import LogParser
from monitor.importers.text_numbers import plain_numbers

_SPEC = importlib.util.spec_from_file_location("habits_of_logs", Path(__file__).with_name("habits_of_logs.py"))
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
HABITS = _MODULE.HABITS


def series(path):
    (run,) = read_runs(path)
    assert isinstance(run, ImportedRun), run
    found = {}
    for index, name in enumerate(run.keys[: len(run.keys) - len(run.derived)]):
        at = run.points.key == index
        found[name] = list(zip(run.points.step[at].tolist(), run.points.value[at].tolist(), strict=True))
    return found


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
