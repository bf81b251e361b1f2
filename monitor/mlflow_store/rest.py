"""The few calls of MLflow's REST API that the mirror needs, over httpx.

MLflow's own client takes seconds and a hundred megabytes to import, and blocks for minutes when its server is gone. A
server that mirrors in the background can afford neither.

Source: https://mlflow.org/docs/latest/rest-api.html
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from monitor.errors import MlflowRefused, ServerUnreachable, SettingsError
from monitor.limits import cut
from monitor.mlflow_store.content import plain

TIMEOUT_S: Final = 10.0
"""Most seconds for one call."""
ENTITIES: Final = 1000
"""Most metrics, params and tags together in one `log-batch`."""
_NAMED: Final = 100
"""Most params, and most tags, in one `log-batch`."""
_BYTES: Final = 900_000
"""Most bytes of one `log-batch`; MLflow's limit is 1 MB."""
_NOT_MLFLOW: Final = "it answers, but not as MLflow does"
_MISSING: Final = "RESOURCE_DOES_NOT_EXIST"
_SHORTER: Final = (5000, 500, 250)
"""Shorter limits for texts, which older or compatible servers may have."""


class MlflowServer:
    """A tracking server.

    Args:
        uri: its address, http or https. It may contain a name and password. MLFLOW_TRACKING_USERNAME with
            MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, work as in MLflow's own client.
    """

    def __init__(self, uri: str) -> None:
        url = httpx.URL(uri)
        if url.scheme not in ("http", "https") or not url.host:
            raise SettingsError(
                "mlflow_tracking_uri", f"{uri} is not an http address", "name a server: http://host:port"
            )
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
        """Make one call.

        Args:
            method: "GET" (data become the query) or "POST" (data become the body).
            path: such as `runs/create`.

        Raises:
            MlflowRefused: MLflow says that the call itself is wrong.
            ServerUnreachable: no answer, or the server has a problem; worth a retry.
        """
        try:
            given: dict[str, Any] = {"params": data} if method == "GET" else {"json": data}
            response = self._http.request(method, path, **given)
        except httpx.HTTPError as error:
            raise self._unreachable(f"{type(error).__name__} {error}".strip()) from None
        if response.is_success:
            try:
                answer = response.json()
            except ValueError:
                raise self._unreachable(_NOT_MLFLOW) from None
            return answer if isinstance(answer, dict) else {}
        code, message = _error(response)
        if response.status_code >= 500 or response.status_code in (401, 403, 408, 429):
            raise self._unreachable(f"it answered {response.status_code} {code}: {message}")
        raise MlflowRefused(self.name, path, code, message)

    def _call_unless(
        self, codes: Collection[str], method: str, path: str, data: Mapping[str, object]
    ) -> dict[str, Any] | None:
        """Make one call; None if it is refused with one of these codes."""
        try:
            return self.call(method, path, data)
        except MlflowRefused as error:
            if error.code not in codes:
                raise
            return None

    def _member(self, answer: Mapping[str, Any], name: str) -> Any:
        """A member that MLflow always sends; an answer without it is something else's, and the run waits."""
        if name not in answer:
            raise self._unreachable(_NOT_MLFLOW)
        return answer[name]

    def answers(self) -> bool:
        """True if the server answers at all, even if it refuses other calls."""
        try:
            self.call("POST", "experiments/search", {"max_results": 1})
        except (ServerUnreachable, MlflowRefused):
            return False
        return True

    def experiment(self, name: str) -> str | None:
        """Id of the experiment of this name, created if missing; None if it was deleted."""
        by_name = ("GET", "experiments/get-by-name", {"experiment_name": name})
        answer = self._call_unless((_MISSING,), *by_name)
        if answer is None:
            made = self._call_unless(("RESOURCE_ALREADY_EXISTS",), "POST", "experiments/create", {"name": name})
            if made is not None:
                return str(self._member(made, "experiment_id"))
            answer = self.call(*by_name)  # another mirror was faster
        found = self._member(answer, "experiment")
        return str(found["experiment_id"]) if found["lifecycle_stage"] == "active" else None

    def run(self, run_id: str) -> dict[str, Any] | None:
        """A run by its id in MLflow; None if there is none."""
        codes = (_MISSING, "INVALID_PARAMETER_VALUE")
        answer = self._call_unless(codes, "GET", "runs/get", {"run_id": run_id})
        return None if answer is None else dict(self._member(answer, "run"))

    def find_run(self, experiment_id: str, tag: str, value: str) -> dict[str, Any] | None:
        """The run, deleted or not, with this value of the tag."""
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
        *,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> tuple[str, ...]:
        """Log any number of each, in as few batches as MLflow's limits allow.

        A refused batch is bisected, and a single text that is refused is shortened, so that one bad value does not keep
        out the others.

        Returns:
            What was refused in the end, such as "param lr".

        Raises:
            MlflowRefused: MLflow accepts nothing for this run, perhaps because it was deleted.
        """
        items = [_Item("metrics", metric.to_json()) for metric in metrics]
        items += [_Item("params", {"key": plain(k), "value": plain(v)}) for k, v in (params or {}).items()]
        items += [_Item("tags", {"key": plain(k), "value": plain(v)}) for k, v in (tags or {}).items()]
        return tuple(left for batch in _batches(items) for left in self._log(run_id, batch))

    def _log(self, run_id: str, batch: Sequence[_Item]) -> Iterator[str]:
        try:
            self._log_batch(run_id, batch)
        except MlflowRefused:
            self._log_batch(run_id, ())  # if this is refused too, the run itself is the problem
        else:
            return
        if len(batch) > 1:
            half = len(batch) // 2
            yield from self._log(run_id, batch[:half])
            yield from self._log(run_id, batch[half:])
        elif not self._log_shorter(run_id, batch[0]):
            yield f"{batch[0].kind.removesuffix('s')} {batch[0].data['key']}"

    def _log_shorter(self, run_id: str, item: _Item) -> bool:
        text = item.data["value"]
        for limit in _SHORTER:
            if isinstance(text, str) and item.kind != "metrics" and len(text) > limit:
                try:
                    self._log_batch(run_id, [_Item(item.kind, {**item.data, "value": cut(text, limit)})])
                except MlflowRefused:
                    continue
                return True
        return False

    def _log_batch(self, run_id: str, batch: Sequence[_Item]) -> None:
        kinds = {kind: [item.data for item in batch if item.kind == kind] for kind in ("metrics", "params", "tags")}
        self.call("POST", "runs/log-batch", {"run_id": run_id, **kinds})

    def delete_tag(self, run_id: str, key: str) -> None:
        """Delete a tag. It is not an error if it does not exist."""
        self._call_unless((_MISSING,), "POST", "runs/delete-tag", {"run_id": run_id, "key": key})


