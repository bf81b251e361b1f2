"""`monitor losses compare` and `advise` on a file of the user's own."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from monitor.cli.tables import read_table
from monitor.errors import LossError

from .test_losses_check import monitor


def table(path: Path, rows: int = 400) -> Path:
    """Numbers, words, gaps, a target with outliers and a label."""
    rng = np.random.default_rng(0)
    x, city = rng.normal(0, 1, (rows, 2)), rng.choice(["oslo", "rome"], rows)
    y = x[:, 0] + 2.0 * (city == "oslo") + np.where(rng.random(rows) < 0.05, 50.0, 0.1 * rng.normal(size=rows))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["a", "b", "city", "id", "y", "label"])
        for i in range(rows):
            gap = "" if i % 40 == 0 else x[i, 1]
            writer.writerow([x[i, 0], gap, city[i], f"row{i}", y[i] if i else "", int(x[i, 0] > 1)])
    return path


def test_a_table_is_read_with_what_was_filled_in_and_left_out(tmp_path: Path) -> None:
    found = read_table(str(table(tmp_path / "t.csv")), "y")
    assert found.inputs.shape == (399, 5)  # a, b, two cities, label
    assert np.isfinite(found.inputs).all()
    assert found.said == (
        "1 rows without y are left out.",
        "9 missing numbers of b are its median.",
        "id is left out: it has 399 different words.",
    )
    assert read_table(str(tmp_path / "t.csv"), "label").targets.dtype.kind == "i"
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"a": found.inputs[:, 0], "y": found.targets}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    assert np.allclose(read_table(str(tmp_path / "t.parquet"), "y").targets, found.targets.astype(float))


@pytest.mark.parametrize(
    ("name", "text", "target", "said"),
    [
        ("missing.csv", None, "y", "name a CSV or Parquet file"),
        ("empty.csv", "", "y", "it has no rows"),
        ("t.csv", "a,y\n1,2\n", "z", "it has no column z; write --target, one of a, y"),
        ("t.csv", "a,y\n1,2\n", None, "no target is named"),
        ("t.csv", "y\n1\n2\n", "y", "give at least one input"),
        ("t.parquet", "no parquet", "y", "it is not a Parquet file"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, name: str, text: str | None, target: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(LossError) as caught:
        read_table(str(tmp_path / name), target)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_losses_are_compared_and_advised_on_a_file(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    table(tmp_path / "t.csv")
    words = ("--data", "t.csv", "--target", "y", "--json")
    done = monitor("compare", "mse", "huber(0.5)", *words, "--seeds", "2", "--epochs", "3", folder=tmp_path)
    found = json.loads(done.stdout)
    assert {item["loss"] for item in found["entries"]} == {"mse", "huber(0.5)"}
    assert any("outliers" in sentence for sentence in found["data"])
    advice = json.loads(monitor("advise", *words, folder=tmp_path).stdout)
    assert advice["task"] == "regression"
    assert advice["candidates"][-1]["loss"] == "mse"
    costs = monitor("advise", "--cost", "1:10", "--json", folder=tmp_path)
    assert any("0.0909" in sentence for sentence in json.loads(costs.stdout)["remarks"])
    wrong = monitor("advise", "--cost", "cheap", folder=tmp_path)
    assert wrong.returncode != 0
    assert len(wrong.stderr.strip().splitlines()) == 1


def test_a_dirty_file_is_read_as_its_writer_meant_it(tmp_path: Path) -> None:
    rows = [
        f"{i},2024-01-{i % 28 + 1:02},{'?' if i == 3 else i / 2},{i * i},Zoë,{'NA' if i == 5 else i}" for i in range(40)
    ]
    text = "\n".join([",when,a, a,who,y", *rows, "1,2", "1,2024-01-01,1,1,Bo,1,1"])
    (tmp_path / "t.csv").write_bytes(text.encode("cp1252"))
    found = read_table(str(tmp_path / "t.csv"), "y")
    assert found.inputs.shape == (39, 4)  # a date in days, both columns named a, one word
    assert np.ptp(found.inputs[:, 0]) == 27
    assert found.targets.dtype.kind == "i"
    assert found.said == (
        "The file is not UTF-8 and was read as Windows-1252.",
        "2 columns are named a.",
        "2 rows with more or fewer values than the header are left out.",
        "1 rows without y are left out.",
        "A column without a name is left out: it numbers the rows.",
        "1 missing numbers of a are its median.",
    )
    with pytest.raises(LossError, match="several columns are named a; rename all but the target"):
        read_table(str(tmp_path / "t.csv"), "a")


def test_a_decimal_comma_is_read_where_semicolons_separate(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;y\n" + "".join(f"{i},5;-{i},25\n" for i in range(40)))
    found = read_table(str(tmp_path / "t.csv"), "y")
    assert found.inputs[3, 0] == 3.5
    assert found.targets[3] == -3.25


def test_several_columns_of_numbers_are_targets_together(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i % 7},{2 * i},{i / 2}" for i in range(40))
    (tmp_path / "t.csv").write_text(f"a,b,up,half\n{rows}\n1,2,,3\n", encoding="utf-8")
    found = read_table(str(tmp_path / "t.csv"), "up, half")
    assert found.targets.shape == (40, 2)
    assert found.inputs.shape == (40, 2)
    assert found.targets[3].tolist() == [6.0, 1.5]
    assert any("1 rows without up, half are left out" in line for line in found.said)
    with pytest.raises(LossError, match="it has no column down"):
        read_table(str(tmp_path / "t.csv"), "up,down")


def test_a_column_of_words_is_no_second_target(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,up,word\n" + "1,2,red\n" * 40, encoding="utf-8")
    with pytest.raises(LossError, match="word is not a column of numbers; name one target"):
        read_table(str(tmp_path / "t.csv"), "up,word")
