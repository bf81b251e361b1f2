"""What our MLflow store does besides answering as MLflow's: the run on our pages, the rules, deletion, going back."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sqlalchemy import create_engine

from monitor.domain import Points, RunStatus
from monitor.errors import FileUnreadable, RunNotFound
from monitor.importers import ImportedRun
from monitor.mlflow_store.rows import Rows
from monitor.store.mlflow import Logged
from monitor.store.sql import migrate
from tests.conftest import NOW_MS, Feed, PostgresServer
from tests.mlflow_store.stores import mlflow_file, plain

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def stock(url: str) -> Any:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    return SqlAlchemyStore(url, "/nowhere")


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])]
)
def mlflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from monitor.mlflow_store.store import Store

    if request.param == "sqlite":
        found = Store(mlflow_file(tmp_path_factory.mktemp("ours"), "ours"), "/nowhere")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        found = Store(server.create().replace("postgresql:", "postgresql+psycopg:"), "/nowhere")
    yield found
    found._dispose_engine()
    found.ours.close()


def a_run(mlflow: Any, name: str = "r") -> str:
    return str(mlflow.create_run("0", "me", 1, [], name).info.run_id)


def metric(key: str, value: float, step: int, time: int | None = None) -> Any:
    from mlflow.entities import Metric

    return Metric(key, value, 1000 + step if time is None else time, step)


def test_a_run_is_on_our_pages_with_its_params_and_tags(mlflow: Any) -> None:
    from mlflow.entities import Param, RunTag
    from mlflow.entities import RunStatus as Said

    run_id = a_run(mlflow, "mine")
    mlflow.log_batch(run_id, [], [Param("lr", "0.1"), Param("opt", "adam")], [RunTag("who", "me")])
    run = mlflow.ours.run(run_id)
    assert (run.name, run.project, run.status) == ("mine", "Default", RunStatus.RUNNING)
    assert dict(run.config) == {"lr": 0.1, "opt": "adam"}
    assert run.tags["who"] == "me"
    mlflow.update_run_info(run_id, Said.KILLED, 5000, "renamed")
    run = mlflow.ours.run(run_id)
    assert (run.name, run.status, run.finished_ms) == ("renamed", RunStatus.STOPPED, 5000)
    mlflow.update_run_info(run_id, Said.RUNNING, None, None)
    assert mlflow.ours.run(run_id).status is RunStatus.RUNNING


def test_a_run_that_overfits_is_found_out_and_says_so_in_its_tags(mlflow: Any) -> None:
    run_id = a_run(mlflow)
    for step in range(0, 400, 5):
        train = [metric("train_loss", 2 * math.exp(-s / 80), s) for s in range(step, step + 5)]
        mlflow.log_batch(run_id, [*train, metric("val_loss", 0.7 + ((step - 120) / 200) ** 2, step)], [], [])
    assert mlflow.ours.run(run_id).verdict == "overfitting"
    assert "overfitting" in {found.rule for found in mlflow.ours.findings(run_id)}
    Rows(mlflow).sync(mlflow.ours, NOW_MS, lambda _: None)
    run = mlflow.get_run(run_id)
    assert run.data.tags["monitor.verdict"] == "overfitting"
    assert run.data.tags["monitor.overfitting"] == "true"
    assert run.data.metrics["monitor.severity"] >= 2
    assert [m.value for m in mlflow.get_metric_history(run_id, "best/val_loss")] == [run.data.metrics["best/val_loss"]]
    assert "overfitting" in run.data.tags["mlflow.note.content"]
    assert "monitor.run_id" not in mlflow.get_run(run_id).data.tags  # its history is here, it is no mirror


@pytest.mark.parametrize("logged", ["before us", "before the verdict", "after the verdict"])
def test_a_metric_that_is_called_like_one_of_ours_stays_the_users(mlflow: Any, logged: str) -> None:
    from mlflow.entities import Metric

    run_id = a_run(mlflow)
    theirs = [Metric("best/val_loss", 7.5, 5, 0), Metric("best/val_loss", 8.5, 9, 1)]
    rows = Rows(mlflow)

    def judged(steps: range) -> None:
        mlflow.log_batch(run_id, [metric("val_loss", 1 / (step + 1), step) for step in steps], [], [])
        rows.sync(mlflow.ours, NOW_MS, lambda _: None)

    for moment in ("before us", "before the verdict", "after the verdict"):
        if moment == "after the verdict" and moment == logged:
            assert mlflow.get_run(run_id).data.metrics["best/val_loss"] < 1.0  # ours
        if moment == logged:
            by = stock(mlflow.db_uri) if moment == "before us" else mlflow
            by.log_batch(run_id, theirs, [], [])
        if moment != "before us":
            judged(range(10) if moment == "before the verdict" else range(10, 20))
    judged(range(20, 30))

    assert plain(mlflow.get_metric_history(run_id, "best/val_loss")) == plain(theirs)
    assert mlflow.get_run(run_id).data.metrics["best/val_loss"] == 8.5
    assert "monitor.severity" in mlflow.get_run(run_id).data.metrics


def test_verdict_tags_are_not_taken_for_the_users(mlflow: Any) -> None:
    from mlflow.entities import RunTag

    run_id = a_run(mlflow)
    mlflow.log_metric(run_id, metric("loss", 1.0, 0))
    Rows(mlflow).sync(mlflow.ours, NOW_MS, lambda _: None)
    mlflow.set_tag(run_id, RunTag("monitor.goal", "min"))
    assert {name for name in mlflow.ours.run(run_id).tags if name.startswith("monitor.")} == {"monitor.goal"}


def test_tags_name_the_series_that_are_judged_and_unname_them(mlflow: Any) -> None:
    from mlflow.entities import RunTag

    run_id = a_run(mlflow)
    for step in range(0, 400, 5):
        points = [metric("eval_a_loss", 2 * math.exp(-s / 80), s) for s in range(step, step + 5)]
        overfits = metric("eval_b_loss", 0.7 + ((step - 120) / 200) ** 2, step)
        mlflow.log_batch(run_id, [*points, overfits], [], [])
    assert mlflow.ours.run(run_id).verdict != "overfitting"  # both are taken for validation losses
    mlflow.set_tag(run_id, RunTag("monitor.train", "eval_a_loss"))
    mlflow.set_tag(run_id, RunTag("monitor.val", "eval_b_loss"))
    assert reading_of(mlflow, run_id) == (
        "training loss: eval_a_loss (as you said); validation loss: eval_b_loss (as you said)"
    )
    assert mlflow.ours.run(run_id).verdict == "overfitting"
    mlflow.delete_tag(run_id, "monitor.train")
    mlflow.delete_tag(run_id, "monitor.val")
    assert reading_of(mlflow, run_id) == "validation loss: eval_a_loss (first of 2)"
    assert mlflow.ours.run(run_id).verdict != "overfitting"


def test_tags_that_are_there_before_the_first_point_name_the_goal_and_its_direction(mlflow: Any) -> None:
    from mlflow.entities import RunTag

    run_id = str(mlflow.create_run("0", "me", 1, [RunTag("monitor.goal", "q:min")], "r").info.run_id)
    mlflow.log_batch(run_id, [metric("q", 1.0, 0), metric("val_accuracy", 0.5, 0)], [], [])
    assert reading_of(mlflow, run_id) == "goal: q (lower is better, as you said)"


def test_a_tag_that_cannot_be_used_is_counted_once_and_breaks_nothing(mlflow: Any) -> None:
    from mlflow.entities import RunTag

    run_id = a_run(mlflow)
    mlflow.set_tag(run_id, RunTag("monitor.goal", ":max"))
    mlflow.set_tag(run_id, RunTag("team", "a"))
    mlflow.log_metric(run_id, metric("val_accuracy", 0.5, 0))
    assert reading_of(mlflow, run_id) == "goal: val_accuracy (higher is better)"
    assert dict(mlflow.ours.run(run_id).warnings) == {"dropped": 1}


def reading_of(mlflow: Any, run_id: str) -> str:
    """What the names of the run's series are taken for."""
    return str(mlflow.ours.run(run_id).reading["line"])


