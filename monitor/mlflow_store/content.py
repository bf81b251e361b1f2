"""What a run looks like in MLflow: its parameters, metrics and tags, within MLflow's limits; pure.

Limits: `mlflow/utils/validation.py` of MLflow 3.17.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from monitor.domain import RunInfo, RunStatus, SeriesInfo, whole
from monitor.roles import Role

MAX_KEY: Final = 250
MAX_PARAM: Final = 6000
MAX_TAG: Final = 8000
MAX_EXPERIMENT: Final = 500
_ROOM: Final = len(".non_finite")
_BAD: Final = re.compile(r"[^/\w.\- :]")

STATUS: Final[Mapping[RunStatus, str]] = {
    RunStatus.RUNNING: "RUNNING",
    RunStatus.STALLED: "RUNNING",
    # Not "RUNNING", which would stay for ever; a run that comes back is set to running again.
    RunStatus.LOST: "KILLED",
    RunStatus.FINISHED: "FINISHED",
    # It did what it was told and has a best step; that is no failure.
    RunStatus.STOPPED: "FINISHED",
    RunStatus.FAILED: "FAILED",
}


def end_ms(run: RunInfo) -> int | None:
    """When the run ended, or was last heard of if it is lost; None while it runs."""
    if STATUS[run.status] == "RUNNING":
        return None
    return run.finished_ms or run.heartbeat_ms or run.last_point_ms or run.created_ms


def params_of(config: Mapping[str, object]) -> dict[str, str]:
    """The configuration, flattened with dots; lists are JSON; what is too long is cut and ends in "…".

    >>> params_of({"model": {"depth": 3, "act": "relu"}, "lr schedule": [1, 2], "p(drop)": None})
    {'model.depth': '3', 'model.act': 'relu', 'lr schedule': '[1, 2]', 'p_drop_': 'None'}
    """
    found: dict[str, str] = {}
    for path, value in _leaves("", config):
        key = free(safe_key(path), found)
        found[key] = cut(value if isinstance(value, str) else _text(value), MAX_PARAM)
    return found


def metrics_of(series: Iterable[SeriesInfo], now_ms: int) -> list[dict[str, object]]:
    """Last and best values: of a loss `<key>`, `<key>.best` at the step of the best, and `<key>.best_step`.

    A series that is no loss has `<key>.min` and `<key>.max` in place of a best, because which one is good is unknown; a
    learning rate, a gradient norm or a measurement of the machine has its last value alone. Values are over finite
    points; `<key>.non_finite` counts the others where there are any.

    Args:
        series: the run's series; one without a finite value gives nothing.
        now_ms: time stamp of metrics whose series has none.
    """
    metrics: dict[str, dict[str, object]] = {}
    infos = list(series)
    names: dict[str, str] = {}
    for info in infos:
        names[free(safe_key(info.key, room=_ROOM), names)] = info.key

    def add(name: str, value: float | None, step: int | None, info: SeriesInfo) -> None:
        if value is not None:
            time_ms = info.last_time_ms or now_ms
            metrics[name] = {"key": name, "value": value, "timestamp": time_ms, "step": step or 0}

    for info, name in zip(infos, names, strict=True):
        extremes = _extremes(info)
        # A series that the user called `val/loss.best` keeps its name, and ours yields.
        for suffix, (value, step) in extremes.items():
            add(free(name + suffix, names), value, step, info)
        add(name, info.last, info.last_step, info)
    return list(metrics.values())


def _extremes(info: SeriesInfo) -> dict[str, tuple[float | None, int | None]]:
    broken = info.nan_count + info.inf_count
    return _best(info) | ({".non_finite": (broken, info.last_step)} if broken else {})


def _best(info: SeriesInfo) -> dict[str, tuple[float | None, int | None]]:
    if info.role in (Role.TRAIN, Role.VAL, Role.PART):
        return {".best": (info.min, info.min_step), ".best_step": (info.min_step, info.min_step)}
    if info.role is Role.UNMAPPED:
        return {".min": (info.min, info.min_step), ".max": (info.max, info.max_step)}
    return {}


def tags_of(run: RunInfo) -> dict[str, str]:
    """The run's own tags, and the verdict under `monitor.…`; what is unknown is "", so that an old value goes."""
    rec = run.recommendation
    ours = {
        "monitor.run_id": run.id,
        "monitor.project": run.project,
        "monitor.group": run.group,
        "monitor.status": run.status,
        "monitor.verdict": run.verdict,
        "monitor.headline": run.headline,
        "monitor.action": rec.action,
        "monitor.reason": rec.reason,
        "monitor.best_step": whole(rec.best_step),
        "monitor.best_val_loss": rec.best_val_loss,
        "monitor.first_stop_step": whole(rec.first_stop_step),
        "monitor.stop_step": whole(rec.stop_step),
        "monitor.stop_requested": run.stop_requested,
        "monitor.attempt": run.attempt,
        "monitor.error": run.error,
    }
    tags = {safe_key(key): cut(str(value), MAX_TAG) for key, value in run.tags.items()}
    return tags | {key: "" if value is None else cut(str(value), MAX_TAG) for key, value in ours.items()}


def safe_key(key: str, *, room: int = 0) -> str:
    """A name that MLflow takes: its characters, no path that could be written otherwise, at most 250 of them.

    Args:
        key: the name.
        room: characters to leave free at the end.

    >>> [safe_key(k) for k in ("val/loss", "acc@5", "/a//b/", "..")]
    ['val/loss', 'acc_5', 'a.b', '_']
    """
    name = _BAD.sub("_", key)
    if name != posixpath.normpath(name) or name.startswith(("/", "..")) or name in ("", "."):
        name = re.sub(r"[/.]*/[/.]*", ".", name).strip("./") or "_"
    return name[: MAX_KEY - room].rstrip("/") or "_"


def free(key: str, taken: Mapping[str, object]) -> str:
    """The key, or the first of `key_2`, `key_3`, … that is not taken."""
    if key not in taken:
        return key
    n = 2
    while f"{key[: MAX_KEY - 16]}_{n}" in taken:
        n += 1
    return f"{key[: MAX_KEY - 16]}_{n}"


def cut(text: str, limit: int) -> str:
    """The text, cut to the limit with "…" at its end."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _leaves(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), inner)
    elif prefix:
        yield prefix, value


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, list | tuple | Mapping) else str(value)
