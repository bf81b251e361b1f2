"""Reads runs from an MLflow tracking server over REST; MLflow need not be installed.

Source: https://mlflow.org/docs/latest/rest-api.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
import numpy as np

from monitor.errors import FileUnreadable
from monitor.importers.imported import ImportedRun, NotTraining
from monitor.importers.mlflow_runs import History, MlflowRun

_TIMEOUT_S: Final = 60.0
_PAGE: Final = 1000
_HISTORY_PAGE: Final = 25_000  # MLflow's maximum
_SPECIAL: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def read_server(source: str) -> Iterator[ImportedRun | FileUnreadable | NotTraining]:
    """All runs of a server, oldest experiment first. A run that cannot be read is yielded as its error.

    Args:
        source: `http://host:port`. A URL copied from MLflow's pages selects what it shows: `#/experiments/<id>`,
            `#/experiments/<id>/runs/<id>`.

    Raises:
        FileUnreadable: no server responds, or it is not MLflow.
    """
    server = _Server(source)
    try:
        if server.run is not None:
            found = server.get("runs/get", {"run_id": server.run}).get("run")
            yield _read(server, found, server.named(_text(found, "info", "experiment_id")))
            return
        for experiment in sorted(server.experiments(), key=lambda e: _number(e.id)):
            for run in server.runs(experiment.id):
                yield _read(server, run, experiment)
    finally:
        server.close()


@dataclass(frozen=True, slots=True)
class _Experiment:
    id: str
    name: str | None
    deleted: bool


class _Server:
    def __init__(self, source: str) -> None:
        address, _, page = source.partition("#")
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise FileUnreadable(source, "", f"is not an address: {error}") from None
        if not url.host:
            raise FileUnreadable(source, "", "is not the address of an MLflow server; name one: http://host:port")
        self.name = str(url.copy_with(username=None, password=None, query=None)).rstrip("/")
        experiment, run = re.search(r"experiments/(\w+)", page), re.search(r"runs/(\w+)", page)
        self.experiment, self.run = experiment and experiment[1], run and run[1]
        self._names: dict[str, str] = {}
        user, token = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_TOKEN")
        self._http = httpx.Client(
            base_url=str(url.copy_with(query=None)).rstrip("/") + "/api/2.0/mlflow/",
            timeout=_TIMEOUT_S,
            auth=(user, os.environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user else None,
            headers={"Authorization": f"Bearer {token}"} if token and not user else {},
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, query: Mapping[str, object]) -> dict[str, Any]:
        return self._answer(path, "GET", {"params": {k: v for k, v in query.items() if v is not None}})

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        return self._answer(path, "POST", {"json": {k: v for k, v in body.items() if v is not None}})

    def experiments(self) -> list[_Experiment]:
        """The experiments to read, including deleted ones."""
        if self.experiment is not None:
            return [_experiment(self.get("experiments/get", {"experiment_id": self.experiment})["experiment"])]
        found = []
        for page in self._pages("experiments/search", {"max_results": _PAGE, "view_type": "ALL"}):
            found += [_experiment(e) for e in page.get("experiments", [])]
        return found

    def named(self, experiment: str) -> _Experiment:
        """One experiment; without its name if that cannot be read."""
        try:
            return _experiment(self.get("experiments/get", {"experiment_id": experiment})["experiment"])
        except (FileUnreadable, KeyError, TypeError):
            return _Experiment(experiment, None, False)

    def name_of(self, run_id: str) -> str:
        """The name of a parent run; its id if the name cannot be read."""
        if run_id not in self._names:
            try:
                found = self.get("runs/get", {"run_id": run_id}).get("run")
            except FileUnreadable:
                found = None
            self._names[run_id] = _text(found, "info", "run_name") or run_id
        return self._names[run_id]

    def runs(self, experiment: str) -> Iterator[dict[str, Any]]:
        order = {"order_by": ["attributes.start_time ASC"], "run_view_type": "ALL"}
        for page in self._pages("runs/search", {"experiment_ids": [experiment], "max_results": _PAGE, **order}):
            yield from page.get("runs", [])

    def history(self, run_id: str, key: str) -> History:
        rows: list[dict[str, Any]] = []
        token = None
        while token != "":
            query = {"run_id": run_id, "metric_key": key, "max_results": _HISTORY_PAGE, "page_token": token}
            page = self.get("metrics/get-history", query)
            rows += page.get("metrics", [])
            token = page.get("next_page_token") or ""
        values = [_SPECIAL[row["value"]] if row["value"] in _SPECIAL else float(row["value"]) for row in rows]
        times, steps = ([int(row.get(name, 0)) for row in rows] for name in ("timestamp", "step"))
        return History(key, np.array(times, np.int64), np.array(steps, np.int64), np.array(values, np.float64))

    def _pages(self, path: str, body: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        token = None
        while token != "":
            page = self.post(path, {**body, "page_token": token})
            yield page
            token = page.get("next_page_token") or ""

    def _answer(self, path: str, method: str, given: dict[str, Any]) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **given)
            data = response.json()
        except httpx.HTTPError as error:
            raise FileUnreadable(self.name, "", f"does not answer: {type(error).__name__} {error}".strip()) from None
        except ValueError:
            raise FileUnreadable(
                self.name, path, f"answers, but not as MLflow does (HTTP {response.status_code})"
            ) from None
        if not response.is_success or not isinstance(data, dict):
            problem = data.get("message", "") if isinstance(data, dict) else ""
            raise FileUnreadable(self.name, path, f"HTTP {response.status_code} {problem:.200}".strip())
        return data


def _read(server: _Server, given: object, experiment: _Experiment) -> ImportedRun | FileUnreadable | NotTraining:
    shown = f"{server.name} run {_text(given, 'info', 'run_id') or server.run}"
    try:
        assert isinstance(given, dict)
        run = _run(server, given, shown, experiment)
        keys = [str(metric["key"]) for metric in given.get("data", {}).get("metrics", [])]
        return run.left_out() or run.imported([server.history(run.id, key) for key in keys])
    except FileUnreadable as error:
        return error
    except (AssertionError, KeyError, TypeError, ValueError, OverflowError) as error:
        return FileUnreadable(shown, "", f"answers, but not as MLflow does: {type(error).__name__} {error}")


def _run(server: _Server, given: Mapping[str, Any], shown: str, experiment: _Experiment) -> MlflowRun:
    info, data = given["info"], given.get("data", {})
    tags = {str(tag["key"]): str(tag.get("value", "")) for tag in data.get("tags", [])}
    parent = tags.get("mlflow.parentRunId")
    return MlflowRun(
        id=str(info["run_id"]),
        shown=shown,
        name=info.get("run_name"),
        status=str(info.get("status")),
        experiment=experiment.name,
        deleted=experiment.deleted or info.get("lifecycle_stage") == "deleted",
        started_ms=int(info.get("start_time") or 0) or None,
        finished_ms=int(info.get("end_time") or 0) or None,
        params={str(p["key"]): str(p.get("value", "")) for p in data.get("params", [])},
        tags=tags,
        parent=parent and server.name_of(parent),
        datasets=len(given.get("inputs", {}).get("dataset_inputs", [])),
    )


def _experiment(given: Mapping[str, Any]) -> _Experiment:
    return _Experiment(str(given["experiment_id"]), str(given["name"]), given.get("lifecycle_stage") == "deleted")


def _text(given: object, *path: str) -> str:
    for name in path:
        given = given.get(name) if isinstance(given, Mapping) else None
    return "" if given is None else str(given)


def _number(experiment: str) -> tuple[int, str]:
    return (int(experiment) if experiment.isdecimal() else 2**62, experiment)
