"""What the economics of many runs are computed from. The number of statements does not depend on the number of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from monitor.domain import Checkpoint
from monitor.store.sql.schema import CHECKPOINTS, EVENTS, RUNS, SERIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts about one run that its list row does not contain.

    Attributes:
        begun_ms: when its attempt began.
        first_step: the attempt's first step; None before its first judged point.
        gpus: names of its machine's cards.
        bests: role (goal, val, train) -> best value of the current curve.
        goal_rises: True if the goal should rise.
    """

    begun_ms: int
    first_step: int | None = None
    gpus: tuple[str, ...] = ()
    bests: Mapping[str, float] = field(default_factory=dict)
    goal_rises: bool = False


def facts(connection: Connection, run_ids: Sequence[str]) -> dict[str, Facts]:
    """Facts about runs by id, including deleted ones."""
    columns = (RUNS.c.run_id, RUNS.c.created_ms, RUNS.c.attempt, RUNS.c.capture, RUNS.c.goal_rises, *_BESTS.values())
    found: dict[str, dict[str, Any]] = {}
    for row in connection.execute(select(*columns).where(RUNS.c.run_id.in_(run_ids))).mappings():
        bests = {role: row[column.key] for role, column in _BESTS.items() if row[column.key] is not None}
        found[row["run_id"]] = {
            "begun_ms": row["created_ms"], "gpus": _gpus(row["capture"]), "bests": bests,
            "goal_rises": bool(row["goal_rises"]), "attempt": row["attempt"],
        }  # fmt: skip
    _first_steps(connection, found)
    again = [run_id for run_id, row in found.items() if row.pop("attempt") > 1]
    if again:
        began = select(EVENTS.c.run_id, EVENTS.c.time_ms, EVENTS.c.data).where(
            EVENTS.c.run_id.in_(again), EVENTS.c.kind == "run"
        )
        for row in connection.execute(began.order_by(EVENTS.c.id)).mappings():
            if not row["data"].get("join"):
                found[row["run_id"]]["begun_ms"] = row["time_ms"]
    return {run_id: Facts(**row) for run_id, row in found.items()}


_BESTS = {"goal": RUNS.c.goal_best, "val": RUNS.c.val_best, "train": RUNS.c.train_best}


def _first_steps(connection: Connection, found: Mapping[str, dict[str, Any]]) -> None:
    query = select(SERIES.c.run_id, SERIES.c.attempt, SERIES.c.first_step, SERIES.c.cut_step).where(
        SERIES.c.run_id.in_(list(found)), SERIES.c.judged
    )
    for row in connection.execute(query).mappings():
        run = found[row["run_id"]]
        if row["attempt"] == run["attempt"]:
            first = row["first_step"] if run["attempt"] == 1 else row["cut_step"]
            known = run.get("first_step")
            run["first_step"] = first if known is None or (first is not None and first < known) else known


def _gpus(capture: object) -> tuple[str, ...]:
    names = capture.get("gpus") if isinstance(capture, Mapping) else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


def checkpoints(connection: Connection, run_ids: Sequence[str]) -> dict[str, tuple[Checkpoint, ...]]:
    """Run id -> the checkpoints that its loop saved, in the order reported."""
    columns = (CHECKPOINTS.c.run_id, CHECKPOINTS.c.step, CHECKPOINTS.c.path, CHECKPOINTS.c.time_ms)
    query = select(*columns).where(CHECKPOINTS.c.run_id.in_(run_ids)).order_by(CHECKPOINTS.c.run_id, CHECKPOINTS.c.id)
    found: dict[str, list[Checkpoint]] = {run_id: [] for run_id in run_ids}
    for run_id, step, path, time_ms in connection.execute(query):
        found[run_id].append(Checkpoint(step=step, path=path, time_ms=time_ms))
    return {run_id: tuple(saved) for run_id, saved in found.items()}
