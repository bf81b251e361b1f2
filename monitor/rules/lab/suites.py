"""A file of unit tests of rules, as data: what it may contain, and precise errors if it is invalid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from monitor.domain import Action, FindingState, Severity
from monitor.errors import RulesError, suggestion
from monitor.roles import Role
from monitor.rules.config import RulesConfig
from monitor.rules.lab.formula import generate, is_real
from monitor.rules.registry import all_rules
from monitor.rules.replay import Curves
from monitor.rules.sketch.noise import Floats
from monitor.rules.sketch.points import ROLE_CODES

Span = tuple[float, float]
Wanted = str | Span | None
"""An expected value: a word, a number within a span (both ends included), or None."""

SERIES: Final = {"lr": Role.LR, "grad_norm": Role.GRAD_NORM, "train": Role.TRAIN, "val": Role.VAL}
CALM: Final = ("healthy", "too_early", "not_judged")
_TEST: Final = ("name", "unit", "loss", "config", "train", "val", "grad_norm", "lr", "parts", "weights", "expect")
_EXPECT: Final = ("verdict", "firing", "never", "findings", "recommendation")
_STEPS: Final = ("onset_step", "fired_step", "resolved_step")
_FINDING: Final = ("rule", *_STEPS, "state", "severity")
_ADVICE_STEPS: Final = ("first_stop_step", "stop_step", "best_step")
_ADVICE: Final = ("action", *_ADVICE_STEPS)


class Outside(Protocol):
    """Access to what a file of tests refers to, for the rules, which do no I/O themselves."""

    def series(self, path: str, column: str | None, role: Role) -> Floats:
        """A series from a file, float64 of shape (n, 2).

        Args:
            path: as written, relative to the file of tests.
            column: its name; None for the column named like the role.

        Raises:
            FileUnreadable: says which file, and what is wrong with it.
        """

    def loss(self, text: str) -> Mapping[str, object]:
        """What is known about a loss function, such as `cross_entropy(classes=10)`.

        Raises:
            LossError: it cannot be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a test expects; None, and empty fields other than `firing`, are not checked.

    Attributes:
        firing: rules that must be firing at the end; if empty, none may be.
        never: rules that must not fire at any step.
        findings: for each, the expected values of one finding by key; each must match a different finding.
        recommendation: the expected values of the final recommendation, by key.
    """

    verdict: str | None = None
    firing: tuple[str, ...] | None = None
    never: tuple[str, ...] = ()
    findings: tuple[Mapping[str, Wanted], ...] = ()
    recommendation: Mapping[str, Wanted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleTest(Curves):
    """One test: curves, and what the rules should say about them."""

    expect: Expectation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Suite:
    """A file of tests."""

    config: RulesConfig
    tests: tuple[RuleTest, ...]


def parse_suite(data: object, outside: Outside) -> Suite:
    """Read a file of tests that is already parsed into plain data.

    Args:
        data: `{"rules": overrides, "tests": [...]}`; `docs/rules.md` describes it.
        outside: loads what the file refers to.

    Raises:
        RulesError: names the place, such as `tests[2].expect.verdct`, and the nearest valid key.
        FileUnreadable: a file of curves cannot be read.
    """
    top = _table("file", data, ("rules", "tests"))
    config = RulesConfig.from_mapping(_table("rules", top.get("rules") or {}))
    tests = _list("tests", top.get("tests"))
    if not tests:
        raise RulesError("tests", "is empty", "write at least one test")
    found = tuple(_test(f"tests[{k}]", item, outside) for k, item in enumerate(tests))
    names = [test.name for test in found]
    for k, name in enumerate(names):
        if name in names[:k]:
            raise RulesError(f"tests[{k}].name", f"{name!r} is used twice", "give each test a name of its own")
    return Suite(config=config, tests=found)


def _test(place: str, data: object, outside: Outside) -> RuleTest:
    item = _table(place, data, _TEST)
    name, unit, loss = item.get("name"), item.get("unit", "step"), item.get("loss")
    if not isinstance(name, str) or not name.strip():
        raise RulesError(f"{place}.name", "is missing" if name is None else f"is {name!r}", "say what is tested")
    place = f"{place} {name!r}"
    if unit not in ("step", "epoch"):
        raise RulesError(f"{place}.unit", f"is {unit!r}", "write step or epoch")
    if isinstance(loss, str):
        loss = outside.loss(loss)
    series = {
        role: _series(f"{place}.{key}", item[key], role, outside)
        for key, role in SERIES.items()
        if item.get(key) is not None
    }
    if Role.TRAIN not in series and Role.VAL not in series:
        raise RulesError(place, "has no losses", "write train, val or both")
    parts, weights = _parts(place, item, outside)
    config = item.get("config")
    return RuleTest(
        name=name,
        series=series,
        expect=_expect(f"{place}.expect", item.get("expect")),
        unit=str(unit),
        loss=None if loss is None else _table(f"{place}.loss", loss),
        config=None if config is None else _table(f"{place}.config", config),
        parts=parts,
        weights=weights,
    )


def _parts(
    place: str, item: Mapping[str, object], outside: Outside
) -> tuple[dict[str, Floats], dict[str, Floats | float]]:
    """The parts of a composite loss, and their weights."""
    found = _table(f"{place}.parts", item.get("parts") or {})
    parts = {
        name: _series(f"{place}.parts.{name}", data, Role.PART, outside, column=f"loss/{name}", salt=16 + k)
        for k, (name, data) in enumerate(found.items())
    }
    weights: dict[str, Floats | float] = {}
    for name, data in _table(f"{place}.weights", item.get("weights") or {}).items():
        if name not in parts:
            raise RulesError(f"{place}.weights.{name}", "is no part of this test", suggestion(name, parts))
        where = f"{place}.weights.{name}"
        weights[name] = float(data) if is_real(data) else _series(where, data, Role.PART, outside, column=name)
    return parts, weights


def _series(
    place: str, data: object, role: Role, outside: Outside, *, column: str | None = None, salt: int | None = None
) -> Floats:
    if isinstance(data, Mapping) and "file" in data:
        item = _table(place, data, ("file", "column"))
        path, named = item["file"], item.get("column", column)
        if not isinstance(path, str) or not (named is None or isinstance(named, str)):
            raise RulesError(place, "names no file or column", "write {file: losses.csv, column: train_loss}")
        return outside.series(path, named, role)
    if isinstance(data, Mapping):
        return generate(_table(place, data), place, ROLE_CODES[role] if salt is None else salt)
    rows = []
    for k, pair in enumerate(_list(place, data)):
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise RulesError(f"{place}[{k}]", f"is {pair!r}", "write [step, value]")
        rows.append([_number(f"{place}[{k}]", value, "write [step, value]") for value in pair])
    return np.array(rows, dtype=float).reshape(-1, 2)


def _expect(place: str, data: object) -> Expectation:
    item = _table(place, data, _EXPECT)
    if not item:
        raise RulesError(place, "is empty", f"expect at least one of {', '.join(_EXPECT)}")
    rules = [rule.spec.name for rule in all_rules()]
    firing = item.get("firing")
    findings = [_table(f"{place}.findings[{k}]", f, _FINDING) for k, f in enumerate(_list(place, item.get("findings")))]
    verdict = item.get("verdict")
    return Expectation(
        verdict=None if verdict is None else _word(f"{place}.verdict", verdict, (*rules, *CALM)),
        firing=None if firing is None else _words(f"{place}.firing", firing, rules),
        never=_words(f"{place}.never", item.get("never"), rules),
        findings=tuple(_finding(f"{place}.findings[{k}]", found, rules) for k, found in enumerate(findings)),
        recommendation=_advice(f"{place}.recommendation", item.get("recommendation")),
    )


def _finding(place: str, item: Mapping[str, object], rules: Sequence[str]) -> Mapping[str, Wanted]:
    if "rule" not in item:
        raise RulesError(place, "names no rule", "write rule: and its name")
    known = {"rule": rules, "state": (FindingState.FIRING, FindingState.RESOLVED), "severity": tuple(Severity)}
    return {
        key: _word(f"{place}.{key}", value, known[key]) if key in known else _span(f"{place}.{key}", value)
        for key, value in item.items()
    }


def _advice(place: str, data: object) -> Mapping[str, Wanted]:
    item = _table(place, data or {}, _ADVICE)
    return {
        key: _word(f"{place}.{key}", value, tuple(Action)) if key == "action" else _span(f"{place}.{key}", value)
        for key, value in item.items()
    }


def _span(place: str, value: object) -> Span | None:
    """The range of an expected step, given as a step or as both ends; None for null."""
    fix = "write a step, [first, last] or null"
    if value is None:
        return None
    if isinstance(value, list | tuple):
        if len(value) != 2:
            raise RulesError(place, f"is {value!r}", fix)
        low, high = (_number(place, end, fix) for end in value)
    else:
        low = high = _number(place, value, fix)
    if not low <= high:
        raise RulesError(place, f"is {value!r}", fix)
    return low, high


def _words(place: str, data: object, known: Sequence[str]) -> tuple[str, ...]:
    return tuple(_word(f"{place}[{k}]", word, known) for k, word in enumerate(_list(place, data)))


def _word(place: str, value: object, known: Iterable[str]) -> str:
    names = [str(name) for name in known]
    if not isinstance(value, str) or value not in names:
        raise RulesError(place, f"is {value!r}", suggestion(str(value), names))
    return value


def _number(place: str, value: object, fix: str) -> float:
    if is_real(value):
        return float(value)
    if isinstance(value, str) and value.strip().lower().lstrip("+-") in ("nan", "inf"):
        return float(value)
    raise RulesError(place, f"{value!r} is no number", fix)


def _list(place: str, data: object) -> Sequence[object]:
    if data is None:
        return ()
    if not isinstance(data, list | tuple):
        raise RulesError(place, f"is {str(data)[:60]!r}", "write a list")
    return data


def _table(place: str, data: object, known: Sequence[str] = ()) -> Mapping[str, object]:
    if not isinstance(data, Mapping):
        problem = "is missing" if data is None else f"is {str(data)[:60]!r}"
        raise RulesError(place, problem, f"write a table with {', '.join(known)}" if known else "write a table")
    for key in data:
        if known and key not in known:
            raise RulesError(f"{place}.{key}", "is not known", suggestion(str(key), known))
    return {str(key): value for key, value in data.items()}
