"""`monitor.diagnose`: diagnoses curves, or a table whose columns are recognised by name as in a file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, Protocol, cast, runtime_checkable

from monitor.domain import Diagnosis
from monitor.errors import FileUnreadable, RulesError
from monitor.importers.curves import curves_of_run
from monitor.importers.judging import judge
from monitor.importers.rows import run_of_table
from monitor.importers.shapes import curves_in
from monitor.importers.table import INDEX, Cell, Row, Table, is_number
from monitor.roles import Role, read
from monitor.rules import RulesConfig
from monitor.rules import diagnose as diagnose_curves
from monitor.rules.replay import LossSpec, Series, known_loss

_JUDGED: Final = frozenset({Role.TRAIN, Role.VAL, Role.GOAL})
_FIX: Final = "pass its columns, such as diagnose(table['a'], table['b'])"


@runtime_checkable
class Frame(Protocol):
    """A data frame of pandas, Polars or the like."""

    columns: Iterable[object]

    def __getitem__(self, name: object) -> Iterable[object]:
        """A column."""


def diagnose(
    train: Series | Frame | Mapping[str, Iterable[object]],
    val: Series | None = None,
    *,
    loss: LossSpec | Mapping[str, object] | None = None,
    unit: str | None = None,
    grad_norm: Series | None = None,
    lr: Series | None = None,
    parts: Mapping[str, Series] | None = None,
    weights: Mapping[str, Series | float] | None = None,
    run_config: Mapping[str, object] | None = None,
    goal: Series | None = None,
    goal_name: str = "goal",
    goal_rises: bool = True,
    config: RulesConfig | None = None,
) -> Diagnosis:
    """Diagnose curves, as if they were logged now.

    Args:
        train: the training loss. This and the other arguments are those of `monitor.rules.diagnose`. As the only curve
            it may also be a data frame, a named column, or a dictionary of lists such as Keras' `history.history`,
            whose names are read as in a file. NaN between the numbers of a column is a missing value; NaN up to its end
            was logged.
        unit: what a step is, "step" or "epoch"; None: decided by the names, else "step".

    Raises:
        LossError: `loss` is neither a specification nor a mapping.
        RulesError: a series does not have the shape (n, 2) or is not numeric; or no column of a table is a loss or a
            goal.

    Example:
        >>> history = {"loss": [1 / (1 + i / 5) for i in range(40)], "val_loss": [1.1 / (1 + i / 5) for i in range(40)]}
        >>> diagnose(history).counts.val
        40
    """
    given = (val, grad_norm, lr, parts, goal)
    names = _names(train) if all(each is None for each in given) else None
    if names is not None and (isinstance(train, Mapping) or _named(names)):
        run = run_of_table(_one(_table(train, names)), place="", name="table", written_ms=0)
        run = run if run_config is None else replace(run, config=run_config)
        numbers = {name: float(w) for name, w in (weights or {}).items() if isinstance(w, int | float)}
        try:
            curves_of_run(run)
        except FileUnreadable:
            raise RulesError("table", f"names no loss and no goal among: {', '.join(names)[:200]}", _FIX) from None
        return judge(run, config=config, loss=known_loss(loss), unit=unit, weights=numbers)
    return diagnose_curves(
        cast("Series", train), val, loss=loss, unit=unit or "step", grad_norm=grad_norm, lr=lr, parts=parts,
        weights=weights, run_config=run_config, goal=goal, goal_name=goal_name, goal_rises=goal_rises, config=config,
    )  # fmt: skip


def _names(data: object) -> list[str] | None:
    """The column names of a table; None for anything else."""
    if isinstance(data, Mapping):
        return [str(name) for name in data]
    if isinstance(data, Frame):
        return [" ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in data.columns]
    name = getattr(data, "name", None)  # a single column
    return [name] if isinstance(name, str) and hasattr(data, "__len__") else None


def _named(names: list[str]) -> bool:
    return not _JUDGED.isdisjoint(read(names).judged)


def _table(data: object, names: list[str]) -> Table:
    """The rows of a table; of a data frame, with its index."""
    if isinstance(data, Mapping | Frame):
        keys = list(data) if isinstance(data, Mapping) else list(data.columns)
        columns = {name: _cells(data[key]) for name, key in zip(names, keys, strict=True)}
    else:
        columns = {names[0]: _cells(data)}
    index = getattr(data, "index", None)
    if index is not None and not callable(index):
        columns = {INDEX: _cells(index), **columns}
    length = max(map(len, columns.values()), default=0)
    rows = tuple(
        Row(i + 1, {name: cells[i] for name, cells in columns.items() if i < len(cells)}) for i in range(length)
    )
    if not rows:
        raise RulesError("table", "holds no rows", _FIX)
    return Table(path="table", names=tuple(columns), rows=rows, kind="frame")


def _cells(column: object) -> list[Cell]:
    found = getattr(column, "tolist", None) or getattr(column, "to_list", None)
    values: Iterable[object] = found() if found is not None else column if isinstance(column, Iterable) else ()
    cells: list[Cell] = [value if is_number(value) else _scalar(value) for value in values]
    last = max((i for i, cell in enumerate(cells) if is_number(cell) and not math.isnan(cell)), default=-1)
    missing = any(is_number(cell) and math.isnan(cell) for cell in cells[: last + 1])
    return [None if missing and is_number(cell) and math.isnan(cell) else cell for cell in cells]


def _scalar(value: object) -> float | None:
    """A NumPy scalar or a one-element tensor as a number; None for anything else."""
    number = getattr(value, "__float__", None)
    return float(number()) if number is not None and getattr(value, "ndim", 0) == 0 else None


def _one(table: Table) -> Table:
    found = curves_in(table)
    if len(found) > 1:
        labels = ", ".join(each.run for each in found[:3])
        raise RulesError("table", f"holds {len(found)} runs, such as {labels}", "pass the rows of one of them")
    return found[0]
