"""Assigns roles to a run's series. All names are read together whenever a new one appears."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import bindparam, select

from monitor.roles import Reading, Role, Said, read
from monitor.store.points.series import SeriesState
from monitor.store.sql.link import Link, Row, Statement
from monitor.store.sql.schema import SERIES

JUDGED: Final = (Role.TRAIN, Role.VAL, Role.GOAL, Role.GRAD_NORM, Role.LR)
"""Roles that the engine judges, by one series each."""
SUMMARISED: Final = (Role.TRAIN, Role.VAL, Role.GOAL)
"""Roles whose last and best values are columns of the run's row."""

_NAMES: Final = Statement(
    select(SERIES.c.series, SERIES.c.key, SERIES.c.role, SERIES.c.judged)
    .where(SERIES.c.run_id == bindparam("run"))
    .order_by(SERIES.c.series)
)
_MOVE: Final = Statement(
    SERIES.update()
    .where(SERIES.c.run_id == bindparam("in_run"), SERIES.c.series == bindparam("in_series"))
    .values(role=bindparam("now_role"), judged=bindparam("now_judged"))
)
_SUMMARIES: Final = Statement(
    select(*(SERIES.c[name] for name in ("role", "last", "min", "min_step", "max", "max_step"))).where(
        SERIES.c.run_id == bindparam("run"), SERIES.c.judged
    )
)


def number(
    link: Link, run_id: str, fresh: Sequence[str], attempt: int, known: dict[str, SeriesState], said: Said
) -> tuple[Reading, bool]:
    """Number new series, and read the names of all series of the run together.

    Args:
        fresh: the new series, in the order in which they appeared.
        known: the stored series of the batch; the new ones are added.

    Returns:
        The reading, and whether it changed the roles of existing series.
    """
    before = link.ask(_NAMES, {"run": run_id}).all()
    reading = read([*(str(row["key"]) for row in before), *fresh], said)
    for number, key in enumerate(fresh, start=len(before) + 1):
        role, judged = _role(reading, key)
        known[key] = SeriesState(
            series=number, key=key, role=role, judged=judged, attempt=attempt, cut_step=2**63 - 1, attempts=0
        )
    return reading, _move(link, run_id, before, known, reading)


def reread(link: Link, run_id: str, said: Said) -> tuple[Reading, bool]:
    """Read the names of the stored series again, because the user says something new about them."""
    before = link.ask(_NAMES, {"run": run_id}).all()
    reading = read([str(row["key"]) for row in before], said)
    return reading, _move(link, run_id, before, {}, reading)


def _move(link: Link, run_id: str, before: Sequence[Row], known: Mapping[str, SeriesState], reading: Reading) -> bool:
    """Give stored series their roles according to a reading. Returns whether any role changed."""
    changed = []
    for row in before:
        key = str(row["key"])
        role, judged = _role(reading, key)
        if (role, judged) == (row["role"], bool(row["judged"])):
            continue
        changed.append({"in_run": run_id, "in_series": row["series"], "now_role": role, "now_judged": judged})
        if key in known:
            known[key].role, known[key].judged = role, judged
    if changed:
        link.tell(_MOVE, *changed)
    return bool(changed)


def _role(reading: Reading, key: str) -> tuple[str, bool]:
    role = reading.roles[key]
    return str(role), role in JUDGED and reading.judged.get(role) == key


def summary_of(role: Role, row: Mapping[str, object] | None, *, rises: bool = False) -> dict[str, object]:
    """The columns of the run's row that summarise a judged series.

    Args:
        row: the summary of the series; None if no series has the role any more.
        rises: True if the best value is the highest.
    """
    known, best = row or {}, "max" if rises else "min"
    values = (known.get("last"), known.get(best), known.get(f"{best}_step"))
    return dict(zip((f"{role}_last", f"{role}_best", f"{role}_best_step"), values, strict=True))


def summaries(link: Link, run_id: str, *, rises: bool) -> dict[str, object]:
    """`summary_of` for all roles, from the series that are now judged."""
    found = {str(row["role"]): row for row in link.ask(_SUMMARIES, {"run": run_id}).all()}
    columns: dict[str, object] = {}
    for role in SUMMARISED:
        columns |= summary_of(role, found.get(str(role)), rises=rises and role is Role.GOAL)
    return columns
