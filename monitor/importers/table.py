"""A file as rows of named cells, before anybody knows what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeGuard

Cell = str | float | int | bool | None
Kind = Literal["csv", "jsonl", "keras", "trainer_state", "tensorboard", "scalars", "sacred", "pandas", "text"]
STEP_NAMES: Final = ("step", "global_step", "iteration", "iter", "_step", "batch", "n_iter", "update")
EPOCH_NAMES: Final = ("epoch", "epochs")
COUNTS: Final = frozenset((*STEP_NAMES, *EPOCH_NAMES))
"""Names of columns that count, in lower case."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        number: the line it begins on, from 1.
        cells: by column; a column that is missing here is not there.
    """

    number: int
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """A file's rows.

    Attributes:
        path: the file as the user named it.
        names: the columns, in the order in which they first appear.
        rows: the rows, in the file's order.
        header: True where the names are the file's first row.
        kind: what the file is.
        config: parameters of the training that the file holds beside its rows.
        torn: the last line, where its writer was killed in the middle of it; it is none of the rows. None where it is
            whole.
        left_out: what is no cell, such as a list of numbers for each class: by column what it holds.
    """

    path: str
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    header: bool = True
    kind: Kind = "csv"
    config: Mapping[str, object] = field(default_factory=dict)
    torn: int | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)


def is_cell(value: object) -> TypeGuard[Cell]:
    """True for one number, text, or nothing; False for a list or an object."""
    return value is None or isinstance(value, str | int | float)


def listed(names: Sequence[str]) -> str:
    """Columns as an error names them: the first few, each cut where it is long."""
    return ", ".join(f"{name:.60}" for name in names[:12])


def kind_of(value: object) -> str:
    """What JSON calls a value.

    >>> kind_of([1]), kind_of({}), kind_of(1.5), kind_of(None)
    ('list', 'object', 'number', 'null')
    """
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (list, "list"), (Mapping, "object"), (bool, "boolean"), ((int, float), "number"), (str, "text"),
    )  # fmt: skip
    return next((name for kind, name in names if isinstance(value, kind)), "null")
