from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import FileUnreadable, SettingsError
from monitor.importers import Curves, read_curves
from monitor.importers.table import cell_number
from monitor.roles import Role, said_of
from tests.importers.conftest import Formats


def read(tmp_path: Path, text: str | bytes, name: str = "losses.csv") -> Curves:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_curves(path)


class TestCsv:
    def test_columns_are_found_by_their_names(self, tmp_path: Path) -> None:
        curves = read(
            tmp_path,
            "step,train_loss,val_loss,grad_norm,lr,accuracy,note\n0,1.0,,2.5,0.1,0.5,a\n1,0.5,0.7,2.0,0.1,0.6,b\n",
        )
        assert curves.train.tolist() == [[0, 1.0], [1, 0.5]]
        assert curves.val is not None
        assert curves.val.tolist() == [[1, 0.7]]
        assert curves.grad_norm is not None
        assert curves.grad_norm.tolist() == [[0, 2.5], [1, 2.0]]
        assert curves.lr is not None
        assert curves.lr.tolist() == [[0, 0.1], [1, 0.1]]
        assert curves.columns[Role.GOAL] == "accuracy"
        assert curves.unmapped == ()
        assert curves.unit == "step"
        assert curves.columns[Role.TRAIN] == "train_loss"

    @pytest.mark.parametrize(
        ("header", "unit"),
        [("step", "step"), ("Iteration", "step"), ("global_step", "step"), ("epoch", "epoch"), ("Epoch ", "epoch")],
    )
    def test_the_step_column_has_many_names(self, tmp_path: Path, header: str, unit: str) -> None:
        curves = read(tmp_path, f"{header},loss\n10,1\n20,2\n")
        assert curves.train.tolist() == [[10, 1], [20, 2]]
        assert curves.unit == unit

    def test_a_step_goes_before_an_epoch(self, tmp_path: Path) -> None:
        assert read(tmp_path, "epoch,step,loss\n0,100,1\n1,200,2\n").train[:, 0].tolist() == [100, 200]

    def test_without_a_step_column_rows_are_steps(self, tmp_path: Path) -> None:
        curves = read(tmp_path, "loss,val_loss\n3,\n2,9\n1,8\n")
        assert curves.train.tolist() == [[0, 3], [1, 2], [2, 1]]
        assert curves.val is not None
        assert curves.val.tolist() == [[1, 9], [2, 8]]

    @pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
    def test_takes_other_separators(self, tmp_path: Path, separator: str) -> None:
        text = "step,train/loss\n0,1.5\n1,0.5\n".replace(",", separator)
        assert read(tmp_path, text).train.tolist() == [[0, 1.5], [1, 0.5]]

    def test_takes_decimal_commas_where_the_separator_is_another(self, tmp_path: Path) -> None:
        assert read(tmp_path, "step;loss\n0;1,5\n1;0,25\n").train[:, 1].tolist() == [1.5, 0.25]

    @pytest.mark.parametrize(
        "text", ["step,loss\r\n0,1\r\n1,2\r\n", "\ufeffstep,loss\n0,1\n\n1,2\n\n", "# a\nstep,loss\n0,1\n1,2"]
    )
    def test_takes_what_other_programs_write(self, tmp_path: Path, text: str) -> None:
        assert read(tmp_path, text).train.tolist() == [[0, 1], [1, 2]]

    def test_takes_utf_16(self, tmp_path: Path) -> None:
        assert read(tmp_path, "step,loss\n0,1\n".encode("utf-16")).train.tolist() == [[0, 1]]

    def test_takes_quotes(self, tmp_path: Path) -> None:
        assert read(tmp_path, '"step","loss","note"\n"0","1.5","a, b"\n').train.tolist() == [[0, 1.5]]

    def test_keeps_what_is_not_finite(self, tmp_path: Path) -> None:
        values = read(tmp_path, "step,loss\n0,nan\n1,NaN\n2,inf\n3,-Infinity\n4,\n5,1.#INF\n").train
        assert values[:, 0].tolist() == [0, 1, 2, 3, 5]
        assert [math.isnan(v) for v in values[:2, 1]] == [True, True]
        assert values[2:, 1].tolist() == [math.inf, -math.inf, math.inf]

    def test_keeps_the_order_of_the_file(self, tmp_path: Path) -> None:
        assert read(tmp_path, "step,loss\n5,1\n3,2\n4,3\n").train[:, 0].tolist() == [5, 3, 4]

    def test_the_first_column_of_a_role_is_the_curve_and_the_others_are_named(self, tmp_path: Path) -> None:
        curves = read(tmp_path, "step,loss,train_loss\n0,1,2\n")
        assert curves.train.tolist() == [[0, 1]]
        assert curves.unmapped == ("train_loss",)