def test_what_is_set_aside_of_a_run_of_stock_mlflow_is_counted_once(mlflow: Any) -> None:
    from mlflow.entities import RunTag

    before = stock(mlflow.db_uri)
    run_id = before.create_run("0", "me", 1, [RunTag("monitor.goal", ":max")], "r").info.run_id
    before._dispose_engine()
    mlflow.log_metric(run_id, metric("loss", 1.0, 0))
    assert dict(mlflow.ours.run(run_id).warnings) == {"dropped": 1}


def test_a_run_of_our_client_is_in_mlflow_with_the_points_of_the_same_chunks(mlflow: Any) -> None:
    feed = Feed(mlflow.ours, run_id="ab" * 16)
    feed.start(project="sdk", name="ours", config={"lr": 0.1}, tags={"who": "me"})
    feed.log("train/loss", [0, 1, 2], [3.0, 2.0, math.nan])
    feed.log("acc@5", [0], [0.5])
    Rows(mlflow).sync(mlflow.ours, NOW_MS, lambda _: None)
    run = mlflow.get_run(feed.run_id)
    assert (run.info.run_name, run.data.tags["mlflow.runName"]) == ("ours", "ours")
    assert mlflow.get_experiment(run.info.experiment_id).name == "sdk"
    assert run.data.params == {"lr": "0.1"}
    assert run.data.tags["who"] == "me"
    assert run.data.metrics["acc@5"] == 0.5
    assert math.isnan(run.data.metrics["train/loss"])
    assert [m.step for m in mlflow.get_metric_history(feed.run_id, "train/loss")] == [0, 1, 2]
    feed.log("train/loss", [3], [1.0])
    feed.event("finish", status="finished", error=None)
    Rows(mlflow).sync(mlflow.ours, NOW_MS, lambda _: None)
    run = mlflow.get_run(feed.run_id)
    assert (run.data.metrics["train/loss"], run.info.status) == (1.0, "FINISHED")
    mlflow.log_metric(feed.run_id, metric("more", 1.0, 0))  # an MLflow client goes on with it
    assert mlflow.ours.run(feed.run_id).attempt == 1
    mlflow.ours.delete(feed.run_id, now_ms=NOW_MS)
    Rows(mlflow).sync(mlflow.ours, NOW_MS, lambda _: None)
    assert mlflow.get_run(feed.run_id).info.lifecycle_stage == "deleted"


