"""The benchmark runs, and its figures are of the right kind."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest


def test_the_smoke_version_prints_and_saves_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "bench_store.py"
    spec = importlib.util.spec_from_file_location("bench_store", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = module.main(["--smoke", "--save", str(tmp_path / "figures.json")])
    assert json.loads((tmp_path / "figures.json").read_text()) == rows
    assert len(rows) == len(capsys.readouterr().out.splitlines()) > 15
    figures = {row["what"]: row["value"] for row in rows}
    assert all(value > 0 for value in figures.values())
    assert figures["sqlite: float32 loss with step and time, in bulk: chunks"] < 5
    assert figures["sqlite: float64 noise with step and time, in bulk: chunks"] < 8
