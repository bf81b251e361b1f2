"""The benchmark of the rules runs, and what it says of the state holds; times are for people to read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.bench_rules import LAYOUTS, main


def test_the_smoke_run_measures_every_layout_in_batches_and_point_by_point(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--smoke", "--json", str(tmp_path / "rows.json")])
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert len(capsys.readouterr().out.splitlines()) == len(rows)
    for size in (1, 1000):
        assert {row["what"] for row in rows if row["batch"] == size} >= set(LAYOUTS)
    assert sum("64 runs as ingest does" in row["what"] for row in rows) == 2
    assert all(row["points_per_s"] > 0 and row["ratio_to_floor"] > 0 for row in rows)
    assert max(row["state_bytes"] for row in rows) <= 4096