def test_a_run_that_mlflow_deletes_is_hidden_and_comes_back(mlflow: Any) -> None:
    from mlflow.exceptions import MlflowException

    run_id = a_run(mlflow)
    mlflow.log_metric(run_id, metric("loss", 1.0, 0))
    mlflow.delete_run(run_id)
    with pytest.raises(RunNotFound):
        mlflow.ours.run(run_id)
    assert len(mlflow.get_metric_history(run_id, "loss")) == 1  # as MLflow shows deleted runs
    assert run_id not in mlflow.ours.purge(before_ms=4 * NOW_MS)
    mlflow.restore_run(run_id)
    assert mlflow.ours.run(run_id).id == run_id
    mlflow.delete_run(run_id)
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        mlflow.log_metric(run_id, metric("loss", 1.0, 1))


@pytest.mark.parametrize("by", ["ours", "stock"])
def test_what_is_deleted_for_good_takes_its_points_along(mlflow: Any, by: str) -> None:
    run_id = a_run(mlflow)
    mlflow.log_metric(run_id, metric("loss", 1.0, 0))
    mlflow.delete_run(run_id)
    (mlflow if by == "ours" else stock(mlflow.db_uri))._hard_delete_run(run_id)  # `mlflow gc` uses MLflow's own store
    assert mlflow.ours.series(run_id) == ()


