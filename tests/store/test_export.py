"""Points in files for other tools."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.domain import cell
from monitor.errors import FileUnreadable, RunNotFound
from monitor.store import Store
from monitor.store.export import COLUMNS, export_points
from monitor.store.points.chunk_reader import PORTION
from tests.conftest import NOW_MS, Feed

VALUES = [0.1, math.nan, math.inf, -math.inf, 1e-300]


@pytest.fixture
def two(store: Store) -> list[Feed]:
    feeds = [Feed(store), Feed(store)]
    for i, feed in enumerate(feeds):
        feed.start(name=f"run {i}")
        feed.log("loss", range(5), VALUES, epochs=[0.0, math.nan, 1.0, 1.5, 2.0])
        feed.log("acc", [7], [float(i)])
    return feeds


def test_a_csv_has_one_row_a_point_and_loses_nothing(two: list[Feed], tmp_path: Path) -> None:
    path, seen = tmp_path / "points.csv", []
    count = export_points(two[0].store, ["run 0", "run 1"], path, progress=lambda *at: seen.append(at))
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert (count, len(rows), tuple(header), seen) == (12, 12, COLUMNS, [(1, 2), (2, 2)])
    loss = [row for row in rows if row[1] == "run 0" and row[2] == "loss"]
    np.testing.assert_array_equal([float(row[4]) for row in loss], VALUES)
    assert [row[6] for row in loss] == ["0.0", "", "1.0", "1.5", "2.0"]
    assert loss[1] == [two[0].run_id, "run 0", "loss", "1", "NaN", str(NOW_MS + 1), ""]


def test_a_parquet_file_reads_back_bit_by_bit(two: list[Feed], tmp_path: Path) -> None:
    path = tmp_path / "points.parquet"
    assert export_points(two[0].store, ["run 0", "run 1"], path, keys=["loss"]) == 10
    table = pyarrow.parquet.read_table(path)
    assert table.column_names == list(COLUMNS)
    assert table["run"].to_pylist() == ["run 0"] * 5 + ["run 1"] * 5
    assert table["value"].to_numpy()[:5].tobytes() == np.array(VALUES).tobytes()
    assert table["epoch"].to_pylist()[:5] == [0.0, None, 1.0, 1.5, 2.0]
    assert table["time_ms"].cast("int64").to_pylist()[:2] == [NOW_MS, NOW_MS + 1]


def test_a_file_appears_whole_or_not_at_all(two: list[Feed], tmp_path: Path) -> None:
    for path, error in (("points.xls", FileUnreadable), ("points.csv", RunNotFound)):
        with pytest.raises(error):
            export_points(two[0].store, ["run 0", "nobody"], tmp_path / path)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_points(two[0].store, ["run 0"], tmp_path / "points.csv", progress=stop)
    assert [p.name for p in tmp_path.iterdir() if "points" in p.name] == []


def test_a_long_series_is_written_batch_after_batch(sqlite_url: str, tmp_path: Path) -> None:
    n = PORTION + 100_000
    with Store.open(sqlite_url) as store:
        feed = Feed(store)
        feed.start(name="long")
        for start in range(0, n, 200_000):
            steps = range(start, min(n, start + 200_000))
            feed.log("acc", steps, np.arange(steps.start, steps.stop, dtype=np.float64))
        assert export_points(store, ["long"], tmp_path / "long.parquet") == n
    with pyarrow.parquet.ParquetFile(tmp_path / "long.parquet") as file:
        assert file.num_row_groups > 1
        assert max(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)) <= PORTION
        np.testing.assert_array_equal(file.read()["value"].to_numpy(), np.arange(float(n)))


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)"])
def test_a_csv_holds_no_formula_and_numbers_stay_numbers(store: Store, tmp_path: Path, name: str) -> None:
    feed, path = Feed(store), tmp_path / "points.csv"
    feed.start(name=name)
    feed.log(name, [-1], [-2.5])
    export_points(store, [feed.run_id], path)
    with path.open(encoding="utf-8", newline="") as file:
        _, row = csv.reader(file)
    assert row[1:5] == [f"'{name}", f"'{name}", "-1", "-2.5"]


@given(name=st.text(st.sampled_from("=+-@;\t\r\n\" ,'|a1\uff1d"), max_size=12))
@example(name='x;"=1+1')
def test_no_cell_is_a_formula_whatever_separates_the_cells_where_the_file_is_opened(name: str) -> None:
    file = io.StringIO()
    csv.writer(file).writerow(["id", cell(name), 1.0])
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=separator):
            assert [each for each in row if each.lstrip(' "').startswith(("=", "+", "-", "@", "\uff1d"))] == []
