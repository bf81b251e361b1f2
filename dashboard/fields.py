"""Fields of runs by their names in the query language, which also name columns, groups and axes.

`config.optim.lr`, `tags.team`, `metric."val/acc".max`, and the fields that every run has, such as `val.best`.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard

from monitor.domain import Extremes, RunInfo, repeats
from monitor.domain.formats import plain

Value = str | int | float | bool | None
Metrics = Mapping[str, Extremes]
"""Statistics of a run's series, by key."""

_PART: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^.]+')
_WORD: Final = re.compile(r"[^\W\d]\w*")
SETTING: Final = "setting"
"""What runs that differ only in their seed have in common: they can be grouped by it."""
WHAT: Final = ("last", "min", "max")
"""What a column can show of a metric."""
_OF_RUN: Final[Mapping[str, Callable[[RunInfo], Value]]] = {
    "name": lambda run: run.name,
    "project": lambda run: run.project,
    "group": lambda run: run.group,
    "status": lambda run: str(run.status),
    "verdict": lambda run: run.verdict,
    "last_step": lambda run: run.last_step,
    "attempt": lambda run: run.attempt,
    "val.best": lambda run: run.recommendation.best_val_loss,
    "goal": lambda run: run.goal_best,
    "goal.last": lambda run: run.goal_last,
    "gap": lambda run: run.gap,
    "half_life": lambda run: run.half_life,
}


def is_number(value: object) -> TypeGuard[int | float]:
    """True for a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def parts(field: str) -> tuple[str, ...]:
    """The parts of a field's name, without their quotes.

    >>> parts('metric."val/acc.top1".last'), parts("config.lr")
    (('metric', 'val/acc.top1', 'last'), ('config', 'lr'))
    """
    found = []
    for part in _PART.findall(field):
        text = part
        if part.startswith('"'):
            try:
                text = str(json.loads(part))
            except ValueError:
                text = part.strip('"')
        found.append(text)
    return tuple(found)


def named(*names: str) -> str:
    """A field's name from its parts; a part that is not a word is quoted.

    >>> named("metric", "val/acc", "max"), named("config", "lr")
    ('metric."val/acc".max', 'config.lr')
    """
    return ".".join(name if _WORD.fullmatch(name) else json.dumps(name, ensure_ascii=False) for name in names)


def label(field: str) -> str:
    """A field as a column's title.

    >>> label('metric."val/acc".max'), label("config.optim.lr"), label("val.best")
    ('val/acc max', 'optim.lr', 'val.best')
    """
    if field == SETTING:
        return "all but the seed"
    first, *rest = parts(field) or ("",)
    if first == "metric" and len(rest) > 1:
        return f"{'.'.join(rest[:-1])} {rest[-1]}"
    return ".".join(rest) if first in ("config", "tags") and rest else field


def usable(field: str) -> bool:
    """True for a field that `value` or `grouped` knows."""
    found = parts(field)
    if field in _OF_RUN or field == SETTING:
        return True
    if not found or len(found) < 2:
        return False
    return found[0] in ("config", "tags") or (found[0] == "metric" and len(found) > 2 and found[-1] in WHAT)


def series_of(fields: Iterable[str]) -> tuple[str, ...]:
    """The keys of the series that some fields are about."""
    found = (parts(field) for field in fields)
    return tuple(dict.fromkeys(".".join(p[1:-1]) for p in found if len(p) > 2 and p[0] == "metric"))


def value(run: RunInfo, metrics: Metrics, field: str) -> Value:
    """What a run has for a field; None where it has nothing, or something that is not a single value."""
    if field in _OF_RUN:
        return _OF_RUN[field](run)
    first, *rest = parts(field) or ("",)
    if first == "tags":
        return run.tags.get(".".join(rest))
    if first == "metric" and len(rest) > 1 and rest[-1] in WHAT:
        found = metrics.get(".".join(rest[:-1]))
        return None if found is None else getattr(found, rest[-1])
    return _inner(run.config, rest) if first == "config" else None


def _inner(config: Mapping[str, object], names: Sequence[str]) -> Value:
    found: object = config
    for name in names:
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found if isinstance(found, str | int | float | bool) else None if found is None else plain(found)


def config_fields(runs: Iterable[RunInfo]) -> tuple[str, ...]:
    """The fields of every single value in the runs' configurations, by name."""
    found: set[tuple[str, ...]] = set()
    for run in runs:
        _collect(run.config, (), found)
    return tuple(named("config", *path) for path in sorted(found))