def test_stock_mlflow_sees_everything_after_unpacking(mlflow: Any) -> None:
    run_id = a_run(mlflow)
    before = stock(mlflow.db_uri)
    before.log_metric(run_id, metric("loss", 9.0, 0))
    values = [math.nan, math.inf, -math.inf, 1.5]
    mlflow.log_batch(run_id, [metric("loss", value, step) for step, value in enumerate(values)], [], [])
    wanted = plain(mlflow.get_metric_history(run_id, "loss"))
    assert dict(mlflow.ours.unpack([run_id])) == {run_id: 4}
    assert plain(before.get_metric_history(run_id, "loss")) == wanted
    assert plain(mlflow.get_metric_history(run_id, "loss")) == wanted  # and ours still sees each point once
    assert dict(mlflow.ours.unpack([run_id])) == {run_id: 0}


def test_threads_that_log_the_same_points_store_each_once(mlflow: Any) -> None:
    run_id = a_run(mlflow)

    def work() -> None:
        for step in range(20):
            mlflow.log_metric(run_id, metric("loss", 1.0 / (step + 1), step))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [m.step for m in mlflow.get_metric_history(run_id, "loss")] == list(range(20))
    (series,) = mlflow.ours.series(run_id)
    assert series.count == 20


def test_names_and_times_are_kept_as_mlflow_takes_them(mlflow: Any) -> None:
    run_id = a_run(mlflow)
    names = [" a", "a", "a ", "a/b", "A"]
    mlflow.log_batch(run_id, [metric(name, i, 0, 2**63 - 1) for i, name in enumerate(names)], [], [])
    for i, name in enumerate(names):
        (found,) = mlflow.get_metric_history(run_id, name)
        assert (found.value, found.timestamp) == (i, 2**63 - 1)


def test_a_step_that_no_database_holds_is_refused_and_nothing_is_stored(mlflow: Any) -> None:
    from mlflow.exceptions import MlflowException

    run_id = a_run(mlflow)
    with pytest.raises(MlflowException):
        mlflow.log_metric(run_id, metric("loss", 1.0, 2**63))
    assert mlflow.get_metric_history(run_id, "loss") == []


@given(st.integers(0, 40), st.integers(1, 12))
def test_a_sample_is_the_first_of_every_tile_and_the_last_point(n: int, most: int) -> None:
    steps = np.arange(n)
    points = Logged.of(Points(steps, steps.astype(float), steps))
    found = points.sample(most).steps.tolist()
    assert len(found) == min(n, most)
    assert n == 0 or found[-1] == n - 1
    assert found == sorted(set(found))
    assert n == 0 or most == 1 or found[0] == 0


@given(hnp.arrays(np.float64, st.integers(0, 30), elements=st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf])))
def test_sorting_keeps_every_different_point_once(values: Any) -> None:
    n = len(values)
    points = Logged.of(Points(np.arange(n) % 3, values, np.arange(n) % 2))
    wanted = {
        (s, t, v, nan) for s, t, v, nan in zip(points.steps, points.times, points.values, points.nan, strict=True)
    }
    for found in (points.by_step(), points.by_time()):
        rows = list(zip(found.steps, found.times, found.values, found.nan, strict=True))
        assert len(rows) == len(wanted)
        assert set(rows) == wanted


# Runs of steps as training loops log them, and as nobody expects them.
LINES = st.lists(
    st.tuples(st.integers(-50, 50), st.sampled_from([0, 1, 1, 1, 3, -1]), st.integers(1, 30)), min_size=1, max_size=4
)


