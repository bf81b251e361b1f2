"""Alerts by expression: `val/loss > 2 for 3 evals`, `grad_norm > 100`, `goal < best * 0.9`. Pure.

An expression is parsed by Python's own parser and made of a short list of nodes, each checked; nothing is evaluated as
Python. `a/b` is the metric of that name; a name with other signs stands in quotes, as do both metrics of a quotient.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from monitor.directions import rises
from monitor.domain import Alert, RunInfo, Severity
from monitor.domain.formats import number, step
from monitor.errors import SettingsError

LONGEST: Final = 200
"""Most characters of an expression."""
BEST: Final = "best"
"""The best value so far of the one metric that the expression is about."""
Values = Mapping[str, float]
Value = Callable[[Values], float]
State = dict[str, object]
"""The state of a threshold for a run: `values`, `best`, `held`, `cleared`, `firing`; plain data."""

_FOR: Final = re.compile(r"\s+for\s+(\d+)\s+(?:evals?|points?|checks?|times?)\s*$")
_COMPARE: Final = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
_COUNT: Final = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


@dataclass(frozen=True, slots=True)
class Threshold:
    """An expression that raises an alert while it is true.

    Attributes:
        when: as it was written.
        times: how often in a row it must be true to fire, and false to be resolved.
        names: the metrics that it reads.
        holds: whether it is true of their values; a NaN makes every comparison false.
        severity: of the alert.
        projects: globs, one of which the run's project must match.
    """

    when: str
    times: int
    names: tuple[str, ...]
    holds: Callable[[Values], bool]
    severity: Severity = Severity.WARNING
    projects: tuple[str, ...] = ("*",)

    def watches(self, project: str) -> bool:
        """Whether it applies to a project."""
        return any(fnmatchcase(project, glob) for glob in self.projects)

    def see(self, state: State, name: str, value: float, *, rising: bool | None) -> str | None:
        """Take in a point of one of its metrics.

        Args:
            state: what it remembers of the run; changed in place.
            name: which of `names` it is.
            rising: whether that metric rises when things go well; None where nobody says, and its name decides.

        Returns:
            "firing" or "resolved" where that changed, else None.
        """
        known = state.setdefault("values", {})
        assert isinstance(known, dict)
        known[name] = value
        found = None
        if all(each in known or each == BEST for each in self.names):
            found = self._count(state, self.holds(known))
        if BEST in self.names and math.isfinite(value):  # after the comparison: a value is not its own best
            up = rises(name) if rising is None else rising
            best = known.get(BEST)
            known[BEST] = value if best is None else max(best, value) if up else min(best, value)
        return found

    def _count(self, state: State, true: bool) -> str | None:
        held, cleared = int(str(state.get("held", 0))), int(str(state.get("cleared", 0)))
        state["held"], state["cleared"] = (min(held + 1, self.times), 0) if true else (0, min(cleared + 1, self.times))
        firing = bool(state.get("firing"))
        if not firing and state["held"] == self.times:
            state["firing"] = True
            return "firing"
        if firing and state["cleared"] == self.times:
            state["firing"] = False
            return "resolved"
        return None


def parse(when: str) -> Threshold:
    """Parse an expression.

    Raises:
        ValueError: says what cannot be read and where, counted from 1.

    >>> parse("val/loss > 2 for 3 evals").names, parse("goal < best * 0.9").times
    (('val/loss',), 1)
    """
    if len(when) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    suffix = _FOR.search(when)
    text = when[: suffix.start()] if suffix else when
    times = int(suffix[1]) if suffix else 1
    if not 1 <= times <= 10_000:
        raise ValueError("must hold for 1 to 10,000 evals")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"cannot be read at character {error.offset or 1}") from None
    except (ValueError, RecursionError, MemoryError):
        raise ValueError("cannot be read") from None
    names: list[str] = []
    holds = _truth(tree, names)
    found = tuple(dict.fromkeys(names))
    metrics = [name for name in found if name != BEST]
    if not metrics:
        raise ValueError("names no metric")
    if BEST in found and len(metrics) > 1:
        raise ValueError(f"has {BEST!r} and {len(metrics)} metrics; write one expression for each metric")
    return Threshold(" ".join(when.split()), times, found, lambda values: holds(_Known(values)))


def read(tables: Sequence[object]) -> tuple[Threshold, ...]:
    """The thresholds of the settings.

    Args:
        tables: each with `when`, and perhaps `severity` and `projects`.

    Raises:
        SettingsError: names the table and the key, counted from 1.
    """
    return tuple(_read(f"thresholds[{i}]", table) for i, table in enumerate(tables, start=1))


def alert_of(
    threshold: Threshold, run: RunInfo, state: str, name: str, value: float, at: float, now_ms: int, *, judged: bool
) -> Alert:
    """The alert for a threshold that fires or is resolved.

    Args:
        name, value, at: the metric, its value and the step that decided.
        judged: whether the rules judge all its metrics too.
    """
    what = (
        f"{threshold.when} resolved at step {step(at)}"
        if state == "resolved"
        else f"{threshold.when} at step {step(at)}"
    )
    firing = f"{name} is {number(value)} at step {step(at)}; the threshold is {threshold.when}."
    over = f"{name} is {number(value)} at step {step(at)}; {threshold.when} no longer holds."
    found = Alert.of(
        run,
        kind="threshold",
        state=state,
        severity=threshold.severity,
        title=f"{run.name}: {what} ({run.project})",
        body=f"{over if state == 'resolved' else firing}\nRun {run.id} of project {run.project}.",
        step=at,
        created_ms=now_ms,
        dedup_key=f"{run.id}:threshold:{threshold.when}",
    )
    return replace(found, judged=judged)


def _read(place: str, table: object) -> Threshold:
    if not isinstance(table, Mapping):
        raise SettingsError(place, "is not a table", 'write [[thresholds]] and under it when = "val/loss > 2"')
    for key in table:
        if key not in ("when", "severity", "projects"):
            raise SettingsError(f"{place}.{key}", "is not known", "known: when, severity, projects")
    when, severity, projects = table.get("when"), table.get("severity", "warning"), table.get("projects", ["*"])
    if severity not in ("critical", "warning", "info"):
        raise SettingsError(f"{place}.severity", f"got {severity!r:.40}", "write critical, warning or info")
    if not isinstance(projects, list | tuple) or not all(isinstance(each, str) for each in projects) or not projects:
        raise SettingsError(f"{place}.projects", "is not a list of names", 'write projects = ["digits", "vision-*"]')
    try:
        found = parse(when) if isinstance(when, str) else None
    except ValueError as error:
        fix = 'write such as "val/loss > 2 for 3 evals", with other names in quotes'
        raise SettingsError(f"{place}.when", f"{when!r:.80} {error}", fix) from None
    if found is None:
        raise SettingsError(place, "has no when", 'write when = "val/loss > 2 for 3 evals"')
    return Threshold(found.when, found.times, found.names, found.holds, Severity(severity), tuple(projects))


class _Known(dict[str, float]):
    """Values by name; unknown ones are NaN, for which every comparison is false."""

    def __missing__(self, name: str) -> float:
        return math.nan


def _truth(node: ast.expr, names: list[str]) -> Callable[[Values], bool]:
    if isinstance(node, ast.BoolOp):
        parts = [_truth(each, names) for each in node.values]
        every = all if isinstance(node.op, ast.And) else any
        return lambda values: every(part(values) for part in parts)
    if isinstance(node, ast.Compare):
        sides = [_value(each, names) for each in (node.left, *node.comparators)]
        tests = [_COMPARE.get(type(op)) for op in node.ops]
        if None in tests:
            raise ValueError(f"{_at(node)}: compare with <, <=, >, >=, == or !=")
        return lambda values: _compared(tests, [side(values) for side in sides])  # type: ignore[arg-type]  # none is None
    raise ValueError(f"{_at(node)}: {ast.unparse(node)[:40]!r} is not a comparison")


def _compared(tests: Sequence[Callable[[float, float], bool]], sides: Sequence[float]) -> bool:
    known = not any(math.isnan(side) for side in sides)  # else NaN != 1 would hold
    return known and all(test(a, b) for test, a, b in zip(tests, sides, sides[1:], strict=False))


def _value(node: ast.expr, names: list[str]) -> Value:
    metric = _metric(node)
    if metric is not None:
        names.append(metric)
        return lambda values: values[metric]
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        constant = float(node.value) if abs(node.value) < 1e300 else math.inf
        return lambda _: constant
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner, sign = _value(node.operand, names), -1.0 if isinstance(node.op, ast.USub) else 1.0
        return lambda values: sign * inner(values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
        left, right = _value(node.left, names), _value(node.right, names)
        if isinstance(node.op, ast.Div):
            return lambda values: _quotient(left(values), right(values))
        count = _COUNT[type(node.op)]
        return lambda values: float(count(left(values), right(values)))
    raise ValueError(f"{_at(node)}: {ast.unparse(node)[:40]!r} is neither a number nor the name of a metric")


def _metric(node: ast.expr) -> str | None:
    """The name of a metric: a word, a text in quotes, or words with / and . between them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        return node.value
    parts = list(_words(node))
    return "".join(parts) if parts and None not in parts else None  # type: ignore[arg-type]  # none is None


def _words(node: ast.expr) -> Iterator[str | None]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield from _words(node.value)
        yield f".{node.attr}"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and BEST not in (_id(node.left), _id(node.right)):
        yield from _words(node.left)
        yield "/"
        yield from _words(node.right)
    else:
        yield None


def _id(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _quotient(a: float, b: float) -> float:
    return a / b if b else math.nan


def _at(node: ast.expr) -> str:
    return f"at character {node.col_offset + 1}"
