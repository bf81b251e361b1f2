"""Every read of ours says what MLflow's own store says, of the same messy input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import PostgresServer
from tests.mlflow_store.stores import Stores, mlflow_file

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
            stores.compare(lambda store, ids, i=i, key=key: store.get_metric_history(ids[i], key), runs)
            stores.compare(lambda store, ids, i=i, key=key: pages(store, ids[i], key, asked.page), runs)
            stores.compare(lambda store, ids, i=i, key=key: store.get_max_step_for_metric(ids[i], key), runs)
            stores.compare(
                lambda store, ids, i=i, key=key: store.get_metric_history_bulk_interval_from_steps(
                    ids[i], key, steps, asked.most
                ),
                runs,
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