@settings(max_examples=30)
@given(
    LINES, st.booleans(), st.integers(1, 9), st.one_of(st.none(), st.tuples(st.integers(-60, 60), st.integers(-60, 60)))
)
def test_a_sample_that_is_picked_from_the_chunks_is_that_of_all_points(
    mlflow: Any, lines: list[tuple[int, int, int]], ordered: bool, most: int, window: tuple[int, int] | None
) -> None:
    run_id = a_run(mlflow)
    at = 0
    for start, stride, n in lines:
        steps = [(at if ordered else start) + i * (abs(stride) if ordered else stride) for i in range(n)]
        at = max(steps) + 1
        batch = [metric("loss", math.nan if step % 7 == 3 else step / 3, step, 1000 + step % 5) for step in steps]
        mlflow.log_batch(run_id, batch, [], [])
    lo, hi = window or (None, None)
    store = mlflow.ours
    all_points = store.metric(run_id, "loss", lo, hi).by_step().sample(most)
    picked = store.sample(run_id, "loss", most, lo, hi)
    for name in Logged.__slots__:
        assert getattr(picked, name).tolist() == getattr(all_points, name).tolist(), name


def test_mlflow_works_on_once_our_tables_are_gone(tmp_path: Path) -> None:
    from monitor.mlflow_store.store import Store

    url = mlflow_file(tmp_path, "leaving")
    store = Store(url, "/nowhere")
    run_id = a_run(store)
    store.log_metric(run_id, metric("loss", 1.0, 0))
    assert dict(store.ours.unpack()) == {run_id: 1}
    store._dispose_engine()
    store.ours.close()
    migrate.downgrade(url, "base")
    left = stock(url)
    left.log_metric(run_id, metric("loss", 2.0, 1))
    assert [m.value for m in left.get_metric_history(run_id, "loss")] == [1.0, 2.0]
    left._dispose_engine()


def test_runs_that_a_monitor_serves_are_named_in_an_import_and_read_once_it_has_gone(tmp_path: Path) -> None:
    from monitor.importers import read_runs
    from monitor.mlflow_store.store import Store

    url = mlflow_file(tmp_path, "served")
    store = Store(url, "/nowhere")
    run_id, old = a_run(store, "ours"), a_run(store, "old")
    stock(url).log_metric(old, metric("loss", 1.0, 0))
    store.ours.hard_delete(old)  # as a run is that was there before
    store.log_batch(run_id, [metric("loss", 1 / (1 + step), step) for step in range(50)], [], [])
    found = {each.source: each for each in read_runs(f"mlflow:{url}") if not isinstance(each, FileUnreadable)}
    assert {name.split()[-1]: type(each).__name__ for name, each in found.items()} == {
        run_id: "NotTraining",
        old: "ImportedRun",
    }
    assert "`monitor db copy` copies it" in str(next(each for name, each in found.items() if run_id in name))
    Rows(store).sync(store.ours, NOW_MS, lambda _: None)
    dict(store.ours.unpack())
    store._dispose_engine()
    store.ours.close()
    migrate.downgrade(url, "base")
    (read,) = [each for each in read_runs(f"mlflow:{url}") if isinstance(each, ImportedRun) and run_id in each.source]
    assert (len(read.points), read.keys, read.tags) == (50, ("loss",), {})


@pytest.mark.filterwarnings("ignore:Unnamed CHECK constraint:UserWarning")
def test_points_survive_a_migration_of_mlflows_that_makes_its_table_of_runs_anew(tmp_path: Path) -> None:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    from monitor.mlflow_store.store import Store

    url = mlflow_file(tmp_path, "migrated")
    store = Store(url, "/nowhere")
    run_id = a_run(store)
    store.log_metric(run_id, metric("loss", 1.0, 0))
    engine = create_engine(url)  # as MLflow's migrations make one: foreign keys are off
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("runs", recreate="always"):
            pass
    engine.dispose()
    assert len(store.get_metric_history(run_id, "loss")) == 1
    store.log_metric(run_id, metric("loss", 1.0, 1))
    store.delete_run(run_id)
    stock(url)._hard_delete_run(run_id)
    assert store.ours.series(run_id) == ()
    store._dispose_engine()
    store.ours.close()


def test_a_database_in_memory_is_mlflows_own() -> None:
    from monitor.mlflow_store.store import Store

    store = Store("sqlite:///:memory:", "/nowhere")
    assert not isinstance(store, Store)
    store.log_metric(run_id := a_run(store), metric("loss", 1.0, 0))
    assert len(store.get_metric_history(run_id, "loss")) == 1
