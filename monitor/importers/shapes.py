"""Converts tables of other shapes to one row per step and one column per metric.

Handles: one row per point with the metric's name in a column; several runs in one table, separated by a column or by
column names, as in exported charts; alternating rows of training and validation; a single curve named by its file. A
table of finished runs has no curve and is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import PurePath
from typing import Final

from monitor.errors import NoHistory
from monitor.importers.names import EPOCHS, STEPS, place, plain
from monitor.importers.ranks import of_one_process
from monitor.importers.table import INDEX, Cell, Row, Skipped, Table, number_in
from monitor.roles import Role, role_of, role_of_set

_OF_RUNS: Final = (
    "is a table of runs, one a row, {}: it holds the last values of each, but no curve; import the runs' own logs"
)
_METRICS: Final = frozenset(
    {"metric", "metric_name", "metricname", "name", "key", "tag", "variable", "series", "metric_key", "scalar"}
)
_VALUES: Final = frozenset({"value", "metric_value", "metricvalue", "val", "scalar_value"})
_RUNS: Final = (
    "run_uuid", "run_id", "runid", "run", "run_name", "runname", "experiment", "experiment_name", "experiment_id",
    "exp", "trial", "trial_id", "trial_name", "seed", "fold", "repeat", "model", "model_name", "method",
)  # fmt: skip
"""Columns that separate several runs in one table, in lower case."""
_TITLES: Final = ("run_name", "runname", "run", "display_name", "displayname", "name", "trial_name", "experiment_name")
"""Of these and others, the ones that hold a run's name, next to a column with its id."""
_ENDED: Final = frozenset({"state", "status"})
_NAMES: Final = frozenset({"name", "id", "run_name", "run_id", "display_name", "displayname"})
_SETS: Final = frozenset({
    "phase", "set", "split", "mode", "subset", "partition", "stage", "dataset", "data", "type", "event", "event_type",
    "kind", "loop", "job", "context", "metric_context",
})  # fmt: skip
_EPISODE: Final = {"r": "episode/reward", "l": "episode/length", "t": "episode/seconds"}
_SEARCHED: Final = frozenset({
    "batch_size", "hidden_size", "hidden_dim", "num_layers", "n_layers", "n_estimators", "max_depth", "dropout",
    "dropout_rate", "optimizer", "weight_decay", "num_epochs", "n_epochs", "window_size", "momentum", "activation",
    "seq_len", "num_params",
})  # fmt: skip
"""Columns for what is chosen once per run."""
_SEARCH: Final = re.compile(r"mean_fit_time$|rank_test_|params$")
"""Columns of scikit-learn's search results."""
_LEAST_STEPS: Final = 3
"""Steps from which their order cannot be chance."""
_LEAST_ROWS: Final = 10
"""Rows from which falling steps are not those of workers in arbitrary order."""
_RELATIVE: Final = ("relative_time_wall", "relative_time_process")
_CHART: Final = re.compile(r"(?P<run>.+?) - (?P<metric>.+?)(?P<extreme>__MIN|__MAX)?")
_TENSORBOARD: Final = re.compile(r"(?:run-)?(?P<run>.*?)-tag-(?P<tag>.+)")


def curves_in(table: Table) -> list[Table]:
    """Split a table into one table per run, with one row per step."""
    table = _upright(table)
    tables = [_oldest_first(each) for each in _of_chart(table) or _by_run(of_one_process(table))]
    return [_by_set(_wide(one_curve(_of_episodes(each)))) for each in tables]


def _upright(table: Table) -> Table:
    """Transpose a table that has one row per metric and one column per step."""
    first, *others = table.names
    numbers = [number_in(name) for name in others]
    if len(others) < len(table.rows) or len(others) < _LEAST_STEPS or not table.header or not table.counts(first):
        return table
    if not all(a < b for a, b in pairwise(numbers)):
        return table
    named = [(str(row.cells.get(first)), row) for row in table.rows]
    rows = []
    for i, step in enumerate(others, 1):
        cells: dict[str, Cell] = {first: step}
        cells.update({name: row.cells.get(step) for name, row in named})
        rows.append(Row(i, cells))
    return replace(table, names=(first, *(name for name, _ in named)), rows=tuple(rows))


