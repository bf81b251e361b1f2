"""Mirrors runs to an MLflow tracking server: what changed since the last copy, again and again, to the same MLflow run.

The mirror never writes a point of a history: MLflow gets the last and the best value of every series as they change. A
copy can be cut short anywhere and done again: the MLflow run is found by its tag `monitor.run_id`, params are only ever
added, and the same metric at the same step and time is one metric. A run that cannot be copied, for whatever reason,
keeps no other from it, and is tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

from monitor.domain import RunInfo, SeriesInfo
from monitor.errors import MlflowRefused, ServerUnreachable, StoreError
from monitor.mlflow_store import content
from monitor.mlflow_store.rest import MlflowServer

TARGET: Final = "mlflow"
"""What the store calls this copy."""
PAGE: Final = 100
FIRST_RETRY_MS: Final = 10_000
"""Wait before a run that could not be copied is tried again; it doubles with every failure."""
LAST_RETRY_MS: Final = 3_600_000
"""Longest wait between two tries."""
MOST: Final = 1000
"""Runs that wait for another try, at most; where more fail, it is MLflow that is in trouble."""

_log = logging.getLogger(__name__)


class Changes(Protocol):
    """What the mirror needs of the store."""

    def changed_runs(
        self, target: str, limit: int = 100, *, without: Collection[str] = ()
    ) -> tuple[tuple[RunInfo, str | None], ...]:
        """Runs that changed since they were exported, each with its id over there; but for some of them."""
        ...

    def exported(self, run_id: str, target: str, version: int, external_id: str | None) -> None:
        """The run was exported as it was at this version."""
        ...

    def mirrored_as(self, run_id: str, target: str, external_id: str, *, instead_of: str | None) -> str:
        """Put down the id that a run has over there, unless another server was first; the id that is put down."""
        ...

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        """The run's series."""
        ...


class Exporter:
    """Copies runs to one tracking server.

    Args:
        tracking_uri: the server's address, http or https.

    Attributes:
        failing: how often each run that cannot be copied was tried, by id.

    Raises:
        SettingsError: the address is not http or https.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._server = MlflowServer(tracking_uri)
        self._experiments: dict[str, str] = {}
        self.failing: dict[str, int] = {}
        self._again_ms: dict[str, int] = {}

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def sync(self, store: Changes, now_ms: int) -> int:
        """Copy every run that changed.

        Args:
            store: where the runs are.
            now_ms: milliseconds since the epoch.

        Returns:
            How many runs were copied.

        Raises:
            ServerUnreachable: MLflow is not there; what was not copied yet is still marked as changed.
        """
        copied = 0
        while True:
            later = [run_id for run_id, at in self._again_ms.items() if at > now_ms]
            page = store.changed_runs(TARGET, PAGE, without=later)
            for run, known in page:
                try:
                    external = self._copy(store, run, known, now_ms)
                except MlflowRefused as error:
                    # One run that MLflow will not take must not keep the others from it. Its next change is tried.
                    _log.warning("run %s (%s) is not mirrored: %s", run.id, run.name, error)
                    external = known
                    self._experiments.clear()
                except StoreError:
                    raise
                except Exception as error:
                    down = isinstance(error, ServerUnreachable) and not self._server.answers()
                    if down or len(self._again_ms) >= MOST:
                        raise
                    self._put_off(run, error, now_ms)
                    continue
                else:
                    copied += 1
                store.exported(run.id, TARGET, run.version, external)
                self.failing.pop(run.id, None)
                self._again_ms.pop(run.id, None)
            if len(page) < PAGE:
                return copied

    def _put_off(self, run: RunInfo, error: Exception, now_ms: int) -> None:
        """Try a run again later; the others go on."""
        tries = self.failing[run.id] = self.failing.get(run.id, 0) + 1
        wait_ms = min(FIRST_RETRY_MS << min(tries - 1, 20), LAST_RETRY_MS)
        self._again_ms[run.id] = now_ms + wait_ms
        said = f"{type(error).__name__}: {error}"
        _log.warning(
            "run %s (%s) is not mirrored (try %d, again in %d s; %d runs are waiting): %s",
            *(run.id, run.name, tries, wait_ms // 1000, len(self.failing), said),
        )
        self._experiments.clear()

    def _copy(self, store: Changes, run: RunInfo, known: str | None, now_ms: int) -> str | None:
        """Bring the MLflow run up to date; its id, or None where somebody deleted it or its experiment."""
        found = (self._server.run(known) if known else None) or self._find_or_create(store, run, known)
        if found is None or found["info"].get("lifecycle_stage") == "deleted":
            return known
        external = str(found["info"]["run_id"])
        there = {str(p["key"]): str(p["value"]) for p in found.get("data", {}).get("params", [])}
        wanted = content.params_of(run.config)
        tags = content.tags_of(run)
        changed = [key for key, value in wanted.items() if there.get(key, value) != value]
        if changed:
            # MLflow never lets a param change; say so instead of failing.
            tags["monitor.params_changed"] = content.cut(", ".join(changed), content.MAX_TAG)
            tags |= {
                content.safe_key(f"monitor.param.{key}"): content.cut(wanted[key], content.MAX_TAG) for key in changed
            }
        self._server.log(
            external,
            content.metrics_of(store.series(run.id), now_ms),
            [{"key": key, "value": value} for key, value in wanted.items() if key not in there],
            [{"key": key, "value": value} for key, value in tags.items()],
        )
        self._set_status(run, found["info"], external)
        return external

    def _find_or_create(self, store: Changes, run: RunInfo, known: str | None) -> Mapping[str, Any] | None:
        """The MLflow run, made where there is none; of two servers that both make one, the second deletes its own."""
        experiment = self._experiment(run.project)
        if experiment is None:
            return None
        found = self._server.find_run(experiment, "monitor.run_id", run.id)
        if found is not None:
            return found
        data = {
            "experiment_id": experiment,
            "run_name": run.name,
            "start_time": run.created_ms,
            "tags": [{"key": "monitor.run_id", "value": run.id}],
        }
        created: dict[str, Any] = self._server.call("POST", "runs/create", data)["run"]
        mine = str(created["info"]["run_id"])
        first = store.mirrored_as(run.id, TARGET, mine, instead_of=known)
        if first == mine:
            return created
        self._server.call("POST", "runs/delete", {"run_id": mine})
        return self._server.run(first)

    def _experiment(self, project: str) -> str | None:
        name = content.cut(project, content.MAX_EXPERIMENT)
        if name not in self._experiments:
            found = self._server.experiment(name)
            if found is None:
                return None
            self._experiments[name] = found
        return self._experiments[name]

    def _set_status(self, run: RunInfo, info: Mapping[str, Any], external: str) -> None:
        status, end = content.STATUS[run.status], content.end_ms(run)
        same = info.get("status") == status and info.get("run_name") == run.name
        if same and (end is None or int(info.get("end_time") or 0) == end):
            return
        data: dict[str, object] = {"run_id": external, "status": status, "run_name": run.name}
        if end is not None:
            data["end_time"] = end
        self._server.call("POST", "runs/update", data)
