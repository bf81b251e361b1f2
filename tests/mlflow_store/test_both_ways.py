"""What is deleted, restored, renamed or tagged on one side is so on the other."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.domain import RunEdit
from monitor.errors import RunNotFound
from monitor.mlflow_store.rows import Rows
from monitor.reader.api import Api
from monitor.settings import load
from tests.conftest import NOW_MS, Feed
from tests.mlflow_store.test_store import a_run, metric, mlflow  # noqa: F401  # `mlflow` is a fixture

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def in_experiment(store: Any, name: str) -> tuple[str, list[str]]:
    """A new experiment with two runs that have a point, the second of which is deleted."""
    experiment = str(store.create_experiment(name))
    runs = [str(store.create_run(experiment, "me", 1, [], f"r{i}").info.run_id) for i in range(2)]
    for run_id in runs:
        store.log_metric(run_id, metric("loss", 1.0, 0))
    store.delete_run(runs[1])
    return experiment, runs


def shown(store: Any, run_id: str) -> bool:
    try:
        store.ours.run(run_id)
    except RunNotFound:
        return False
    return True


def test_the_runs_of_an_experiment_that_mlflow_deletes_are_hidden_and_come_back(
    mlflow: Any,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    experiment, runs = in_experiment(mlflow, "goes")
    other = a_run(mlflow)
    mlflow.log_metric(other, metric("loss", 1.0, 0))

    mlflow.delete_experiment(experiment)

    assert [shown(mlflow, run_id) for run_id in (*runs, other)] == [False, False, True]
    assert not mlflow.ours.purge(before_ms=4 * NOW_MS)
    mlflow.restore_experiment(experiment)  # with all of its runs, as MLflow does
    assert [shown(mlflow, run_id) for run_id in runs] == [True, True]
    assert [len(mlflow.get_metric_history(run_id, "loss")) for run_id in runs] == [1, 1]
    assert not caplog.messages


def test_runs_move_to_the_project_that_their_experiment_is_renamed_to(mlflow: Any) -> None:  # noqa: F811
    experiment, runs = in_experiment(mlflow, "old name")
    mlflow.rename_experiment(experiment, "new name")
    assert mlflow.ours.run(runs[0]).project == "new name"
    mlflow.restore_run(runs[1])
    assert mlflow.ours.run(runs[1]).project == "new name"
    mlflow.log_metric(runs[0], metric("loss", 0.5, 1))
    assert mlflow.ours.run(runs[0]).project == "new name"


def test_a_run_that_is_restored_here_is_restored_in_mlflow(mlflow: Any) -> None:  # noqa: F811
    by_us, by_mlflow = a_run(mlflow), a_run(mlflow)
    for run_id in (by_us, by_mlflow):
        mlflow.log_metric(run_id, metric("loss", 1.0, 0))
    mlflow.ours.delete(by_us, now_ms=NOW_MS)
    mlflow.delete_run(by_mlflow)
    Rows(mlflow).sync(mlflow.ours, NOW_MS, lambda _: None)
    for run_id in (by_us, by_mlflow):
        assert mlflow.get_run(run_id).info.lifecycle_stage == "deleted"
        mlflow.ours.restore(run_id, now_ms=NOW_MS)
        assert mlflow.get_run(run_id).info.lifecycle_stage == "active"
        mlflow.log_metric(run_id, metric("loss", 0.5, 1))


def test_what_the_command_line_changes_in_the_database_itself_is_changed_in_mlflow(mlflow: Any) -> None:  # noqa: F811
    run_id = a_run(mlflow, "before")
    mlflow.log_metric(run_id, metric("loss", 1.0, 0))
    mlflow.delete_run(run_id)
    with Api(settings=load(database_url=mlflow.db_uri)) as api:
        api.restore(run_id)
        api.run(run_id).edit(name="after")

    info = mlflow.get_run(run_id).info
    assert (info.lifecycle_stage, info.run_name) == ("active", "after")


def test_a_run_that_is_deleted_here_can_be_restored_in_mlflow(mlflow: Any) -> None:  # noqa: F811
    run_id = a_run(mlflow)
    mlflow.log_metric(run_id, metric("loss", 1.0, 0))
    mlflow.ours.delete(run_id, now_ms=NOW_MS)
    Rows(mlflow).sync(mlflow.ours, NOW_MS, lambda _: None)

    mlflow.restore_run(run_id)

    assert shown(mlflow, run_id)
    Rows(mlflow).sync(mlflow.ours, NOW_MS, lambda _: None)
    assert mlflow.get_run(run_id).info.lifecycle_stage == "active"


def test_a_name_and_tags_that_are_changed_here_are_changed_in_mlflow_and_stay(mlflow: Any) -> None:  # noqa: F811
    from mlflow.entities import Param, RunTag

    run_id = a_run(mlflow, "before")
    for tag in ("kept", "gone"):
        mlflow.set_tag(run_id, RunTag(tag, "1"))
    mlflow.ours.edit(run_id, RunEdit(name="after", tags={"gone": None, "new": "2"}), now_ms=NOW_MS)

    mlflow.log_param(run_id, Param("lr", "0.1"))  # what MLflow says is taken over again

    run, ours = mlflow.get_run(run_id), mlflow.ours.run(run_id)
    assert (run.info.run_name, run.data.tags["mlflow.runName"], ours.name) == ("after", "after", "after")
    assert {tag: run.data.tags.get(tag) for tag in ("kept", "gone", "new")} == {"kept": "1", "gone": None, "new": "2"}
    assert dict(ours.tags) == {"kept": "1", "new": "2"}
    assert mlflow.search_runs(["0"], "tags.new = '2'", 1)


def test_a_run_of_our_client_that_is_renamed_in_mlflow_keeps_that_name(mlflow: Any) -> None:  # noqa: F811
    from mlflow.entities import RunTag

    feed = Feed(mlflow.ours, run_id="cd" * 16)
    feed.start(project="sdk", name="before")
    feed.log("train/loss", [0], [1.0])
    Rows(mlflow).sync(mlflow.ours, NOW_MS, lambda _: None)

    mlflow.set_tag(feed.run_id, RunTag("mlflow.runName", "meanwhile"))
    assert mlflow.ours.run(feed.run_id).name == "meanwhile"
    mlflow.update_run_info(feed.run_id, None, None, "after")

    assert mlflow.ours.run(feed.run_id).name == "after"
    feed.log("train/loss", [1], [0.5])
    Rows(mlflow).sync(mlflow.ours, NOW_MS, lambda _: None)
    run = mlflow.get_run(feed.run_id)
    assert (run.info.run_name, run.data.tags["mlflow.runName"]) == ("after", "after")


def test_a_tag_that_mlflow_deletes_is_gone_here(mlflow: Any) -> None:  # noqa: F811
    from mlflow.entities import RunTag

    run_id = a_run(mlflow)
    mlflow.set_tag(run_id, RunTag("who", "me"))
    assert dict(mlflow.ours.run(run_id).tags) == {"who": "me"}
    mlflow.delete_tag(run_id, "who")
    assert not mlflow.ours.run(run_id).tags