def _oldest_first(table: Table) -> Table:
    """Reverse a table whose newest row comes first, as in some trackers' exports."""
    axis = next((name for name in table.names if table.counts(name)), None)
    steps = [number_in(row.cells.get(axis)) for row in table.rows] if axis is not None else []
    if len(steps) < _LEAST_ROWS or not all(a > b for a, b in pairwise(steps)):
        return table
    note = Skipped(place=f"column {axis!r:.60}", reason="falls from row to row, so the rows are read in reverse")
    return replace(table, rows=table.rows[::-1], notes=(*table.notes, note))


def _of_episodes(table: Table) -> Table:
    """Add steps to a table of Stable-Baselines' and Gym's `Monitor`, with one row per episode: lengths are summed up.

    Source: stable_baselines3/common/monitor.py: `r` is the reward, `l` the length, `t` the seconds since the start.
    """
    if not {"r", "l", "t"} <= set(table.names):
        return table
    done = 0.0
    rows = []
    for row in table.rows:
        length = number_in(row.cells.get("l"))
        done += 0.0 if math.isnan(length) else length
        renamed = {_EPISODE.get(name, name): cell for name, cell in row.cells.items()}
        rows.append(Row(row.number, {"timesteps": done, **renamed}))
    names = ("timesteps", *(_EPISODE.get(name, name) for name in table.names))
    return replace(table, names=names, rows=tuple(rows))


def _of_chart(table: Table) -> list[Table]:
    """Split a chart exported from W&B, with columns "run - metric"; the extremes of bins are dropped."""
    found: dict[str, dict[str, str]] = {}
    extremes, others = [], []
    for name in table.names:
        match = _CHART.fullmatch(name)
        if match is None:
            others.append(name)
        elif match["extreme"]:
            extremes.append(name)
        else:
            found.setdefault(match["run"], {})[name] = match["metric"]
    axes = [name for name in others if table.counts(name) or place(name, _RELATIVE) is not None]
    if not found or not table.header or len(others) > max(1, len(axes)):
        return []
    note = Skipped(place=f"{len(extremes)} columns __MIN and __MAX", reason="hold the extremes of a bin of the chart")
    notes = (*table.notes, *((note,) if extremes else ()))
    tables = []
    for run, columns in found.items():
        step = {name: metric for name, metric in columns.items() if place(metric, (*STEPS, *EPOCHS)) is not None}
        kept = {**dict.fromkeys(others), **columns}
        if step and len(columns) > len(step):
            kept = {name: metric for name, metric in kept.items() if name not in step}
        named = {name: metric or name for name, metric in kept.items()}
        rows = _renamed(table.rows, named, needs=columns)
        if rows:
            label = run if len(found) > 1 else ""
            tables.append(replace(table, names=tuple(named.values()), rows=rows, notes=notes, run=label))
    return [replace(each, config={**each.config, "run": run}) for each, run in zip(tables, found, strict=False)]


def _renamed(rows: Iterable[Row], named: dict[str, str], needs: Iterable[str]) -> tuple[Row, ...]:
    """Rows with renamed columns, without rows in which all needed columns are blank."""
    needed = tuple(needs)
    return tuple(
        Row(row.number, {new: row.cells[old] for old, new in named.items() if old in row.cells})
        for row in rows
        if any(_filled(row.cells.get(name)) for name in needed)
    )


def _by_run(table: Table) -> list[Table]:
    """Split the rows by run, if a column names it."""
    by_name = {plain(name): name for name in reversed(table.names)}
    _refuse_summaries(table, by_name)
    column = next((by_name[name] for name in _RUNS if name in by_name), None)
    if column is None or not any(_filled(row.cells.get(column)) for row in table.rows):
        return [table]
    runs: dict[str, list[Row]] = {}
    label = next(str(row.cells[column]) for row in table.rows if _filled(row.cells.get(column)))
    for row in table.rows:  # a row without a label belongs to the run above
        label = str(row.cells[column]) if _filled(row.cells.get(column)) else label
        runs.setdefault(label.strip(), []).append(row)
    title = next((by_name[name] for name in _TITLES if by_name.get(name, column) != column), None)
    titles = _titles(runs, title)
    names = tuple(name for name in table.names if name != column and not (titles and name == title))
    if len(runs) == 1:
        (label,) = runs
        part = f"{column}-{label}" if table.kind == "text" else ""  # a log that grows may get another part
        config = {**table.config, column: label, **({str(title): titles[label]} if titles else {})}
        return [replace(table, names=names, config=config, run=part)]
    if not any(map(table.counts, names)) or max(map(len, runs.values())) == 1:
        return [table]
    return [
        replace(
            table,
            names=names,
            rows=tuple(rows),
            run=titles.get(label) or (f"{column}-{label}" if label.isdecimal() else label),
        )
        for label, rows in runs.items()
    ]


