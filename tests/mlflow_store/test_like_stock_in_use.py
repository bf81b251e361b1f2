"""Any sequence of what MLflow's clients do leaves what it leaves in stock MLflow, and every refusal has its words."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mlflow_store import stores
from tests.mlflow_store.stores import Stores, in_one_order
from tests.mlflow_store.test_like_stock import KEYS, POINTS, on_postgres, on_sqlite, pages  # noqa: F401  # fixtures

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

RUNS = MODELS = 2
RUN, MODEL = st.integers(0, RUNS - 1), st.integers(0, MODELS - 1)
TEXT = st.sampled_from(["", "a", "true", "0.5", "x" * 5001, "ü\n☃", "loss", "loss:max"])
NAMES = st.sampled_from(
    ["who", "a/b c", "monitor.goal", "monitor.verdict", "mlflow.runName", "mlflow.note.content", "a@b"]
)
STATUS = st.sampled_from(["RUNNING", "FINISHED", "FAILED", "KILLED"])
Act = tuple[str, tuple[Any, ...]]


def act(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    return st.tuples(st.just(name), st.tuples(*arguments))


POINT_LISTS = st.lists(POINTS, min_size=1, max_size=6)
ACTS = st.lists(
    st.one_of(
        act("log", RUN, POINT_LISTS, st.one_of(st.none(), MODEL), st.booleans()),
        act("log", RUN, POINT_LISTS, st.none(), st.booleans()),
        act("log_all", RUN, POINT_LISTS, st.dictionaries(NAMES, TEXT, max_size=2), st.dictionaries(NAMES, TEXT)),
        act("param", RUN, NAMES, TEXT),
        act("tag", RUN, NAMES, TEXT),
        act("untag", RUN, NAMES),
        act("end", RUN, STATUS, st.sampled_from([None, 0, 5, 2**53 + 1]), st.sampled_from([None, "", "other"])),
        act("delete", RUN),
        act("restore", RUN),
        act("purge", RUN),
        act("delete_experiment"),
        act("restore_experiment"),
        act("rename_experiment", st.integers(0, 2)),
        act("use", RUN, st.sampled_from(["d1", "d2"]), MODEL),
        act("make", RUN, MODEL),
        act("delete_model", MODEL),
    ),
    min_size=1,
    max_size=14,
)


class Side:
    """One of the two stores, with the same experiment, runs and models."""

    def __init__(self, store: Any, experiment: str, runs: list[str]) -> None:
        self.store, self.experiment, self.runs = store, experiment, runs
        self.name = store.get_experiment(experiment).name
        self.models = [
            store.create_logged_model(experiment, name=f"m{i}", source_run_id=runs[i]).model_id for i in range(MODELS)
        ]

    def do(self, name: str, arguments: tuple[Any, ...]) -> Any:
        return self.said(lambda: getattr(self, name)(*arguments))

    def said(self, ask: Callable[[], Any]) -> Any:
        """The answer without this store's ids, or the words of the refusal."""
        from mlflow.exceptions import MlflowException

        try:
            found = json.dumps(plain(ask()), sort_keys=True)
        except MlflowException as error:
            found = json.dumps(f"{error.error_code}: {error}")
        for kind, ids in (("run", self.runs), ("model", self.models)):
            for i, own in enumerate(ids):
                found = found.replace(own, f"<{kind} {i}>")
        return json.loads(re.sub("[0-9a-f]{32}", "<id>", found), object_hook=ordered)

    def log(self, run: int, points: list[tuple[str, float, int, int]], model: int | None, alone: bool) -> None:
        from mlflow.entities import Metric

        id_ = None if model is None else self.models[model]
        metrics = [Metric(key, value, time, step, model_id=id_) for key, value, time, step in points]
        if alone:
            for metric in metrics:
                self.store.log_metric(self.runs[run], metric)
        else:
            self.store.log_batch(self.runs[run], metrics, [], [])

    def log_all(self, run: int, points: Any, params: dict[str, str], tags: dict[str, str]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(*point) for point in points]
        pairs = [Param(*pair) for pair in params.items()], [RunTag(*pair) for pair in tags.items()]
        self.store.log_batch(self.runs[run], metrics, *pairs)

    def param(self, run: int, name: str, value: str) -> None:
        from mlflow.entities import Param

        self.store.log_param(self.runs[run], Param(name, value))

    def tag(self, run: int, name: str, value: str) -> None:
        from mlflow.entities import RunTag

        self.store.set_tag(self.runs[run], RunTag(name, value))

    def untag(self, run: int, name: str) -> None:
        self.store.delete_tag(self.runs[run], name)

    def end(self, run: int, status: str, end_ms: int | None, name: str | None) -> Any:
        from mlflow.entities import RunStatus

        return self.store.update_run_info(self.runs[run], RunStatus.from_string(status), end_ms, name)

    def delete(self, run: int) -> None:
        self.store.delete_run(self.runs[run])

    def restore(self, run: int) -> None:
        self.store.restore_run(self.runs[run])

    def purge(self, run: int) -> None:
        self.store._hard_delete_run(self.runs[run])

    def delete_experiment(self) -> None:
        self.store.delete_experiment(self.experiment)

    def restore_experiment(self) -> None:
        self.store.restore_experiment(self.experiment)

    def rename_experiment(self, number: int) -> None:
        self.store.rename_experiment(self.experiment, f"{self.name}-{number}")

    def use(self, run: int, dataset: str, model: int) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput

        data = Dataset(dataset, dataset, "local", "here")
        models = [LoggedModelInput(self.models[model])]
        self.store.log_inputs(self.runs[run], [DatasetInput(data, [InputTag("context", "train")])], models)

    def make(self, run: int, model: int) -> None:
        from mlflow.entities import LoggedModelOutput

        self.store.log_outputs(self.runs[run], [LoggedModelOutput(self.models[model], 3)])

    def delete_model(self, model: int) -> None:
        self.store.delete_logged_model(self.models[model])

    def reads(self) -> Iterator[Callable[[], Any]]:
        """Everything that can be asked."""
        store, here = self.store, [self.experiment]
        for run in self.runs:
            yield lambda run=run: store.get_run(run)
            for key in KEYS:
                yield lambda run=run, key=key: history(store, run, key)
                yield lambda run=run, key=key: store.get_max_step_for_metric(run, key)
        yield lambda: store.get_experiment(self.experiment)
        for view in (1, 2, 3):
            for text in FILTERS:
                yield lambda view=view, text=text: list(store.search_runs(here, text, view, 50, ORDERS[0]))
            for order in ORDERS:
                yield lambda view=view, order=order: searched(store, here, view, order)
        for model in self.models:
            yield lambda model=model: store.get_logged_model(model)
        for text in (None, "metrics.loss > 0", "metrics.`val/loss` <= 1"):
            yield lambda text=text: list(store.search_logged_models(here, text, order_by=[{"field_name": "name"}]))
        for dataset in (None, "d1"):
            by = {"field_name": "metrics.loss", "dataset_name": dataset} if dataset else {"field_name": "metrics.loss"}
            yield lambda by=by: list(store.search_logged_models(here, None, order_by=[by, {"field_name": "name"}]))


