"""Mirrors runs to an MLflow tracking server: whole histories, and the verdict as tags and metrics.

Each run is copied repeatedly to the same MLflow run, which is found by its tag `monitor.run_id`. After every batch, the
number of points that MLflow has of each series is recorded. A copy may be interrupted anywhere: what was sent but not
recorded is sent again, and MLflow drops points that it already has. A run that cannot be copied does not hold up the
others, and is retried.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from monitor.domain import RunInfo
from monitor.errors import MlflowRefused, ServerUnreachable, StoreError
from monitor.limits import cut
from monitor.mlflow_store import content, history
from monitor.mlflow_store.content import MAX_EXPERIMENT, MAX_TAG, plain, safe_key
from monitor.mlflow_store.history import TARGET
from monitor.mlflow_store.note import NOTE, note_of
from monitor.mlflow_store.rest import Metric, MlflowServer
from monitor.store import Store

REFUSED: Final = "monitor.not_mirrored"
"""The tag that lists what MLflow refused."""
PAGE: Final = 1000
"""Most changed runs that one call of `sync` looks at."""
BUDGET_S: Final = 0.5
"""Most seconds that one call of `sync` spends on ended runs.

Live ones are then never late, and the MLflow server has time for others.
"""
AT_ONCE: Final = 8
"""Live runs that are copied concurrently."""
SAMPLE: Final = 20
"""Runs that are looked up to tell whether this is the MLflow that was mirrored to before."""
FIRST_RETRY_MS: Final = 10_000
"""Wait before a failed run is retried; it doubles with every failure."""
LAST_RETRY_MS: Final = 3_600_000
"""Longest wait between retries."""
MOST: Final = 1000
"""Most runs that wait for a retry. If more fail, the problem is MLflow itself."""

_log = logging.getLogger(__name__)


class Exporter:
    """Copies runs to one tracking server.

    Args:
        tracking_uri: the server's address, http or https.
        budget_s: as `BUDGET_S`.

    Attributes:
        failing: run id -> number of failed attempts.
    """

    def __init__(self, tracking_uri: str, *, budget_s: float = BUDGET_S) -> None:
        self._server = MlflowServer(tracking_uri)
        self._budget_s = budget_s
        self._experiments: dict[str, str] = {}
        self.failing: dict[str, int] = {}
        self._again_ms: dict[str, int] = {}
        self._visits: dict[str, int] = {}
        self._known_server = False

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def sync(self, store: Store, now_ms: int, link: Callable[[str], str | None] = lambda _: None) -> int:
        """Copy what changed in every live run, and in as many ended ones as there is time for, but at least one.

        Args:
            link: maps a run's id to the address of its page.

        Returns:
            How many runs were copied, completely or in part; 0 if there was nothing to do.

        Raises:
            ServerUnreachable: MLflow does not answer; what was not copied is still marked as changed.
        """
        if not self._known_server:
            self._look_at_server(store)
        later = [run_id for run_id, at in self._again_ms.items() if at > now_ms]
        changed = store.changed_runs(TARGET, PAGE, without=later)
        end = time.monotonic() + self._budget_s

        def more() -> bool:
            return time.monotonic() < end

        def copy(row: tuple[RunInfo, str | None]) -> bool:
            return self._try(store, *row, now_ms=now_ms, page=link(row[0].id), more=more)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            copied = sum(pool.map(copy, [row for row in changed if not row[0].status.over]))
        # Sorted by visits, so that a long ended run does not hold up the others.
        over = [row for row in changed if row[0].status.over]
        for row in sorted(over, key=lambda row: self._visits.get(row[0].id, 0)):
            if copied and not more():
                break
            copied += copy(row)
        return copied

    def _look_at_server(self, store: Store) -> None:
        """Start over if this is another MLflow than before, or its database is new."""
        ids = store.mirrored_ids(TARGET, SAMPLE)
        if ids and not any(self._server.run(known) for known in ids):
            _log.warning(
                "MLflow at %s has none of the runs that were mirrored: all are copied again", self._server.name
            )
            store.mirror_again(TARGET)
        self._known_server = True

    def _try(
        self, store: Store, run: RunInfo, known: str | None, *, now_ms: int, page: str | None, more: Callable[[], bool]
    ) -> bool:
        """Copy a run. False if that failed.

        Args:
            known: its id in MLflow; None if it was never there.
            page: address of its page on the dashboard.
            more: returns whether there is time for another batch of points.
        """
        done = True
        try:
            external, whole = self._copy(store, run, known, now_ms, page, more)
        except MlflowRefused as error:
            # One run that MLflow refuses must not hold up the others. It is retried at its next change.
            _log.warning("run %s (%s) is not mirrored: %s", run.id, run.name, error)
            external, whole, done = known, True, False
            self._experiments.clear()
        except StoreError:
            raise
        except Exception as error:
            down = isinstance(error, ServerUnreachable) and not self._server.answers()
            if down or len(self._again_ms) >= MOST:
                raise
            self._put_off(run, error, now_ms)
            return False
        self.failing.pop(run.id, None)
        self._again_ms.pop(run.id, None)
        if whole:
            store.exported(run.id, TARGET, run.version, external)
            self._visits.pop(run.id, None)
        else:
            self._visits[run.id] = self._visits.get(run.id, 0) + 1
        return done

    def _put_off(self, run: RunInfo, error: Exception, now_ms: int) -> None:
        """Schedule a retry for a run; the others continue."""
        tries = self.failing[run.id] = self.failing.get(run.id, 0) + 1
        wait_ms = min(FIRST_RETRY_MS << min(tries - 1, 20), LAST_RETRY_MS)
        self._again_ms[run.id] = now_ms + wait_ms
        said = f"{type(error).__name__}: {error}"
        _log.warning(
            "run %s (%s) is not mirrored (try %d, again in %d s; %d runs are waiting): %s",
            *(run.id, run.name, tries, wait_ms // 1000, len(self.failing), said),
        )
        self._experiments.clear()

    def _copy(
        self, store: Store, run: RunInfo, known: str | None, now_ms: int, page: str | None, more: Callable[[], bool]
    ) -> tuple[str | None, bool]:
        """Update the MLflow run. Returns its id, and whether it is complete.

        The id is None if somebody deleted the MLflow run or its experiment.
        """
        subject = content.Subject.of(store, run, page)
        original = self._original(subject.capture)
        if original is not None:
            marks = content.marks_of(subject)
            metrics, changed = _changes(original, marks, subject, now_ms)
            logged = {series.key for series in store.series(run.id)}
            metrics = [metric for metric in metrics if metric.key not in logged]  # it has its own metric of this name
            self._server.log(str(original["info"]["run_id"]), metrics=metrics, tags=changed)
            self._clear(original, marks)
            return known, True
        found = (self._server.run(known) if known else None) or self._find_or_create(store, run, known)
        if found is None or found["info"].get("lifecycle_stage") == "deleted":
            return known, True
        external = str(found["info"]["run_id"])
        if known is not None and external != known:
            store.mirrored_as(run.id, TARGET, external, instead_of=known)
        tags = content.tags_of(subject) | self._params(run, found, external)
        note = note_of(subject, _tags(found).get(NOTE))
        if REFUSED in _tags(found):
            tags[REFUSED] = _tags(found)[REFUSED]
        metrics, changed = _changes(found, tags | ({} if note is None else {NOTE: note}), subject, now_ms)
        whole, refused = history.send(store, self._server, run.id, external, metrics=metrics, tags=changed, more=more)
        if refused:
            self._name_refused(run, external, tags, refused)
        self._clear(found, tags)
        self._set_status(run, found["info"], external)
        return external, whole

    def _name_refused(self, run: RunInfo, external: str, tags: Mapping[str, str], refused: Sequence[str]) -> None:
        names = dict.fromkeys([*filter(None, tags.get(REFUSED, "").split(", ")), *refused])
        self._server.log(external, tags={REFUSED: cut(", ".join(names), MAX_TAG)})
        _log.warning("run %s (%s): MLflow refused %s", run.id, run.name, ", ".join(refused)[:500])

    def _original(self, capture: Mapping[str, object]) -> Mapping[str, Any] | None:
        """The run of this MLflow that ours was imported from. It has the points, and needs only the verdict."""
        imported = capture.get("imported")
        origin = str(imported.get("origin", "")) if isinstance(imported, Mapping) else ""
        found = self._server.run(origin.removeprefix("mlflow:")) if origin.startswith("mlflow:") else None
        return found if found is not None and found["info"].get("lifecycle_stage") != "deleted" else None

    def _clear(self, found: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Delete our tags that no longer apply."""
        for key in content.stale(_tags(found), tags):
            self._server.delete_tag(str(found["info"]["run_id"]), key)

    def _params(self, run: RunInfo, found: Mapping[str, Any], external: str) -> dict[str, str]:
        """Add the new params. MLflow never lets a param change, so return tags that list those that did."""
        there = {str(p["key"]): str(p["value"]) for p in found.get("data", {}).get("params", [])}
        wanted = content.params_of(run.config)
        new = {key: value for key, value in wanted.items() if plain(key) not in there}
        refused = {name.removeprefix("param ") for name in self._server.log(external, params=new)}
        changed = [
            key for key, value in wanted.items() if key in refused or there.get(plain(key), value) != plain(value)
        ]
        if not changed:
            return {}
        tags = {safe_key(f"monitor.param.{key}"): cut(wanted[key], MAX_TAG) or '""' for key in changed}
        return {"monitor.params_changed": cut(", ".join(changed), MAX_TAG), **tags}

    def _find_or_create(self, store: Store, run: RunInfo, known: str | None) -> Mapping[str, Any] | None:
        """The MLflow run, created if missing. If two servers create it at once, the second deletes its own."""
        experiment = self._experiment(run.project)
        if experiment is None:
            return None
        found = self._server.find_run(experiment, content.RUN_ID, run.id)
        if found is not None:
            return found
        data = {
            "experiment_id": experiment,
            "run_name": plain(run.name),
            "start_time": run.created_ms,
            "tags": [{"key": content.RUN_ID, "value": run.id}],
        }
        created: dict[str, Any] = self._server.call("POST", "runs/create", data)["run"]
        mine = str(created["info"]["run_id"])
        first = store.mirrored_as(run.id, TARGET, mine, instead_of=known)
        if first == mine:
            return created
        self._server.call("POST", "runs/delete", {"run_id": mine})
        return self._server.run(first)

    def _experiment(self, project: str) -> str | None:
        name = plain(cut(project, MAX_EXPERIMENT))
        if name not in self._experiments:
            found = self._server.experiment(name)
            if found is None:
                return None
            self._experiments[name] = found
        return self._experiments[name]

    def _set_status(self, run: RunInfo, info: Mapping[str, Any], external: str) -> None:
        status, end, name = content.status_of(run), content.end_ms(run), plain(run.name)
        same = info.get("status") == status and info.get("run_name") == name
        if same and (end is None or int(info.get("end_time") or 0) == end):
            return
        data: dict[str, object] = {"run_id": external, "status": status, "run_name": name}
        if end is not None:
            data["end_time"] = end
        self._server.call("POST", "runs/update", data)


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    tags: Sequence[Mapping[str, Any]] = found.get("data", {}).get("tags", [])
    return {str(tag["key"]): str(tag.get("value", "")) for tag in tags}


def _changes(
    found: Mapping[str, Any], tags: Mapping[str, str], subject: content.Subject, now_ms: int
) -> tuple[list[Metric], dict[str, str]]:
    """The metrics and tags that the MLflow run lacks."""
    there = _tags(found)
    numbers = {str(metric["key"]): metric["value"] for metric in found.get("data", {}).get("metrics", [])}
    # All at step 0: MLflow shows the value with the highest step, and a run may be resumed at a lower one.
    wanted = content.metrics_of(subject).items()
    metrics = [Metric(key, value, now_ms, 0) for key, value in wanted if numbers.get(key) != value]
    return metrics, {key: text for key, text in tags.items() if there.get(key) != plain(text)}
