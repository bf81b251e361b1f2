"""`should_stop()` for training loops that log with MLflow. It reads tags that the monitor sets on the run.

Example:
    import monitor.mlflow

    with mlflow.start_run():
        for epoch in range(100):
            mlflow.log_metric("val_loss", train_one_epoch(), step=epoch)
            if monitor.mlflow.should_stop():
                break
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from monitor.stop_modes import is_off

EVERY_S: Final = 1.0
"""Seconds for which MLflow's answer is reused."""
_OFF: Final = ("", "false", "0", "no")

_log = logging.getLogger(__name__)
_watches: dict[tuple[str, str], _Watch] = {}
_lock = threading.Lock()


def should_stop(run_id: str | None = None, *, wait_s: float = 1.0) -> bool:
    """Return True if the training should end: a stop is recommended, or a person asked for one.

    It reads the run's tags in MLflow, at most once a second, so it can be called at every step. A monitor that serves
    MLflow or mirrors to it sets `monitor.action` and `monitor.stop_requested`. A person may set `monitor.stop` in
    MLflow's own pages.

    It never raises once training has begun: while MLflow does not answer, its last answer holds. Under
    `MONITOR_STOP=off` it is always False.

    Args:
        run_id: the run's id in MLflow, or in the monitor; by default MLflow's active run.
        wait_s: most seconds to wait for an answer. While MLflow does not answer, it does not wait at all.

    Raises:
        SettingsError: no `run_id` is given, and no run is active.
    """
    import mlflow

    from monitor.settings import load

    if is_off(load().stop):
        return False
    if run_id is None:
        active = mlflow.active_run()
        if active is None:
            from monitor.errors import SettingsError

            raise SettingsError("run_id", "no run of MLflow is active", "pass should_stop(run_id)")
        run_id = str(active.info.run_id)
    place = (str(mlflow.get_tracking_uri()), run_id)
    with _lock:
        watch = _watches.setdefault(place, _Watch(*place))
    return watch.ask(wait_s)


class _Watch:
    """Reads the tags of one run in a thread, because MLflow's client retries for minutes when its server is gone."""

    def __init__(self, uri: str, run_id: str) -> None:
        self._uri, self._run_id = uri, run_id
        self._lock = threading.Lock()
        self._answered: threading.Event | None = None
        self._stop = False
        self._asked_s = float("-inf")
        self._trouble = False

    def ask(self, wait_s: float) -> bool:
        with self._lock:
            if self._answered is None and time.monotonic() - self._asked_s >= EVERY_S:
                self._answered = threading.Event()
                threading.Thread(target=self._work, args=(self._answered,), name="monitor-mlflow", daemon=True).start()
            answered = self._answered
        if answered is not None and not self._trouble and not answered.wait(wait_s):
            self._trouble = True
        return self._stop

    def _work(self, answered: threading.Event) -> None:
        try:
            self._stop = told(self._tags())
            self._trouble = False
        except Exception as error:  # whatever goes wrong, the training must continue
            if not self._trouble:
                _log.warning("MLflow does not say whether to stop run %s: %s", self._run_id, error)
            self._trouble = True
        finally:
            with self._lock:
                self._asked_s, self._answered = time.monotonic(), None
            answered.set()

    def _tags(self) -> Mapping[str, str]:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        client: Any = MlflowClient(self._uri)
        try:
            run = client.get_run(self._run_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            run = _mirror(client, self._run_id)
            if run is None:
                raise
            self._run_id = run.info.run_id
        tags: Mapping[str, str] = run.data.tags
        return tags


def told(tags: Mapping[str, str]) -> bool:
    """Whether a run's tags say that it should stop.

    If the run's mode keeps advice from the loop, the tag `monitor.would_stop_at` is set.

    >>> told({"monitor.action": "stop"}), told({"monitor.stop": "true"}), told({"monitor.action": "continue"})
    (True, True, False)
    >>> told({"monitor.action": "stop", "monitor.would_stop_at": "620"})
    False
    """
    asked = (tags.get("monitor.stop_requested", ""), tags.get("monitor.stop", ""))
    advised = tags.get("monitor.action") == "stop" and not tags.get("monitor.would_stop_at")
    return advised or any(text.strip().lower() not in _OFF for text in asked)


def _mirror(client: Any, run_id: str) -> Any:
    """The MLflow run that mirrors a monitor run; None if there is none yet."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments, f"tags.`monitor.run_id` = '{run_id}'", max_results=1) if experiments else []
    return found[0] if found else None