def _titles(runs: Mapping[str, Sequence[Row]], column: str | None) -> dict[str, str]:
    """The name of each run by its id, if a column has one name for each run and no two are alike; else none."""
    if column is None:
        return {}
    named = {label: {str(row.cells.get(column) or "").strip() for row in rows} for label, rows in runs.items()}
    found = {label: names.pop() for label, names in named.items() if len(names) == 1}
    apart = len(found) == len(runs) == len(set(found.values()))
    return found if apart and all(found.values()) else {}


def _refuse_summaries(table: Table, by_name: dict[str, str]) -> None:
    """Refuse a table of runs with one row of last values each: it has no curve."""
    if len(table.rows) < 2 or _metric_and_value(table) is not None:
        return
    steps = [name for name in table.names if table.counts(name)]
    if not steps and any(map(_SEARCH.match, table.names)):
        raise NoHistory(table.path, _OF_RUNS.format("each with its own parameters"))
    label = next((by_name[name] for name in (*_NAMES, *_RUNS) if name in by_name), None)
    ended = next((by_name[name] for name in _ENDED if name in by_name), None)
    if label is None and ended is None:
        if not steps and INDEX not in table.names and len(_SEARCHED.intersection(by_name)) > 1:
            raise NoHistory(table.path, _OF_RUNS.format("each with its own parameters"))
        return
    labels = [str(row.cells.get(label)) for row in table.rows] if label else []
    apart = len(set(labels)) == len(labels) > 0 and not all(text.replace(".", "").isdecimal() for text in labels)
    still = not any(_counts_up(table, name) for name in steps)
    if still and (apart or (ended is not None and not steps)):
        said = f"each with its own {label!r:.60}" if apart else f"each with its {ended!r:.60}"
        raise NoHistory(table.path, _OF_RUNS.format(said))


def _metric_and_value(table: Table) -> tuple[str, str] | None:
    """The columns with the metric's name and value; None if the rows are not points."""
    plainly = {name: plain(name.rsplit("/", 1)[-1]) for name in table.names}
    metrics = [name for name, known in plainly.items() if known in _METRICS]
    values = [name for name, known in plainly.items() if known in _VALUES]
    if len(metrics) != 1 or len(values) != 1:
        return None
    names = [str(row.cells.get(metrics[0])) for row in table.rows]
    return (metrics[0], values[0]) if len(set(names)) < len(names) or len(names) == 1 else None


def _counts_up(table: Table, name: str) -> bool:
    """True if a column mostly rises from row to row, as a count does."""
    numbers = [number_in(row.cells.get(name)) for row in table.rows]
    rises = sum(a < b for a, b in pairwise(numbers))
    return 2 * rises >= len(numbers) - 1


def one_curve(table: Table) -> Table:
    """Name the metric after the file, if the table has only steps, times and one column of values."""
    stem = PurePath(table.path).stem
    match = _TENSORBOARD.fullmatch(stem)
    values = [name for name in table.names if plain(name) in _VALUES or (name == "0" and INDEX in table.names)]
    values += [name for name in table.names if match is not None and name == stem]
    others = [name for name in table.names if name not in values and not table.counts(name) and name != INDEX]
    if len(values) != 1 or any("time" not in plain(name) for name in others) or (not table.header and match is None):
        return table
    metric = (match["tag"] if match else stem).replace("_", "/", 1 if match else 0)
    rows = _renamed(table.rows, {name: metric if name in values else name for name in table.names}, values)
    config = {**table.config, "run": match["run"]} if match and match["run"] else table.config
    names = tuple(metric if name in values else name for name in table.names)
    return replace(table, names=names, rows=rows, config=config)


def run_of_chart(name: str) -> str | None:
    """The run in the name of a file downloaded from TensorBoard; None for other files.

    >>> run_of_chart("run-exp_1-tag-Loss_train.csv"), run_of_chart("loss.csv")
    ('exp_1', None)
    """
    match = _TENSORBOARD.fullmatch(PurePath(name).stem)
    return match["run"] if match and PurePath(name).suffix.lower() in (".csv", ".json") else None


