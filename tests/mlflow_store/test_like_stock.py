"""Every read of ours says what MLflow's own store says, of the same messy input."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import PostgresServer
from tests.mlflow_store.stores import Stores, cut_short, in_one_order, log, mlflow_file, plain

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

KEYS = ("loss", "val/loss", "a b")
VALUES = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 1.7976931348623157e308, -0.0, 0.0, 1.0, -1.0, 5e-324]),
    st.floats(),
    st.integers(-3, 3),
)
STEPS = st.one_of(st.integers(-3, 8), st.sampled_from([-(2**63), 2**63 - 1, 10**9]))
TIMES = st.one_of(st.integers(0, 5), st.sampled_from([1_764_000_000_000, 2**62 + 1, 2**63 - 1]))
POINTS = st.tuples(st.sampled_from(KEYS), VALUES, TIMES, STEPS)
RUNS = 2


@dataclass(frozen=True)
class Write:
    """One call: a batch, or a point by itself; by stock MLflow on both databases where `earlier`."""

    run: int
    points: list[tuple[str, float, int, int]]
    alone: bool
    again: bool = field(default=False)


WRITES = st.lists(
    st.builds(
        Write,
        run=st.integers(0, RUNS - 1),
        points=st.lists(POINTS, min_size=1, max_size=12),
        alone=st.booleans(),
        again=st.booleans(),
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    folder = tmp_path_factory.mktemp("stores")
    with Stores.open(mlflow_file(folder, "stock"), mlflow_file(folder, "ours"), folder) as stores:
        yield stores


@pytest.fixture(scope="module")
def on_postgres(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    urls = [postgres.create(), postgres.create()]
    with Stores.open(
        *(url.replace("postgresql:", "postgresql+psycopg:") for url in urls), tmp_path_factory.mktemp("a")
    ) as stores:
        yield stores
    for url in urls:
        postgres.drop(url)


@dataclass(frozen=True)
class Asked:
    """How the reads are asked for.

    Attributes:
        page: points of a page of a history.
        most: points of a bulk answer.
        samples: points of a chart.
        window: first and last step of a chart; None for all.
    """

    page: int
    most: int
    samples: int
    window: tuple[int, int] | None


ASKED = st.builds(
    Asked,
    page=st.integers(1, 20),
    most=st.integers(1, 20),
    samples=st.integers(1, 20),
    window=st.one_of(st.none(), st.tuples(st.integers(-3, 3), st.integers(3, 9)), st.just((-(2**63), 2**63 - 1))),
)


def same(stores: Stores, before: list[Write], writes: list[Write], asked: Asked) -> None:
    """Write the same to both, some of it by stock MLflow before ours took over, and compare every read."""
    experiment = stores.new_experiment()
    runs = [stores.new_run(experiment, f"r{i}") for i in range(RUNS)]
    for write in before:
        stores.write_by_stock(runs[write.run], write.points, alone=write.alone)
    for write in writes:
        for _ in range(2 if write.again else 1):
            stores.write(runs[write.run], write.points, alone=write.alone)
    steps = sorted({step for write in before + writes for *_, step in write.points})[::2]
    for key in KEYS:
        for i in range(RUNS):
            stores.compare(lambda store, ids, i=i, key=key: store.get_metric_history(ids[i], key), runs, in_one_order)
            stores.compare(
                lambda store, ids, i=i, key=key: pages(store, ids[i], key, asked.page),
                runs,
                lambda found: ([len(page) for page in found], in_one_order(itertools.chain(*found))),
            )
            stores.compare(lambda store, ids, i=i, key=key: store.get_max_step_for_metric(ids[i], key), runs)
            for most in (asked.most, 1000):
                stores.compare(
                    lambda store, ids, i=i, key=key, most=most: store.get_metric_history_bulk_interval_from_steps(
                        ids[i], key, steps, most
                    ),
                    runs,
                    cut_short if most == asked.most else in_one_order,
                )
        lo, hi = asked.window or (None, None)
        for samples in (asked.samples, 1000):
            stores.compare(
                lambda store, ids, key=key, most=samples, lo=lo, hi=hi: store.get_metric_history_bulk_interval(
                    ids, key, most, lo, hi
                ),
                runs,
            )
    stores.compare(lambda store, ids: [store.get_run(run_id).data.metrics for run_id in ids], runs)
    order = ["metrics.loss DESC", "attributes.run_name"]
    for text in ("", "metrics.loss > 0", "metrics.`val/loss` <= 1.5"):
        stores.compare(
            lambda store, _, at=stores, text=text: store.search_runs([at.of(store, experiment)], text, 1, 50, order),
            runs,
        )


def pages(store: Any, run_id: str, key: str, size: int) -> list[Any]:
    found, token = [], None
    while True:
        page = store.get_metric_history(run_id, key, max_results=size, page_token=token)
        found.append(list(page))
        token = page.token
        if not token:
            return found


@given(before=WRITES, writes=WRITES, asked=ASKED)
@settings(max_examples=8)
def test_every_read_is_as_stock_mlflows_on_sqlite(
    on_sqlite: Stores, before: list[Write], writes: list[Write], asked: Asked
) -> None:
    same(on_sqlite, before, writes, asked)


@pytest.mark.slow
@given(before=WRITES, writes=WRITES, asked=ASKED)
@settings(max_examples=100)
def test_every_read_is_as_stock_mlflows_on_sqlite_again_and_again(
    on_sqlite: Stores, before: list[Write], writes: list[Write], asked: Asked
) -> None:
    same(on_sqlite, before, writes, asked)


@pytest.mark.slow
@pytest.mark.postgres
@given(before=WRITES, writes=WRITES, asked=ASKED)
@settings(max_examples=60)
def test_every_read_is_as_stock_mlflows_on_postgresql(
    on_postgres: Stores, before: list[Write], writes: list[Write], asked: Asked
) -> None:
    same(on_postgres, before, writes, asked)


@pytest.mark.parametrize(
    "on", ["on_sqlite", pytest.param("on_postgres", marks=[pytest.mark.slow, pytest.mark.postgres])]
)
def test_histories_of_several_runs_come_in_the_order_of_their_ids(on: str, request: pytest.FixtureRequest) -> None:
    stores: Stores = request.getfixturevalue(on)
    experiment = stores.new_experiment()
    runs = [stores.new_run(experiment, f"r{i}") for i in range(4)]
    for n, run in enumerate(runs):
        stores.write(run, [("loss", float(n), step, step) for step in range(3)], alone=False)
    for store, ids in zip(stores.both, zip(*runs, strict=True), strict=True):
        found = store.get_metric_history_bulk([*ids, ids[0]], "loss", 10)
        assert [row.run_id for row in found] == sorted(ids * 3)[:10]
        assert [row.step for row in found] == [0, 1, 2] * 3 + [0]


READS: dict[str, Callable[[Any, str], Any]] = {
    "history": lambda store, run: store.get_metric_history(run, "loss"),
    "page": lambda store, run: store.get_metric_history(run, "loss", max_results=1),
    "bad token": lambda store, run: store.get_metric_history(run, "loss", max_results=1, page_token="x"),
    "no points": lambda store, run: store.get_metric_history(run, "loss", max_results=0),
    "bulk": lambda store, run: store.get_metric_history_bulk([run], "loss", 5),
    "none in bulk": lambda store, run: store.get_metric_history_bulk([run], "loss", 0),
    "interval": lambda store, run: store.get_metric_history_bulk_interval([run], "loss", 5, None, None),
    "half an interval": lambda store, run: store.get_metric_history_bulk_interval([run], "loss", 5, 1, None),
    "an empty interval": lambda store, run: store.get_metric_history_bulk_interval([run], "loss", 5, 9, 1),
    "no runs": lambda store, _: store.get_metric_history_bulk_interval([], "loss", 5, None, None),
    "steps": lambda store, run: store.get_metric_history_bulk_interval_from_steps(run, "loss", [2, 0, 2], 5),
    "no steps": lambda store, run: store.get_metric_history_bulk_interval_from_steps(run, "loss", [], 5),
    "most": lambda store, run: store.get_max_step_for_metric(run, "loss"),
    "another metric": lambda store, run: store.get_metric_history(run, "other"),
    "most of another": lambda store, run: store.get_max_step_for_metric(run, "other"),
    "latest": lambda store, run: store.get_run(run),
    "log": lambda store, run: log(store, run, [("loss", 1.0, 0, 9)], alone=True),
    "log many": lambda store, run: log(store, run, [("loss", 1.0, 0, 9), ("loss", 1.0, 0, 10)], alone=False),
    "log none": lambda store, run: store.log_batch(run, [], [], []),
    "log a bad name": lambda store, run: log(store, run, [("a@b", 1.0, 0, 0)], alone=True),
    "log a bad name among others": lambda store, run: log(store, run, [("a", 1.0, 0, 0), ("", 1.0, 0, 0)], alone=False),
    "log no number": lambda store, run: log(store, run, [("a", "one", 0, 0)], alone=True),  # type: ignore[list-item]
    "log a bad time": lambda store, run: log(store, run, [("a", 1.0, -1, 0)], alone=False),
    "log too many": lambda store, run: log(store, run, [("a", 1.0, 0, step) for step in range(1001)], alone=False),
}


@pytest.mark.parametrize(
    "on", ["on_sqlite", pytest.param("on_postgres", marks=[pytest.mark.slow, pytest.mark.postgres])]
)
@pytest.mark.parametrize("of", ["active", "deleted", "unknown", "invalid"])
def test_what_stock_mlflow_refuses_is_refused_in_its_words(on: str, of: str, request: pytest.FixtureRequest) -> None:
    stores: Stores = request.getfixturevalue(on)
    experiment = stores.new_experiment()
    run = stores.new_run(experiment, "r")
    stores.write(run, [("loss", float(step), step, step) for step in range(4)], alone=False)
    if of == "deleted":
        for store, run_id in zip(stores.both, run, strict=True):
            store.delete_run(run_id)
    elif of != "active":
        run = ("f" * 32, "f" * 32) if of == "unknown" else ("../x", "../x")
    for name, read in READS.items():
        stock, ours = (said(read, store, run_id) for store, run_id in zip(stores.both, run, strict=True))
        assert ours == stock, name


def said(read: Callable[[Any, str], Any], store: Any, run_id: str) -> Any:
    """The answer, or the words of the refusal without the run's id."""
    from mlflow.exceptions import MlflowException

    try:
        return plain(read(store, run_id))
    except MlflowException as error:
        return error.error_code, str(error).replace(run_id, "<run>")


