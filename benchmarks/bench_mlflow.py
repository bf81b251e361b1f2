"""The store beside stock MLflow's, both on SQLite in one process: one point, a batch of 1,000, and a whole history.

    python benchmarks/bench_mlflow.py            # about two minutes, most of them MLflow's
    python benchmarks/bench_mlflow.py --smoke    # a few seconds

Runs alternate, figures are medians, and a ratio says how many times as fast ours is.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from mlflow.entities import Metric
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.bench_store import NOW, Run, columns, loss, timed
from monitor.rules import Engine
from monitor.store import Store

BATCH = 1000
"""Metrics that MLflow takes at once, at most."""


class Theirs:
    """A run in stock MLflow."""

    def __init__(self, folder: Path) -> None:
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        self.store = SqlAlchemyStore(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
        self.id = self.store.create_run("0", "bench", NOW, [], "bench").info.run_id

    def send(self, first: int, values: list[float]) -> None:
        metrics = [Metric("acc", value, NOW + first + i, first + i) for i, value in enumerate(values)]
        if len(metrics) == 1:
            self.store.log_metric(self.id, metrics[0])
        else:
            self.store.log_batch(self.id, metrics, [], [])


def compare(
    what: str, ours: Callable[[int], object], theirs: Callable[[int], object], rounds: int
) -> dict[str, object]:
    both = [(timed(lambda i=i: ours(i)), timed(lambda i=i: theirs(i))) for i in range(rounds)]
    mine, other = (statistics.median(pair[side] for pair in both) * 1e3 for side in (0, 1))
    print(f"{what:44s} ours {mine:10.3f} ms   MLflow {other:10.3f} ms   {other / mine:8.1f}x", flush=True)
    return {"what": what, "ours_ms": mine, "mlflow_ms": other, "ratio": other / mine}


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="few points")
    parser.add_argument("--points", type=int, default=100_000, help="points of the history")
    parser.add_argument("--save", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args(arguments)
    n, rounds = (2 * BATCH, 3) if given.smoke else (given.points, 50)
    values = loss(n + rounds * BATCH + rounds)
    with tempfile.TemporaryDirectory(prefix="bench-mlflow-") as name:
        folder = Path(name)
        with Store.open(f"sqlite:///{folder / 'ours.db'}") as store:
            run, theirs = Run(store, Engine()), Theirs(folder)
            for i in range(0, n, BATCH):
                run.send(columns(i, values[i : i + BATCH]), "acc")
                theirs.send(i, values[i : i + BATCH].tolist())
            read = max(3, rounds // 10)
            rows = [
                compare(
                    f"history of {n:,} points",
                    lambda _: store.history(run.id, "acc"),
                    lambda _: theirs.store.get_metric_history(theirs.id, "acc"),
                    read,
                )
            ]
            for what, size in ((f"a batch of {BATCH:,} points", BATCH), ("one point", 1)):
                rows.append(
                    compare(
                        what,
                        lambda i, size=size: run.send(columns(n + i * size, values[i : i + size]), "acc"),
                        lambda i, size=size: theirs.send(n + i * size, values[i : i + size].tolist()),
                        rounds,
                    )
                )
    if given.save:
        given.save.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return rows


if __name__ == "__main__":
    main()
