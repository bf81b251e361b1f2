"""A file as rows of named cells, not yet interpreted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeGuard

from monitor.domain import inert
from monitor.importers.names import EPOCHS, counts, place
from monitor.importers.text_numbers import plain_numbers, plain_signs
from monitor.roles import NOTHING, Said, find

Cell = str | float | int | bool | None
_PARAMETERS: Final = frozenset({"config", "configuration", "args", "arguments", "params", "parameters", "hparams",
                               "hyperparameters", "settings", "hyper_parameters"})  # fmt: skip
"""Names that trainings give to their own parameters."""
Record = Mapping[str, object] | Mapping[object, object]
INDEX: Final = ""
"""The column that numbers the rows if no other does: the index of a data frame."""
TORN: Final = "is cut short; its writer was killed there"
_DECIMAL_COMMA: Final = re.compile(r"[-+]?\d*,\d+(e[-+]?\d+)?")
_PERCENT: Final = re.compile(r"([-+]?[\d.]+) ?%")
_REPR: Final = re.compile(r"(?:tensor|array|(?:np|numpy)\.(?:float|int)\d+)\(\[{0,2}([-+\w.]+)\]{0,2}[,)].*")
"""A number as printed by PyTorch and NumPy: "tensor(0.5, device='cuda:0')", "np.float32(0.5)"."""
_PLAIN: Final = re.compile(r"([-+]?[\d.]+(?:e[-+]?\d+)?|[-+]?(?:nan|inf))(?:\(ind\))?")
_BLANK: Final = frozenset({"", "-", "none", "null", "n/a", "na", "no log"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A note on something that is not stored, or on how it was interpreted.

    Attributes:
        place: the row, column or metric.
        reason: why, in a few words.
        broken: True if the source is damaged there; False if it is something that a store of curves does not keep.
    """

    place: str
    reason: str
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        number: the line on which it starts, from 1.
        cells: by column; missing columns have no cell.
    """

    number: int
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of a file.

    Attributes:
        path: the file as the user named it.
        names: the columns, in order of first appearance.
        rows: at least one row, in the file's order.
        header: True if the names are the file's first row.
        kind: the file's format.
        config: parameters of the training found next to the rows.
        notes: what was skipped, and why.
        run: the run's name, if the file holds several.
        said: what the user says about the columns.
    """

    path: str
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    header: bool = False
    kind: str = "csv"
    config: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[Skipped, ...] = ()
    run: str = ""
    said: Said = NOTHING

    def counts(self, name: str) -> bool:
        """True if a column counts steps or epochs, according to the user or by its name."""
        return counts(name) or name in (self.named(self.said.step), self.named(self.said.epoch))

    def of_epochs(self, name: str) -> bool:
        """True if a counting column counts epochs."""
        return place(name, EPOCHS) is not None or name == self.named(self.said.epoch)

    def named(self, wanted: str | None) -> str | None:
        """The column that a name refers to; None if there is none."""
        return None if wanted is None else find(wanted, self.names)


def table_of_records(
    path: str,
    records: Sequence[tuple[int, Record]],
    kind: str,
    *,
    config: Mapping[str, object] | None = None,
    notes: Sequence[Skipped] = (),
) -> Table | None:
    """Objects as rows, with nested names joined by `/`; None if there are no cells.

    Args:
        records: the objects, each with its row number.
        kind: the file's format.
    """
    names: dict[str, None] = {}
    odd: dict[str, str] = {}
    rows = []
    if len(records) > 1 and (settings := _settings(records[0][1])):
        config, records = {**(config or {}), **settings}, records[1:]
    for number, record in records:
        cells: dict[str, Cell] = {}
        for name, value in flat(record):
            if is_cell(value):
                cells[name] = value
            else:
                odd[name] = f"holds {kind_of(value)}s"
        names.update(dict.fromkeys(cells))
        rows.append(Row(number, cells))
    if not names:
        return None
    told = (*notes, *(Skipped(place=f"column {name!r:.60}", reason=what) for name, what in odd.items()))
    return Table(path=path, names=tuple(names), rows=tuple(rows), kind=kind, config=config or {}, notes=told)


def _settings(record: Record) -> dict[str, object]:
    """The parameters of a training, if they come before its rows as a record of their own."""
    inner = [value for value in record.values() if isinstance(value, Mapping)]
    if not record or len(inner) < len(record) or not all(str(name).lower() in _PARAMETERS for name in record):
        return {}
    return {str(name): value for each in inner for name, value in each.items()}


def flat(data: Record) -> Iterator[tuple[str, object]]:
    """Names and values in order; nested names are joined by `/`, at any depth."""
    waiting: list[tuple[str, Iterator[tuple[object, object]]]] = [("", iter(data.items()))]
    while waiting:
        prefix, items = waiting[-1]
        for name, value in items:
            if isinstance(value, Mapping):
                waiting.append((f"{prefix}{name}/", iter(value.items())))
                break
            yield f"{prefix}{name}", value
        else:
            waiting.pop()


def is_cell(value: object) -> TypeGuard[Cell]:
    """True for a number, a text or None; False for a list or an object."""
    return value is None or isinstance(value, str | int | float)


def is_number(value: object) -> TypeGuard[float]:
    """True for a number that fits into a float; booleans do not count."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 2**63
    return isinstance(value, float)


def cell_number(cell: Cell) -> float | None:
    """A cell as a number; None if it is blank.

    >>> cell_number("1e-3"), cell_number("-inf"), cell_number(" "), cell_number("1,5"), cell_number("40/100")
    (0.001, -inf, None, 1.5, 40.0)
    """
    if cell is None:
        return None
    if isinstance(cell, bool):
        raise ValueError(f"is not a number: {cell}")
    if isinstance(cell, int | float):
        return float(cell)
    try:
        if "_" in cell:  # float() would accept 1_000
            raise ValueError
        return float(cell)
    except ValueError:
        low = cell.strip().lower()
    if low in _BLANK:
        return None
    return _spelt(low)


def _spelt(text: str) -> float:
    """A number as printed by people and libraries: "0,5", "40/100", "98.5%", "tensor(0.5)"."""
    done, slash, of = text.partition("/")
    if slash and done.isdecimal() and of.isdecimal():
        return float(done)
    text = plain_signs(text)
    if _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    text = plain_numbers(text)
    printed = _PERCENT.fullmatch(text) or _REPR.fullmatch(text) or _PLAIN.fullmatch(text)
    if printed is not None and "_" not in printed[1]:
        try:
            return float(printed[1])
        except ValueError:
            pass
    raise ValueError(f"is not a number: {text!r:.60}")


def number_in(cell: Cell) -> float:
    """A cell as a number; NaN if it is not one."""
    try:
        found = float(cell) if isinstance(cell, bool) else cell_number(cell)
    except (ValueError, OverflowError):
        return math.nan
    return math.nan if found is None else found


def listed(names: Sequence[str]) -> str:
    """Column names for an error, in one line: the first few, long ones cut."""
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(inert(f"{name:.60}") for name in names[:12]) + more


def kind_of(value: object) -> str:
    """The JSON type of a value.

    >>> kind_of([1]), kind_of({}), kind_of(1.5), kind_of(None)
    ('list', 'object', 'number', 'null')
    """
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (list, "list"), (Mapping, "object"), (bool, "boolean"), ((int, float), "number"), (str, "text"),
    )  # fmt: skip
    return next((name for kind, name in names if isinstance(value, kind)), "null")
