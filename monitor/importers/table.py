"""A file as rows of named cells, before anybody knows what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Cell = str | float | int | bool | None


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
    """

    path: str
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    header: bool = True
    kind: Literal["csv", "jsonl", "keras", "trainer_state", "tensorboard"] = "csv"
    config: Mapping[str, object] = field(default_factory=dict)
    torn: int | None = None