@pytest.mark.parametrize(
    "on", ["on_sqlite", pytest.param("on_postgres", marks=[pytest.mark.slow, pytest.mark.postgres])]
)
def test_points_of_a_logged_model_are_its_and_the_runs(on: str, request: pytest.FixtureRequest) -> None:
    from mlflow.entities import Metric, Param, RunTag

    stores: Stores = request.getfixturevalue(on)
    experiment = stores.new_experiment()
    run = stores.new_run(experiment, "r")
    found = []
    for store, number, run_id in zip(stores.both, experiment, run, strict=True):
        model = store.create_logged_model(number, name="m", source_run_id=run_id).model_id
        metrics = [Metric("loss", 1 / (step + 1), step, step, model_id=model) for step in range(3)]
        store.log_batch(run_id, metrics, [Param("lr", "1")], [RunTag("who", "me")])
        store.log_metric(run_id, Metric("loss", 9.0, 9, 9, model_id=model))
        of_model = sorted((m.key, m.value, m.step) for m in store.get_logged_model(model).metrics)
        read = store.get_run(run_id)
        found.append(
            (of_model, read.data.params, dict(read.data.tags)["who"], plain(store.get_metric_history(run_id, "loss")))
        )
    assert found[1] == found[0]
    assert len(found[0][3]) == 4
