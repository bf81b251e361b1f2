"""The few calls of MLflow's REST API that the mirror needs, over httpx.

MLflow's own client costs seconds and a hundred megabytes to import, and blocks for minutes when its server is gone; a
server that mirrors in the background wants neither.

Source: https://mlflow.org/docs/latest/rest-api.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import httpx

from monitor.errors import MlflowRefused, ServerUnreachable, SettingsError

TIMEOUT_S: Final = 10.0
"""Seconds that one call may take."""
_METRICS: Final = 1000
_NAMED: Final = 100
"""Params, and tags, of one `log-batch`, at most; with the metrics 1000 of everything."""


class MlflowServer:
    """A tracking server.

    Args:
        uri: its address, http or https. A name and password may stand in it; MLFLOW_TRACKING_USERNAME with
            MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, are read as MLflow's own client reads them.

    Raises:
        SettingsError: the address is not http or https.
    """

    def __init__(self, uri: str) -> None:
        url = httpx.URL(uri)
        if url.scheme not in ("http", "https") or not url.host:
            raise SettingsError("mlflow_tracking_uri", f"{uri} is no http address", "name a server: http://host:port")
        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        self.name = str(url.copy_with(username=None, password=None)).rstrip("/")
        self._http = httpx.Client(
            base_url=str(url).rstrip("/") + "/api/2.0/mlflow/",
            timeout=TIMEOUT_S,
            auth=(user, password or "") if user else None,
            headers={"Authorization": f"Bearer {token}"} if token and not user else {},
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _unreachable(self, problem: str) -> ServerUnreachable:
        return ServerUnreachable(self.name, problem, kind="MLflow", fix="runs are copied when it is back")

    def call(self, method: str, path: str, data: Mapping[str, object]) -> dict[str, Any]:
        """One call.

        Args:
            method: "GET" (data become the query) or "POST" (data become the body).
            path: such as `runs/create`.
            data: strict JSON data.

        Raises:
            MlflowRefused: MLflow says that the call itself is wrong.
            ServerUnreachable: nobody answers, or the server is in trouble; worth another try.
        """
        data = {name: _clean(value) for name, value in data.items()}
        try:
            given: dict[str, Any] = {"params": data} if method == "GET" else {"json": data}
            response = self._http.request(method, path, **given)
        except httpx.HTTPError as error:
            raise self._unreachable(f"{type(error).__name__} {error}".strip()) from None
        if response.is_success:
            try:
                answer = response.json()
            except ValueError:
                raise self._unreachable("it answers, but not as MLflow does") from None
            return answer if isinstance(answer, dict) else {}
        code, message = _error(response)
        if response.status_code >= 500 or response.status_code in (401, 403, 408, 429):
            raise self._unreachable(f"it answered {response.status_code} {code}: {message}")
        raise MlflowRefused(self.name, path, code, message)

    def answers(self) -> bool:
        """True where the server takes calls, whatever it thinks of some of them."""
        try:
            self.call("POST", "experiments/search", {"max_results": 1})
        except (ServerUnreachable, MlflowRefused):
            return False
        return True

    def experiment(self, name: str) -> str | None:
        """Id of the experiment of this name, created if need be; None where it was deleted."""
        try:
            found = self.call("GET", "experiments/get-by-name", {"experiment_name": name})["experiment"]
            return str(found["experiment_id"]) if found["lifecycle_stage"] == "active" else None
        except MlflowRefused as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
        try:
            return str(self.call("POST", "experiments/create", {"name": name})["experiment_id"])
        except MlflowRefused as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
        # Another mirror was quicker.
        return str(
            self.call("GET", "experiments/get-by-name", {"experiment_name": name})["experiment"]["experiment_id"]
        )

    def run(self, run_id: str) -> dict[str, Any] | None:
        """A run by its id in MLflow; None where there is none."""
        try:
            run: dict[str, Any] = self.call("GET", "runs/get", {"run_id": run_id})["run"]
        except MlflowRefused as error:
            if error.code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return run

    def find_run(self, experiment_id: str, tag: str, value: str) -> dict[str, Any] | None:
        """The run, deleted or not, whose tag has this value."""
        data = {
            "experiment_ids": [experiment_id],
            "filter": f"tags.`{tag}` = '{value}'",
            "run_view_type": "ALL",
            "max_results": 1,
        }
        runs = self.call("POST", "runs/search", data).get("runs", [])
        return dict(runs[0]) if runs else None

    def log(
        self,
        run_id: str,
        metrics: Sequence[Mapping[str, object]],
        params: Sequence[Mapping[str, str]],
        tags: Sequence[Mapping[str, str]],
    ) -> None:
        """Log any number of each, in as few batches as MLflow's limits allow."""
        for m, p, t in _batches(metrics, params, tags):
            self.call("POST", "runs/log-batch", {"run_id": run_id, "metrics": m, "params": p, "tags": t})


def _batches(
    metrics: Sequence[Mapping[str, object]], params: Sequence[Mapping[str, str]], tags: Sequence[Mapping[str, str]]
) -> Iterator[tuple[Sequence[Mapping[str, object]], Sequence[Mapping[str, str]], Sequence[Mapping[str, str]]]]:
    room = _METRICS - 2 * _NAMED
    while metrics or params or tags:
        yield metrics[:room], params[:_NAMED], tags[:_NAMED]
        metrics, params, tags = metrics[room:], params[_NAMED:], tags[_NAMED:]


def _clean(value: object) -> object:
    """Data whose texts can be sent and stored: no NUL, no half of a surrogate pair."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {key: _clean(inner) for key, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, Sequence) else value


def _error(response: httpx.Response) -> tuple[str, str]:
    try:
        data = response.json()
        return str(data.get("error_code", response.status_code)), str(data.get("message", ""))[:300]
    except (ValueError, AttributeError):
        return str(response.status_code), response.text[:300]
