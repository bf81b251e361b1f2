"""Reads a user's table as inputs and targets: CSV with the standard library, Parquet with pyarrow."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.errors import LossError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVELS = 20
"""Text columns with at most this many different values are one-hot encoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserData:
    """A table, ready for training.

    Attributes:
        inputs: float64 (n, d).
        targets: (n,), numbers or text labels.
        said: what was dropped or filled in, one sentence each.
    """

    inputs: NDArray[np.float64]
    targets: NDArray[np.generic]
    said: tuple[str, ...]


def read_table(path: str, target: str | None) -> UserData:
    """Read a file with one column as the target.

    Text columns are one-hot encoded, missing numbers become the median, and rows without a target are dropped.

    Raises:
        LossError: the file cannot be read, or has no such column or no usable inputs.
    """
    import numpy as np

    columns = _columns(Path(path))
    if target is None or target not in columns:
        problem = "no target is named" if target is None else f"it has no column {target}"
        raise LossError(path, problem, f"write --target, one of {', '.join(list(columns)[:12])}")
    wanted = [value not in ("", None) for value in columns[target]]
    said = [] if all(wanted) else [f"{wanted.count(False)} rows without a {target} are left out."]
    found: list[NDArray[np.float64]] = []
    for name, values in columns.items():
        if name != target:
            made, more = _inputs(name, [v for v, keep in zip(values, wanted, strict=True) if keep])
            found += made
            said += more
    if not found:
        raise LossError(path, "no column of numbers or of few words is left", "give at least one input")
    kept = [value for value, keep in zip(columns[target], wanted, strict=True) if keep]
    return UserData(inputs=np.column_stack(found), targets=_targets(kept), said=tuple(said))


def _columns(path: Path) -> Mapping[str, Sequence[object]]:
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return _parquet(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            sample = file.read(8192)
            file.seek(0)
            comma = max(",;\t", key=sample.splitlines()[0].count) if sample.strip() else ","
            rows = list(csv.DictReader(file, delimiter=comma))
    except OSError as error:
        raise LossError(str(path), (error.strerror or str(error)).lower(), "name a CSV or Parquet file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LossError(str(path), f"it is not a CSV file ({error})", "name a CSV or Parquet file") from error
    if not rows:
        raise LossError(str(path), "it has no rows", "give a header and at least 30 rows")
    return {name: [row[name] for row in rows] for name in rows[0] if name is not None}


def _parquet(path: Path) -> Mapping[str, Sequence[object]]:
    try:
        from pyarrow import ArrowException, parquet  # type: ignore[import-untyped]  # it has no stubs
    except ImportError as error:
        raise LossError(str(path), "pyarrow is not installed", "pip install pyarrow, or give a CSV file") from error
    try:
        found: Mapping[str, Sequence[object]] = parquet.read_table(path).to_pydict()
    except ArrowException as error:
        raise LossError(
            str(path), f"it is not a Parquet file ({str(error).splitlines()[0][:80]})", "check it"
        ) from error
    return found


def _numbers(values: Sequence[object]) -> list[float] | None:
    """The values as floats, NaN for missing ones; None if a value is text."""
    found = []
    for value in values:
        try:
            found.append(float("nan") if value in ("", None) else float(str(value)))
        except ValueError:
            if str(value).strip().lower() not in ("na", "null", "none"):
                return None
            found.append(float("nan"))
    return found


def _inputs(name: str, values: Sequence[object]) -> tuple[list[NDArray[np.float64]], list[str]]:
    """The input columns made from one column, and remarks about it."""
    import numpy as np

    numbers = _numbers(values)
    if numbers is not None:
        column = np.array(numbers, dtype=np.float64)
        missing = ~np.isfinite(column)
        if missing.all():
            return [], [f"{name} is left out: it has no number."]
        if missing.any():
            column[missing] = np.median(column[~missing])
            return [column], [f"{int(missing.sum())} missing numbers of {name} are its median."]
        return [column], []
    words = sorted({str(value) for value in values})
    if len(words) > LEVELS:
        return [], [f"{name} is left out: it has {len(words)} different words."]
    return [np.array([float(str(value) == word) for value in values]) for word in words], []


def _targets(values: Sequence[object]) -> NDArray[np.generic]:
    import numpy as np

    numbers = _numbers(values)
    if numbers is None:
        return np.array([str(value) for value in values])
    column = np.array(numbers)
    whole = np.isfinite(column).all() and np.all(column == np.round(column)) and "." not in "".join(map(str, values))
    return column.astype(np.int64) if whole else column