def _collect(config: Mapping[str, object], path: tuple[str, ...], found: set[tuple[str, ...]]) -> None:
    for key, inner in config.items():
        if isinstance(inner, Mapping) and inner:
            _collect(inner, (*path, str(key)), found)
        elif not isinstance(inner, list | tuple):
            found.add((*path, str(key)))


def tag_fields(runs: Iterable[RunInfo]) -> tuple[str, ...]:
    """The fields of the runs' tags, by name."""
    return tuple(named("tags", name) for name in sorted({name for run in runs for name in run.tags}))


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation of the finite values of some runs; `sd` is None for a single one."""

    count: int
    mean: float
    sd: float | None


def spread(values: Iterable[Value]) -> Spread | None:
    """Mean ± standard deviation (n - 1) of what is a finite number; None where nothing is.

    >>> spread([1.0, 3.0, None, float("nan")])
    Spread(count=2, mean=2.0, sd=1.4142135623730951)
    """
    numbers = [float(v) for v in values if is_number(v)]
    if not numbers:
        return None
    return Spread(len(numbers), statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else None)


LISTED: Final = 100
"""Runs that a query names one by one, at most, so that it fits an address."""


@dataclass(frozen=True, slots=True)
class RunsOf:
    """The runs that share the value of a field."""

    value: Value
    runs: tuple[RunInfo, ...]

    def condition(self, field: str) -> str:
        """The query that finds them."""
        if field != SETTING:
            return condition(field, self.value)
        return f"id in ({', '.join(json.dumps(run.id) for run in self.runs[:LISTED])})"


def grouped(runs: Iterable[RunInfo], metrics: Mapping[str, Metrics], field: str) -> tuple[RunsOf, ...]:
    """The runs by the value of a field; numbers in their order, then texts, then those without a value."""
    if field == SETTING:
        found_settings = repeats.settings(list(runs))
        names = repeats.titles(found_settings, {run.id: run.name for each in found_settings for run in each})
        return tuple(RunsOf(name, each) for name, each in zip(names, found_settings, strict=True))
    found: dict[Value, list[RunInfo]] = {}
    for run in runs:
        key = value(run, metrics.get(run.id, {}), field)
        found.setdefault(str(key).lower() if isinstance(key, bool) else key, []).append(run)

    def rank(key: Value) -> tuple[int, float, str]:
        if isinstance(key, int | float):
            return 0, float(key), ""
        return (1, 0.0, str(key)) if key is not None else (2, 0.0, "")

    return tuple(RunsOf(key, tuple(found[key])) for key in sorted(found, key=rank))


def condition(field: str, wanted: Value) -> str:
    """The query for the runs that have a value.

    >>> condition("config.lr", 0.001), condition("group", "a b"), condition("tags.team", None)
    ('config.lr = 0.001', 'group = "a b"', 'tags.team = null')
    """
    if wanted is None:
        return f"{field} = null"
    if isinstance(wanted, bool) or wanted in ("true", "false"):
        return f"{field} = {str(wanted).lower()}"
    return f"{field} = {json.dumps(wanted, ensure_ascii=False)}"


def both(query: str, more: str) -> str:
    """A query with one more condition; its order stays.

    >>> both("val.best < 1 order by name", "group = null")
    '(val.best < 1) and group = null order by name'
    """
    found = re.search(r"\border\s+by\b(?=[^\"']*$)", query, re.IGNORECASE)
    where, order = (query[: found.start()].strip(), f" {query[found.start() :]}") if found else (query.strip(), "")
    return (f"({where}) and {more}" if where else more) + order
