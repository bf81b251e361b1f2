"""Runs of an MLflow tracking server, over the few REST calls that reading needs; MLflow need not be installed.

Source: https://mlflow.org/docs/latest/rest-api.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import httpx

from monitor.errors import FileUnreadable
from monitor.importers.imported import ImportedRun, NotTraining, PointList, by_role
from monitor.limits import value_of

_TIMEOUT_S: Final = 30.0
_PAGE: Final = 1000
_HISTORY_PAGE: Final = 25_000
_STATUS: Final[Mapping[str, Literal["finished", "stopped", "failed"]]] = {"FINISHED": "finished", "FAILED": "failed"}
_SPECIAL: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def is_address(source: str) -> bool:
    """True where a source names a server and no file."""
    return source.startswith(("mlflow:", "http://", "https://"))


def read_server(source: str) -> Iterator[ImportedRun | FileUnreadable | NotTraining]:
    """Every run of a server, oldest experiment first; a run that cannot be read comes as its error.

    Args:
        source: `http://host:port`, with or without `mlflow:` before it. An address copied from MLflow's pages picks
            what it shows: `#/experiments/<id>`, `#/experiments/<id>/runs/<id>`.

    Raises:
        FileUnreadable: nobody answers there, or not as MLflow does.
    """
    server = _Server(source)
    try:
        if server.run is not None:
            found = server.get("runs/get", {"run_id": server.run}).get("run")
            yield _read(server, found if isinstance(found, dict) else {}, {})
            return
        names = server.experiments()
        for experiment in sorted(names, key=_number):
            for run in server.runs(experiment):
                yield _read(server, run, names)
    finally:
        server.close()


class _Server:
    def __init__(self, source: str) -> None:
        address, _, page = source.removeprefix("mlflow:").partition("#")
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise FileUnreadable(source, "", f"is no address: {error}") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise FileUnreadable(source, "", "is no address of an MLflow server; name one: mlflow:http://host:port")
        self.name = str(url.copy_with(username=None, password=None, query=None)).rstrip("/")
        experiment, run = re.search(r"experiments/(\w+)", page), re.search(r"runs/(\w+)", page)
        self.experiment, self.run = experiment and experiment[1], run and run[1]
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

    def experiments(self) -> dict[str, str]:
        """Names of the experiments that are read, by id."""
        if self.experiment is not None:
            found = self.get("experiments/get", {"experiment_id": self.experiment})["experiment"]
            return {str(found["experiment_id"]): str(found["name"])}
        names: dict[str, str] = {}
        for page in self._pages("experiments/search", {"max_results": _PAGE}):
            names |= {str(e["experiment_id"]): str(e["name"]) for e in page.get("experiments", [])}
        return names

    def runs(self, experiment: str) -> Iterator[dict[str, Any]]:
        query = {"experiment_ids": [experiment], "max_results": _PAGE, "order_by": ["attributes.start_time ASC"]}
        for page in self._pages("runs/search", query):
            yield from page.get("runs", [])

    def history(self, run_id: str, key: str) -> Iterator[dict[str, Any]]:
        token = None
        while True:
            query = {"run_id": run_id, "metric_key": key, "max_results": _HISTORY_PAGE, "page_token": token}
            page = self.get("metrics/get-history", query)
            yield from page.get("metrics", [])
            token = page.get("next_page_token")
            if not token:
                return

    def _pages(self, path: str, body: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        token = None
        while True:
            page = self.post(path, {**body, "page_token": token})
            yield page
            token = page.get("next_page_token")
            if not token:
                return

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


def _read(
    server: _Server, run: Mapping[str, Any], names: Mapping[str, str]
) -> ImportedRun | FileUnreadable | NotTraining:
    info, data = run.get("info", {}), run.get("data", {})
    ident = str(info.get("run_id", server.run))
    shown = f"{server.name} run {ident}"
    mirrored = mirror_of({str(t.get("key")): str(t.get("value")) for t in data.get("tags", []) if isinstance(t, dict)})
    if mirrored is not None:
        return NotTraining(shown, mirrored)
    try:
        points = _points(server, ident, [str(metric["key"]) for metric in data.get("metrics", [])])
    except FileUnreadable as error:
        return error
    except (KeyError, TypeError, ValueError) as error:
        return FileUnreadable(shown, "", f"answers, but not as MLflow does: {type(error).__name__} {error}")
    if not len(points):
        return NotTraining(shown, "holds no metrics")
    tags = {str(t["key"]): str(t["value"]) for t in data.get("tags", [])}
    experiment = str(info.get("experiment_id", ""))
    started, finished = points.span()
    return ImportedRun(
        source=shown,
        kind="mlflow",
        origin=f"mlflow:{ident}",
        name=str(info.get("run_name") or tags.get("mlflow.runName") or ident),
        project=names.get(experiment) or _experiment_name(server, experiment),
        config={str(p["key"]): value_of(str(p["value"])) for p in data.get("params", [])},
        tags={key: value for key, value in tags.items() if not key.startswith("mlflow.") or key == "mlflow.user"},
        status=_STATUS.get(str(info.get("status")), "stopped"),
        started_ms=int(info["start_time"]) if info.get("start_time") else started,
        finished_ms=int(info["end_time"]) if info.get("end_time") else finished,
        keys=points.keys,
        points=points.columns(started or 0),
        skipped=tuple(points.skipped.values()),
    )


def _points(server: _Server, ident: str, keys: list[str]) -> PointList:
    """All histories in one stream, in the order in which they were logged: by time, then by step."""
    rows: list[tuple[int, int, int, int, str, float]] = []
    for key in keys:
        for i, row in enumerate(server.history(ident, key)):
            value = row["value"]
            number = _SPECIAL[value] if value in _SPECIAL else float(value)
            rows.append((int(row.get("timestamp", 0)), int(row.get("step", 0)), by_role(key), i, key, number))
    points = PointList()
    for time, step, _, _, key, number in sorted(rows, key=lambda row: row[:4]):
        points.add(key, step, number, time)
    return points


def _experiment_name(server: _Server, experiment: str) -> str | None:
    try:
        return str(server.get("experiments/get", {"experiment_id": experiment})["experiment"]["name"])
    except (FileUnreadable, KeyError, TypeError):
        return None


def mirror_of(tags: Mapping[str, str]) -> str | None:
    """What a run is that a monitor has written into MLflow, which holds its last values alone; None for others.

    >>> mirror_of({"monitor.run_id": "4f"})
    'is the mirror of run 4f, whose history the monitor that wrote it has'
    """
    run_id = tags.get("monitor.run_id")
    return None if not run_id else f"is the mirror of run {run_id}, whose history the monitor that wrote it has"


def _number(experiment: str) -> tuple[int, str]:
    return (int(experiment) if experiment.isdigit() else 2**62, experiment)
