"""MLflow's own store and ours, side by side."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_numbers = itertools.count(1)


@functools.cache
def _template() -> Path:
    """A SQLite file with MLflow's tables, whose migrations take seconds."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path = Path(tempfile.mkdtemp(prefix="mlflow-template-")) / "mlflow.db"
    SqlAlchemyStore(f"sqlite:///{path}", "/nowhere")._dispose_engine()
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    return path


def mlflow_file(folder: Path, name: str) -> str:
    """A SQLite database with MLflow's tables and no runs; its URL."""
    shutil.copy(_template(), folder / f"{name}.db")
    return f"sqlite:///{folder / name}.db"


@dataclass(frozen=True)
class Stores:
    """Stock MLflow over a database of its own, and ours over another; stock MLflow over that one too.

    Attributes:
        both: stock, then ours.
        before: stock MLflow over our database, as it was used before ours took over.
    """

    both: tuple[Any, Any]
    before: Any

    @classmethod
    @contextlib.contextmanager
    def open(cls, stock_url: str, our_url: str, folder: Path) -> Iterator[Self]:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        from monitor.mlflow_store.store import Store

        stock, ours = SqlAlchemyStore(stock_url, str(folder)), Store(our_url, str(folder))
        yield cls((stock, ours), SqlAlchemyStore(our_url, str(folder)))
        for store in (stock, ours):
            store._dispose_engine()
        ours.ours.close()

    def new_experiment(self) -> tuple[str, str]:
        """An experiment in each; its ids."""
        name = f"e{next(_numbers)}"
        stock, ours = (store.create_experiment(name) for store in self.both)
        return stock, ours

    def new_run(self, experiment: tuple[str, str], name: str) -> tuple[str, str]:
        """A run in each; its ids."""
        start = next(_numbers)  # MLflow orders equal runs by it, and only then by their random ids
        stock, ours = (
            store.create_run(number, "me", start, [], name).info.run_id
            for store, number in zip(self.both, experiment, strict=True)
        )
        return stock, ours

    def of(self, store: Any, pair: tuple[str, str]) -> str:
        """What of a pair belongs to a store."""
        return pair[self.both.index(store)]

    def write(self, run: tuple[str, str], points: Sequence[tuple[str, float, int, int]], *, alone: bool) -> None:
        """Log points to both."""
        for store, run_id in zip(self.both, run, strict=True):
            log(store, run_id, points, alone=alone)

    def write_by_stock(
        self, run: tuple[str, str], points: Sequence[tuple[str, float, int, int]], *, alone: bool
    ) -> None:
        """Log points to both databases by stock MLflow."""
        for store, run_id in zip((self.both[0], self.before), run, strict=True):
            log(store, run_id, points, alone=alone)

    def compare(
        self,
        read: Callable[[Any, list[str]], Any],
        runs: Sequence[tuple[str, str]],
        settled: Callable[[list[Any]], Any] = lambda found: found,
    ) -> None:
        """Ask both the same about runs, and compare the answers: run ids left out, NaN equal to NaN.

        Args:
            settled: brings an answer into one order where MLflow promises none.
        """
        stock, ours = (settled(plain(read(store, [run[i] for run in runs]))) for i, store in enumerate(self.both))
        assert ours == stock


def log(store: Any, run_id: str, points: Sequence[tuple[str, float, int, int]], *, alone: bool) -> None:
    """Log points, one by one or as one batch."""
    from mlflow.entities import Metric

    metrics = [Metric(key, value, time, step) for key, value, time, step in points]
    if alone:
        for metric in metrics:
            store.log_metric(run_id, metric)
    else:
        store.log_batch(run_id, metrics, [], [])


def in_one_order(rows: Iterable[tuple[str, str, int, int]]) -> list[tuple[str, str, int, int]]:
    """A history with NaN behind zero where both have one time and step.

    MLflow orders by the value that it keeps, which is 0 for NaN: which of the two comes first is PostgreSQL's choice.
    """
    found: list[tuple[str, str, int, int]] = []
    for _, equal in itertools.groupby(rows, lambda row: (row[0], _kept(row), *row[2:])):
        found += sorted(equal)
    return found


def cut_short(rows: Iterable[tuple[str, str, int, int]]) -> list[tuple[str, str, int, int]]:
    """As `in_one_order`, of an answer that ends after so many points: its last may be either of the two."""
    *rows, last = in_one_order(rows) or [None]
    return [*rows, *([] if last is None else [(last[0], _kept(last), *last[2:])])]


def _kept(row: tuple[str, str, int, int]) -> str:
    """The value of a point as MLflow's table has it, where zeros are equal."""
    return "0.0" if row[1] in ("nan", "-0.0") else row[1]


def plain(found: Any) -> Any:
    """An answer as plain data; every float as its text, so that NaN is equal to itself."""
    from mlflow.entities import Metric, Run
    from mlflow.entities.metric import MetricWithRunId

    if isinstance(found, MetricWithRunId | Metric):
        return found.key, repr(found.value), found.timestamp, found.step
    if isinstance(found, Run):
        return found.info.run_name, plain(found.data.metrics)
    if isinstance(found, dict):
        return {key: repr(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(each) for each in found]
    return found
