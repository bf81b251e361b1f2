"""Reads a user's table as inputs and targets: CSV with the standard library, Parquet with pyarrow."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.errors import FileUnreadable, LossError
from monitor.files import RECORDS, content

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVELS = 20
"""Text columns with at most this many different values are one-hot encoded."""
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
"""Spellings of a missing value, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserData:
    """A table, ready for training.

    Attributes:
        inputs: float64 (n, d).
        targets: (n,), numbers or text labels; (n, k) numbers for several columns.
        said: what was dropped or filled in, one sentence each.
    """

    inputs: NDArray[np.float64]
    targets: NDArray[np.generic]
    said: tuple[str, ...]


def read_table(path: str, target: str | None) -> UserData:
    """Read a file with one column as the target, or several, separated by commas.

    Text columns are one-hot encoded, dates become days, missing numbers become the median, and rows without a target
    are dropped.

    Raises:
        LossError: the file cannot be read, or has no such column or no usable inputs.
    """
    import numpy as np

    columns, said = _columns(Path(path))
    named = _targeted(path, target, columns)
    wanted = [not any(map(_missing, row)) for row in zip(*(columns[name] for name in named), strict=True)]
    if not all(wanted):
        said.append(f"{wanted.count(False)} rows without {target} are left out.")
    found: list[NDArray[np.float64]] = []
    for name, values in columns.items():
        if name in ("", "__index_level_0__"):
            said.append("A column without a name is left out: it numbers the rows.")
        elif name not in named:
            made, more = _inputs(name, [v for v, keep in zip(values, wanted, strict=True) if keep])
            found += made
            said += more
    if not found:
        raise LossError(path, "no column of numbers or of few words is left", "give at least one input")
    kept = [[value for value, keep in zip(columns[name], wanted, strict=True) if keep] for name in named]
    if len(named) == 1:
        return UserData(inputs=np.column_stack(found), targets=_targets(kept[0]), said=tuple(said))
    numbers = [_numbers(values) for values in kept]
    if words := [name for name, values in zip(named, numbers, strict=True) if values is None]:
        raise LossError(path, f"{words[0]} is not a column of numbers", "name one target, or several of numbers")
    return UserData(inputs=np.column_stack(found), targets=np.array(numbers).T, said=tuple(said))


def _targeted(path: str, target: str | None, columns: Mapping[str, Sequence[object]]) -> list[str]:
    """The columns that are the target.

    Raises:
        LossError: there is no such column, or several have its name.
    """
    known = f"write --target, one of {', '.join(list(columns)[:12])}"
    if target is None:
        raise LossError(path, "no target is named", known)
    named = [target] if target in columns else [part.strip() for part in target.split(",")]
    for name in named:
        if name not in columns:
            raise LossError(path, f"it has no column {name}", known)
        if f"{name} (2)" in columns:
            raise LossError(path, f"several columns are named {name}", "rename all but the target")
    return named


def _columns(path: Path) -> tuple[Mapping[str, Sequence[object]], list[str]]:
    """The columns by name, and notes on the file."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return _parquet(path), []
    try:
        text, said = _text(content(path, stream=True))
        comma = max(",;\t", key=text.partition("\n")[0].count)
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=comma) if row]
    except FileUnreadable as error:
        raise LossError(str(path), error.problem, "name a CSV or Parquet file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LossError(str(path), f"it is not a CSV file ({error})", "name a CSV or Parquet file") from error
    if len(rows) < 2:
        raise LossError(str(path), "it has no rows", "give a header and at least 30 rows")
    names, more = _named(rows[0])
    whole = [row for row in rows[1:] if len(row) == len(names)]
    if len(whole) < len(rows) - 1:
        more.append(f"{len(rows) - 1 - len(whole)} rows with more or fewer values than the header are left out.")
    if not whole:
        raise LossError(str(path), "no row has as many values as the header", "check its separators")
    decimal = "," if comma == ";" else "."
    values = {
        name: [_dotted(row[k]) if decimal == "," else row[k].strip() for row in whole] for k, name in enumerate(names)
    }
    return values, said + more


def _text(raw: bytes) -> tuple[str, list[str]]:
    """The file's text: UTF-8, or an encoding that Windows spreadsheets write."""
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        if b"\0" in raw:
            raise
    return raw.decode("cp1252"), ["The file is not UTF-8 and was read as Windows-1252."]


def _named(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names without surrounding blanks; a repeated name gets a number."""
    seen: Counter[str] = Counter()
    names = []
    for name in (item.strip() for item in header):
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})" if name else "")
    again = [name for name, count in seen.items() if count > 1 and name]
    return names, [f"{seen[name]} columns are named {name}." for name in again]


def _dotted(value: str) -> str:
    """A number with its decimal comma, as in files separated by semicolons, replaced by a point."""
    turned = value.strip().replace(",", ".")
    return turned if value.count(",") == 1 and turned.replace(".", "", 1).lstrip("+-").isdigit() else value.strip()


def _missing(value: object) -> bool:
    """Whether it stands for a missing value."""
    return value is None or str(value).strip().lower() in MISSING


def _parquet(path: Path) -> Mapping[str, Sequence[object]]:
    try:
        from pyarrow import ArrowException, parquet  # type: ignore[import-untyped]  # it has no stubs
    except ImportError as error:
        raise LossError(str(path), "pyarrow is not installed", "pip install pyarrow, or give a CSV file") from error
    try:
        data = io.BytesIO(content(path, takes=RECORDS))
        found: Mapping[str, Sequence[object]] = parquet.read_table(data).to_pydict()
    except FileUnreadable as error:
        raise LossError(str(path), error.problem, "name a CSV or Parquet file") from error
    except ArrowException as error:
        raise LossError(
            str(path), f"it is not a Parquet file ({str(error).splitlines()[0][:80]})", "check it"
        ) from error
    return found


def _numbers(values: Sequence[object]) -> list[float] | None:
    """The values as floats, dates in days, missing ones NaN; None if one is a word."""
    try:
        return [math.nan if _missing(value) else _number(value) for value in values]
    except ValueError:
        return None


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        day = value if isinstance(value, date) else datetime.fromisoformat(str(value))
        moment = day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() / 86400


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
    given = ["" if _missing(value) else str(value) for value in values]
    words = sorted(set(given))
    if len(words) > LEVELS:
        return [], [f"{name} is left out: it has {len(words)} different words."]
    return [np.array([float(value == word) for value in given]) for word in words], []


def _targets(values: Sequence[object]) -> NDArray[np.generic]:
    import numpy as np

    numbers = _numbers(values)
    if numbers is None:
        return np.array([str(value) for value in values])
    column = np.array(numbers)
    whole = np.isfinite(column).all() and np.all(column == np.round(column)) and "." not in "".join(map(str, values))
    return column.astype(np.int64) if whole else column
