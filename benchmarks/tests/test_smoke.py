"""The benchmark runs, and its figures are of the right kind."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1]


def run_smoke(name: str, saved: Path) -> list[dict[str, Any]]:
    """The smoke version of a benchmark; what it returns, which is what it saves."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows: list[dict[str, Any]] = module.main(["--smoke", "--save", str(saved)])
    assert json.loads(saved.read_text()) == rows
    return rows


@pytest.mark.slow
def test_the_smoke_version_of_ingest_goes_through_all_doors(tmp_path: Path) -> None:
    rows = run_smoke("bench_ingest", tmp_path / "figures.json")
    assert all(row["value"] > 0 for row in rows)
    for door in ("one point", "log()", "log_many()", "HTTP"):
        assert any(door in row["what"] for row in rows)


def test_the_smoke_version_prints_and_saves_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = run_smoke("bench_store", tmp_path / "figures.json")
    assert len(rows) == len(capsys.readouterr().out.splitlines()) > 15
    figures = {row["what"]: row["value"] for row in rows}
    assert all(value > 0 for value in figures.values())
    assert figures["sqlite: float32 loss with step and time, in bulk: chunks"] < 5
    assert figures["sqlite: float64 noise with step and time, in bulk: chunks"] < 8


@pytest.mark.slow
def test_the_smoke_version_of_growth_compares_lengths_and_counts_bytes(tmp_path: Path) -> None:
    rows = run_smoke("bench_growth", tmp_path / "figures.json")
    assert {row["unit"] for row in rows} == {"us/point", "x", "bytes/pt"}
    alone, bulk = (row["value"] for row in rows if row["unit"] == "bytes/pt")
    assert alone == pytest.approx(bulk, rel=0.1)


@pytest.mark.slow
def test_the_smoke_version_of_alerts_sees_each_of_them_come(tmp_path: Path) -> None:
    rows = run_smoke("bench_alerts", tmp_path / "figures.json")
    assert {row["unit"] for row in rows} == {"s"}
    assert all(0 < row["value"] < 30 for row in rows)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # MLflow has warnings of its own
def test_the_smoke_version_beside_mlflow_compares_reads_and_writes(tmp_path: Path) -> None:
    rows = run_smoke("bench_mlflow", tmp_path / "figures.json")
    assert [str(row["what"]).partition(": ")[2] for row in rows] == [
        "bytes a point of 2,000",
        "chart of 2,000 points",
        "first page of its history",
        "its whole history, ours by our API",
        "a batch of 1,000 points",
        "one point",
        "a commit of one row",
    ]
    *compared, floor = rows
    assert all(row["ratio"] == pytest.approx(row["stock"] / row["ours"]) for row in compared)
    assert floor["value"] > 0