FILTERS = (
    "",
    "metrics.loss > 0",
    "metrics.loss != 1",
    "metrics.`val/loss` <= 1.5 and metrics.loss < 3",
    "tags.who = 'a'",
    "tags.`monitor.goal` LIKE 'loss%'",
    "params.who ILIKE '%A%'",
    "attributes.status != 'RUNNING'",
    "dataset.name = 'd1'",
)
ORDERS = (
    ["attributes.run_name", "tags.`mlflow.runName` DESC"],
    ["metrics.loss DESC", "attributes.run_name"],
    ["metrics.loss ASC", "attributes.run_name"],
    ["tags.`monitor.verdict` ASC", "attributes.end_time DESC", "attributes.run_name"],
)


def history(store: Any, run: str, key: str) -> Any:
    """The sizes of the pages of a history, and its points."""
    found = pages(store, run, key, 3)
    return [len(page) for page in found], in_one_order(map(stores.plain, itertools.chain(*found)))


def searched(store: Any, here: list[str], view: int, order: list[str]) -> list[Any]:
    """All pages of one run each."""
    found, token = [], None
    while True:
        page = store.search_runs(here, "", view, 1, order, token)
        found += list(page)
        token = page.token
        if not token:
            return found


UNLIKE = {"experiment_id", "artifact_uri", "artifact_location", "last_update_time", "creation_time"}
UNLIKE |= {"last_updated_timestamp", "creation_timestamp", "workspace", "deleted_time"}
"""Ids of the database, and the time of day."""
UNORDERED = {"metrics", "dataset_inputs", "model_inputs", "model_outputs"}
"""Lists in the order of random ids, or in none."""


def plain(found: Any) -> Any:
    """An answer as JSON takes it; the order of a list stays where it has one."""
    if isinstance(found, float):
        # Stock MLflow leaves a latest value of -0.0 where 0.0 is later: SQLAlchemy sees no change.
        return repr(found + 0.0)
    if isinstance(found, dict):
        return {str(key): plain(value) for key, value in found.items() if key not in UNLIKE}
    if isinstance(found, list | tuple):
        return [plain(each) for each in found]
    if found is None or isinstance(found, str | int):
        return found
    data = found.to_dictionary() if hasattr(found, "to_dictionary") else dict(found)
    return plain({**data, "kind": type(found).__name__})


def ordered(found: dict[str, Any]) -> dict[str, Any]:
    """An object of an answer, with its lists that have no order in one."""
    lists = {name: found[name] for name in UNORDERED if isinstance(found.get(name), list)}
    return {**found, **{name: sorted(rows, key=json.dumps) for name, rows in lists.items()}}


def same(pair: Stores, acts: list[Act]) -> None:
    experiment = pair.new_experiment()
    runs = [pair.new_run(experiment, f"r{i}") for i in range(RUNS)]
    stock, ours = (
        Side(store, number, [run[i] for run in runs])
        for i, (store, number) in enumerate(zip(pair.both, experiment, strict=True))
    )
    for name, arguments in acts:
        assert ours.do(name, arguments) == stock.do(name, arguments), name
    for number, (mine, other) in enumerate(zip(ours.reads(), stock.reads(), strict=True)):
        assert ours.said(mine) == stock.said(other), number


@pytest.mark.slow
@given(acts=ACTS)
@settings(max_examples=8)
def test_any_use_leaves_what_it_leaves_in_stock_mlflow_on_sqlite(on_sqlite: Stores, acts: list[Act]) -> None:  # noqa: F811
    same(on_sqlite, acts)


@pytest.mark.slow
@given(acts=ACTS)
@settings(max_examples=40)
def test_any_use_leaves_what_it_leaves_on_sqlite_again_and_again(on_sqlite: Stores, acts: list[Act]) -> None:  # noqa: F811
    same(on_sqlite, acts)


@pytest.mark.slow
@pytest.mark.postgres
@given(acts=ACTS)
@settings(max_examples=30)
def test_any_use_leaves_what_it_leaves_in_stock_mlflow_on_postgresql(on_postgres: Stores, acts: list[Act]) -> None:  # noqa: F811
    same(on_postgres, acts)
