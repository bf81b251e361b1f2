"""Curves from a file, whose kind is told by its content, each column taken by its name.

Columns named `step`, `iteration`, `global_step`, `batch` or `epoch` count the steps; losses, the gradient norm and the
learning rate are found by the names in `roles`. A blank cell is a point that was not logged. NaN and infinities are
points.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from monitor.errors import FileUnreadable, NoHistory
from monitor.importers.csv import read_csv
from monitor.importers.documents import read_json
from monitor.importers.table import EPOCH_NAMES, STEP_NAMES, Cell, Row, Table, listed
from monitor.importers.tensorboard import is_event_file, read_events
from monitor.roles import Reading, Role, read, role_of

SIDE_NAMES: Final = frozenset(
    {"time", "timestamp", "wall_time", "time_ms", "date", "_timestamp", "_runtime", "runtime"}
)
_BLANK: Final = frozenset({"", "-", "none", "null", "n/a", "na"})
_SPECIAL: Final = {
    "nan": math.nan,
    "inf": math.inf,
    "+inf": math.inf,
    "infinity": math.inf,
    "+infinity": math.inf,
    "-inf": -math.inf,
    "-infinity": -math.inf,
    "1.#inf": math.inf,
    "-1.#inf": -math.inf,
    "1.#qnan": math.nan,
    "1.#ind": math.nan,
    "-1.#ind": math.nan,
    "-nan": math.nan,
}
TORN: Final = "is cut short; its writer was killed there"
Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """What a file holds, as `monitor.diagnose` takes it.

    Attributes:
        train: float64 (n, 2), steps and training losses, in the file's order.
        val: float64 (m, 2), steps and validation losses; None where the file has none.
        unit: what the steps count, "step" or "epoch", by the name of the column.
        grad_norm: float64 (k, 2), or None.
        lr: float64 (k, 2), or None.
        parts: of a composite loss, columns named `loss/<part>`: by the part, float64 (k, 2).
        unmapped: columns of numbers that no role fits, in the file's order.
        columns: by role, the column it was taken from.
        left_out: what the file holds beside and is not read, a phrase each.
        goal: the metric that the training is for, float64 (k, 2), or None.
        reading: what the names were taken for.
    """

    train: Series
    val: Series | None
    unit: Literal["step", "epoch"]
    grad_norm: Series | None = None
    lr: Series | None = None
    parts: Mapping[str, Series] = field(default_factory=dict)
    unmapped: tuple[str, ...] = ()
    columns: Mapping[Role, str]
    left_out: tuple[str, ...] = ()
    goal: Series | None = None
    reading: Reading = field(default_factory=Reading)


def read_curves(path: str | Path) -> Curves:
    """Read the curves of a file.

    Args:
        path: CSV (comma, semicolon or tab), JSONL with one object a line, a Keras history as JSON, a Hugging Face
            `trainer_state.json` or a TensorBoard event file.

    Raises:
        FileUnreadable: the file, the row and what is wrong there.
    """
    return curves_of(read_table(Path(path)))


def read_table(path: Path) -> Table:
    """Read a file as a table, by what it begins with.

    Raises:
        FileUnreadable: it cannot be opened, is empty, or is no text.
    """
    name = str(path)
    try:
        if is_event_file(path) and path.is_file():
            return read_events([path], name)
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileUnreadable(name, "", "no such file") from None
    except IsADirectoryError:
        raise FileUnreadable(name, "", "is a folder") from None
    except OSError as error:
        raise FileUnreadable(name, "", error.strerror or str(error)) from None
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise FileUnreadable(name, f"row {row}", f"is not text in UTF-8 (byte {error.start})") from None
    if "\0" in text:
        raise FileUnreadable(name, f"row {text[: text.index(chr(0))].count(chr(10)) + 1}", "is not text") from None
    if not text.strip():
        raise FileUnreadable(name, "", "is empty")
    if text.lstrip()[0] not in "{[":
        return read_csv(name, text)
    return read_json(name, text)


def curves_of(table: Table) -> Curves:
    """Take the curves out of a table.

    Raises:
        FileUnreadable: there is no column of losses, or a cell is no number.
    """
    step, unit = _step_column(table.names)
    aside = {step, *(name for name in table.names if name.lower() in (*STEP_NAMES, *EPOCH_NAMES, *SIDE_NAMES))}
    reading = read(name for name in table.names if name not in aside and _may_be_judged(table.rows, name))
    chosen = reading.judged
    parts = [name for name, role in reading.roles.items() if role is Role.PART]
    judged = {*chosen.values(), *parts}
    unmapped = [name for name in reading.roles if name not in judged]
    if chosen.keys().isdisjoint((Role.TRAIN, Role.VAL, Role.GOAL)):
        known = listed(table.names)
        raise NoHistory(table.path, f"no column of losses among: {known}", "row 1" if table.header else "")
    series = {role: _series(table, step, name) for role, name in chosen.items()}
    return Curves(
        train=series.get(Role.TRAIN, np.empty((0, 2))),
        val=series.get(Role.VAL),
        unit=unit,
        grad_norm=series.get(Role.GRAD_NORM),
        lr=series.get(Role.LR),
        parts={name[len("loss/") :]: _series(table, step, name) for name in parts},
        unmapped=tuple(unmapped),
        columns=chosen,
        left_out=left_out_of(table),
        goal=series.get(Role.GOAL),
        reading=reading,
    )


def left_out_of(table: Table) -> tuple[str, ...]:
    """What of a table is no cell, and where its writer was killed, a phrase each."""
    said = [f"column {name!r:.60} {what}" for name, what in table.left_out.items()]
    return (*said, *([f"row {table.torn} {TORN}"] if table.torn is not None else []))


def cell_number(cell: Cell) -> float | None:
    """A cell as a number; None where it is blank.

    >>> cell_number("1e-3"), cell_number("-inf"), cell_number(" "), cell_number("1,5")
    (0.001, -inf, None, 1.5)

    Raises:
        ValueError: it is no number.
    """
    if cell is None:
        return None
    if isinstance(cell, bool):
        raise ValueError(f"is no number: {cell}")
    if isinstance(cell, int | float):
        return float(cell)
    text = cell.strip()
    low = text.lower()
    if low in _BLANK:
        return None
    if low in _SPECIAL:
        return _SPECIAL[low]
    if "_" in text:  # float() takes 1_000
        raise ValueError(f"is no number: {text!r:.60}")
    try:
        return float(text)
    except ValueError:
        if text.count(",") == 1 and "." not in text:
            return cell_number(text.replace(",", "."))
        raise ValueError(f"is no number: {text!r:.60}") from None


def _step_column(names: Sequence[str]) -> tuple[str | None, Literal["step", "epoch"]]:
    by_name = {name.strip().lower(): name for name in reversed(names)}
    for wanted in STEP_NAMES:
        if wanted in by_name:
            return by_name[wanted], "step"
    for wanted in EPOCH_NAMES:
        if wanted in by_name:
            return by_name[wanted], "epoch"
    return None, "step"


def _series(table: Table, step: str | None, name: str) -> Series:
    found: list[tuple[float, float]] = []
    for i, row in enumerate(table.rows):
        value = _cell(table, row, name)
        if value is None:
            continue
        at = float(i) if step is None else _cell(table, row, step)
        if at is None or not math.isfinite(at):
            raise FileUnreadable(
                table.path, f"row {row.number}", f"column {step!r:.60} is blank, but {name!r:.60} is not"
            )
        found.append((at, value))
    return np.array(found, "f8").reshape(-1, 2)


def _cell(table: Table, row: Row, name: str) -> float | None:
    try:
        return cell_number(row.cells.get(name))
    except (ValueError, OverflowError) as error:
        raise FileUnreadable(table.path, f"row {row.number}", f"column {name!r:.60} {error}") from None


def _may_be_judged(rows: Iterable[Row], name: str) -> bool:
    """True for a column of numbers, and for one that is called a loss: what it holds instead is an error."""
    return role_of(name) in (Role.TRAIN, Role.VAL) or _numeric(rows, name)


def _numeric(rows: Iterable[Row], name: str) -> bool:
    """True where the first cell of a column that is not blank is a number."""
    for row in rows:
        try:
            if cell_number(row.cells.get(name)) is not None:
                return True
        except (ValueError, OverflowError):
            return False
    return False