class TestJsonl:
    def test_one_object_a_line(self, tmp_path: Path) -> None:
        curves = read(tmp_path, '{"step": 0, "loss": 1.0}\n\n{"step": 1, "loss": NaN, "eval_loss": 0.5}\n')
        assert curves.train[0].tolist() == [0, 1.0]
        assert math.isnan(curves.train[1, 1])
        assert curves.val is not None
        assert curves.val.tolist() == [[1, 0.5]]

    def test_nested_objects_are_joined(self, tmp_path: Path) -> None:
        curves = read(tmp_path, '{"step": 0, "train": {"loss": 1.0}, "val": {"loss": null}}\n')
        assert curves.train.tolist() == [[0, 1.0]]

    def test_a_list_of_objects(self, tmp_path: Path) -> None:
        assert read(tmp_path, '[{"epoch": 1, "loss": 2}, {"epoch": 2, "loss": "inf"}]').train.tolist() == [
            [1, 2],
            [2, math.inf],
        ]

    @given(
        st.lists(
            st.tuples(st.integers(-(2**53), 2**53), st.floats(allow_nan=True, allow_infinity=True)),
            min_size=1,
            max_size=50,
            unique_by=lambda point: point[0],
        ).map(sorted)
    )
    def test_any_curve_comes_back_exactly(
        self, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float]]
    ) -> None:
        folder = tmp_path_factory.mktemp("curves")
        jsonl = read(folder, "".join(json.dumps({"step": s, "loss": v}) + "\n" for s, v in rows), "a.jsonl")
        csv = read(folder, "step,loss\n" + "".join(f"{s},{v!r}\n" for s, v in rows), "a.csv")
        expected = np.array(rows, "f8")
        np.testing.assert_array_equal(jsonl.train, expected)
        np.testing.assert_array_equal(csv.train, expected)


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        ("text", "place", "problem"),
        [
            ("", "", "empty"),
            ("  \n ", "", "empty"),
            ("step,loss\n", "", "no rows"),
            ("step,loss\n0,abc\n", "row 2", "'abc'"),
            ("step,loss\n0,1,2\n", "row 2", "3 cells"),
            ("step,loss\n0\n", "row 2", "1 cells"),
            ("0,1\n1,2\n", "row 1", "name the columns"),
            ("step,widgets\n0,1\n", "", "no series of losses among: widgets"),
            ('step,loss\n0,"1\n', "row ", "end"),
            ('{"step": 0,\n"loss": 1 "acc": 2}\n', "line 2", "not JSON"),
            ('["a", "b"]', "row 1", "object"),
            ("[", "", "JSON"),
            ("step,loss\n0,\0\n", "row 2", "not text"),
        ],
    )
    def test_is_named_with_its_place_and_in_one_line(self, tmp_path: Path, text: str, place: str, problem: str) -> None:
        with pytest.raises(FileUnreadable) as caught:
            read(tmp_path, text)
        message = str(caught.value)
        assert message.startswith(str(tmp_path / "losses.csv"))
        assert place in message
        assert problem in message
        assert "\n" not in message

    @pytest.mark.parametrize(
        ("text", "place", "problem"),
        [
            ("step,loss\n0,1\n1,1_000\n", "row 3", "'1_000'"),
            ("step,loss\n,1\n1,1\n", "row 2", "has no step"),
            ("step,loss\n1,1\nx,1\n", "row 3", "has no step"),
            ("step,loss\n1,1\nnan,1\n", "row 3", "has no step"),
            ("step,loss\n0,1\n1,1,2\n", "row 3", "3 cells"),
            ("step,loss,loss\n0,1,2\n", "row 1", "twice"),
            ('{"step": 0, "loss": 1}\n{"step": 1,\n', "row 2", "not JSON"),
            ('{"step": 0, "loss": 1}\n5\n', "row 2", "object"),
        ],
    )
    def test_is_named_and_the_rest_is_read(self, tmp_path: Path, text: str, place: str, problem: str) -> None:
        curves = read(tmp_path, text)
        assert len(curves.train) == 1
        assert any(place in note and problem in note for note in curves.left_out), curves.left_out

    def test_bytes_that_are_no_text_are_named_by_their_row(self, tmp_path: Path) -> None:
        with pytest.raises(FileUnreadable, match="row 2: is not text"):
            read(tmp_path, b"step,loss\n0,\xff\x01\n")

    def test_a_file_that_is_not_there_and_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(FileUnreadable, match="no such file"):
            read_curves(tmp_path / "nothing.csv")
        with pytest.raises(FileUnreadable, match="is a folder that holds no training"):
            read_curves(tmp_path)

    @given(st.text(max_size=200))
    def test_any_text_is_read_or_refused_but_never_breaks(
        self, tmp_path_factory: pytest.TempPathFactory, text: str
    ) -> None:
        folder = tmp_path_factory.mktemp("any")
        for head in ("", "step,loss\n", '{"loss": 1}\n'):
            try:
                curves = read(folder, (head + text).encode("utf-8", "surrogatepass"))
            except FileUnreadable:
                continue
            assert curves.train.shape[1] == 2


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("", None), (" - ", None), ("None", None), ("1e5", 1e5), ("+inf", math.inf), (None, None), (3, 3.0)],
)
def test_a_cell_is_a_number_or_blank(cell: str | None, expected: float | None) -> None:
    assert cell_number(cell) == expected


def test_a_source_whose_steps_are_its_own_has_no_column_to_name(tmp_path: Path, formats: Formats) -> None:
    path = formats.events(tmp_path, "train/loss", [1.0, 0.5])
    with pytest.raises(SettingsError, match="--step tick: has no column to name: its steps are its own; leave it out"):
        read_curves(path, said_of({"step": "tick"}, strict=True))