@dataclass(frozen=True, slots=True)
class Metric:
    """One point of a metric.

    Attributes:
        value: NaN and infinities are sent as such; MLflow stores NaN, and ±1.797e308 for the infinities.
        time_ms: milliseconds since the epoch.
    """

    key: str
    value: float
    time_ms: int
    step: int

    def to_json(self) -> dict[str, object]:
        """The point in the form of `log-batch`. JSON has no NaN, but protobuf's JSON accepts its name."""
        value = self.value if math.isfinite(self.value) else _SPECIAL[str(self.value)]
        return {"key": plain(self.key), "value": value, "timestamp": self.time_ms, "step": self.step}


_SPECIAL: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


@dataclass(frozen=True, slots=True)
class _Item:
    kind: str
    data: Mapping[str, object]


def _batches(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    """Split into batches within all limits: params and tags first, filled up with metrics."""
    left = sorted(items, key=lambda item: item.kind == "metrics")
    while left:
        batch: list[_Item] = []
        rest: list[_Item] = []
        room, named = _BYTES, {"params": _NAMED, "tags": _NAMED, "metrics": ENTITIES}
        for at, item in enumerate(left):
            size = len(json.dumps(item.data)) + 2
            if batch and (room < size or len(batch) == ENTITIES):
                rest += left[at:]
                break
            if not named[item.kind]:
                rest.append(item)
                continue
            named[item.kind] -= 1
            room -= size
            batch.append(item)
        yield batch
        left = rest


def _error(response: httpx.Response) -> tuple[str, str]:
    try:
        data = response.json()
        return str(data.get("error_code", response.status_code)), str(data.get("message", ""))[:300]
    except (ValueError, AttributeError):
        return str(response.status_code), response.text[:300]