def _wide(table: Table) -> Table:
    """Turn one row per point into one column per metric."""
    columns = _metric_and_value(table)
    if columns is None:
        return table
    metric, value = columns
    kept = [name for name in table.names if name not in (metric, value)]
    found: dict[str, None] = {}
    rows = []
    for row in table.rows:
        name = str(row.cells.get(metric) or "").strip()
        if name:
            found[name] = None
            cells: dict[str, Cell] = {each: row.cells[each] for each in kept if each in row.cells}
            rows.append(Row(row.number, {**cells, name: row.cells.get(value)}))
    rows = _in_step(rows, kept, table)
    return replace(table, names=(*kept, *found), rows=tuple(rows)) if rows else table


def _in_step(rows: list[Row], kept: Sequence[str], table: Table) -> list[Row]:
    """Sort rows that list one metric after the other by step; leave others as they are.

    Such a table lists each metric once, from its first step to its last.
    """
    axes = [name for name in kept if table.counts(name)]
    if not axes:
        return rows
    whole = [axis for axis in axes if all(math.isfinite(number_in(row.cells.get(axis))) for row in rows)]
    axes = sorted(whole or axes[:1], key=lambda name: not table.of_epochs(name))  # a step may restart in each epoch
    last = ""
    begun: set[str] = set()
    for row in rows:
        *_, name = row.cells
        if name != last and name in begun:
            return rows
        begun.add(name)
        last = name
    if len(begun) == len(table.rows):
        return rows
    return sorted(rows, key=lambda row: [number_in(row.cells.get(axis)) for axis in axes])


def _by_set(table: Table) -> Table:
    """Prefix metrics with the data set named in a column, if rows of training and validation alternate."""
    column = next((name for name in table.names if plain(name) in _SETS and _holds_sets(table, name)), None)
    if column is None:
        return table
    table = _counted_by_training(table, column)
    names: dict[str, None] = {}
    rows = []
    for row in table.rows:
        which = _set_named(str(row.cells.get(column) or "").strip())
        cells = {
            name if not which or table.counts(name) or _placed(name) else f"{which}/{name}": cell
            for name, cell in row.cells.items()
            if name != column and _filled(cell)
        }
        names.update(dict.fromkeys(cells))
        rows.append(Row(row.number, cells))
    return replace(table, names=tuple(names), rows=tuple(rows))


def _counted_by_training(table: Table, sets: str) -> Table:
    """Remove the counts of evaluations' own batches, so that these stand at the training's current step.

    MMDetection writes the number of validation batches into the column of steps, the same number after each epoch.

    Args:
        table: a table with rows of several data sets.
        sets: the column that names the data set.
    """
    epochs = next((name for name in table.names if table.of_epochs(name)), None)
    if epochs is None:
        return table
    rows = list(table.rows)
    for axis in (name for name in table.names if table.counts(name) and name != epochs):
        for at in _of_evaluations(rows, sets, epochs, axis):
            rows[at] = Row(rows[at].number, {name: cell for name, cell in rows[at].cells.items() if name != axis})
    return replace(table, rows=tuple(rows))


def _of_evaluations(rows: list[Row], sets: str, epochs: str, axis: str) -> list[int]:
    """The held-out rows, if all have the same count and training was already further in their epoch."""
    last = math.nan, math.nan
    found: list[int] = []
    counts: set[float] = set()
    for at, row in enumerate(rows):
        epoch, count = number_in(row.cells.get(epochs)), number_in(row.cells.get(axis))
        role = role_of_set(str(row.cells.get(sets) or ""))
        if role is Role.TRAIN and math.isfinite(count):
            last = epoch, count
        elif role is Role.VAL and math.isfinite(count):
            if last[0] != epoch or not count < last[1]:
                return []
            found.append(at)
            counts.add(count)
    return found if len(counts) == 1 else []


def _set_named(text: str) -> str:
    """A data set as named in its rows; from a text such as `{'subset': 'val'}` only the role."""
    if all(sign.isalnum() or sign in "_-. " for sign in text):
        return text
    role = role_of_set(text)
    return text if role is None else str(role)


def _placed(name: str) -> bool:
    return name == INDEX or "time" in plain(name) or role_of(name) in (Role.LR, Role.VAL)


def _holds_sets(table: Table, name: str) -> bool:
    words = {str(row.cells.get(name)).strip() for row in table.rows if _filled(row.cells.get(name))}
    known = {role_of_set(word) for word in words}
    return len(words) > 1 and {Role.TRAIN, Role.VAL} <= known


def _filled(cell: Cell) -> bool:
    return cell is not None and (not isinstance(cell, str) or bool(cell.strip()))
