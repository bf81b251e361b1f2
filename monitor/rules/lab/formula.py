"""Curves given by a formula, for tests of rules: `{formula: "2/(1+step/80)", steps: "0..1500/10", noise: 0.05}`.

A formula is arithmetic on `step`, and on `i`, the index of the point from 0. A small evaluator reads it. It knows only
the nodes and names listed here: no attributes, no strings, and no calls except of these functions.

Example:
    >>> generate({"formula": "4 / (1 + step)", "steps": "0..3"}, "train").tolist()
    [[0.0, 4.0], [1.0, 2.0], [2.0, 1.3333333333333333], [3.0, 1.0]]
"""

from __future__ import annotations

import ast
import math
import re
import sys
from collections.abc import Callable, Mapping
from typing import Final, TypeGuard

import numpy as np

from monitor.errors import RulesError, suggestion
from monitor.rules.sketch.noise import Floats

KEYS: Final = ("formula", "steps", "noise", "seed")
MAX_POINTS: Final = 10_000_000
MAX_FORMULA: Final = 1000
"""Most characters of a formula."""

_CONSTANTS: Final = {"pi": math.pi, "e": math.e, "nan": math.nan, "inf": math.inf}
_ONE: Final[Mapping[str, Callable[[Floats], Floats]]] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs, "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
    "floor": np.floor,
}  # fmt: skip
_TWO: Final[Mapping[str, Callable[[Floats, Floats], Floats]]] = {"min": np.fmin, "max": np.fmax}
_BINARY: Final[Mapping[type[ast.operator], Callable[[Floats, Floats], Floats]]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide, ast.Pow: np.power,
    ast.Mod: np.mod, ast.FloorDiv: np.floor_divide,
}  # fmt: skip
_UNARY: Final[Mapping[type[ast.unaryop], Callable[[Floats], Floats]]] = {
    ast.USub: np.negative, ast.UAdd: np.positive, ast.Not: lambda x: _number(x == 0),
}  # fmt: skip
_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Floats, Floats], Floats]]] = {
    ast.Lt: np.less, ast.LtE: np.less_equal, ast.Gt: np.greater, ast.GtE: np.greater_equal, ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}  # fmt: skip
_NAMES: Final = ("step", "i", *_CONSTANTS, *_ONE, *_TWO)
_RANGE: Final = re.compile(r"\s*(-?[\d.]+)\s*\.\.\s*(-?[\d.]+?)\s*(?:/\s*([\d.]+))?\s*")


def generate(spec: Mapping[str, object], place: str, salt: int = 0) -> Floats:
    """The points of a series given by a formula, float64 of shape (n, 2).

    Args:
        spec: `formula`, arithmetic on `step`; `steps`, as for `steps_of`; `noise`, the standard deviation of added
            Gaussian noise, a number or a formula, default 0; `seed` of the noise, default 0.
        place: where this is written, for error messages.
        salt: makes the noise of two series with the same seed differ.

    Raises:
        RulesError: a key, the formula or the steps are invalid.
    """
    for key in spec:
        if key not in KEYS:
            raise RulesError(f"{place}.{key}", "is not known", suggestion(str(key), KEYS))
    steps = steps_of(spec.get("steps"), f"{place}.steps")
    values = evaluate(spec.get("formula"), steps, f"{place}.formula")
    noise, seed = spec.get("noise", 0.0), spec.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise RulesError(f"{place}.seed", f"is {seed!r}", "write a whole number, 0 or more")
    scale = evaluate(noise, steps, f"{place}.noise")
    if scale.any():
        values = values + scale * np.random.default_rng([seed, salt]).standard_normal(len(steps))
    return np.column_stack([steps, values])


def steps_of(given: object, place: str) -> Floats:
    """Steps, float64 of shape (n,): a list of numbers, or comma-separated ranges "first..last/stride", ends included.

    >>> steps_of("0..6/2, 4..5", "steps").tolist()
    [0.0, 2.0, 4.0, 6.0, 4.0, 5.0]

    Raises:
        RulesError: they cannot be read, or there are too many.
    """
    fix = 'write first..last/stride, such as "0..1500/10", or a list of numbers'
    if isinstance(given, list | tuple):
        if not given or not all(is_real(item) for item in given):
            raise RulesError(place, f"is {str(given)[:60]}", fix)
        return np.array(given, dtype=float)
    if not isinstance(given, str):
        raise RulesError(place, "is missing" if given is None else f"is {given!r}", fix)
    parts = []
    for text in given.split(","):
        found = _RANGE.fullmatch(text)
        try:
            first, last, stride = (float(part or 1) for part in found.groups()) if found else (0.0, -1.0, 1.0)
        except ValueError:
            raise RulesError(place, f"is {given!r}", fix) from None
        if stride <= 0 or last < first:
            raise RulesError(place, f"is {given!r}", fix)
        if (last - first) / stride > MAX_POINTS:
            raise RulesError(place, f"{text.strip()!r} has too many steps", f"write at most {MAX_POINTS:,}")
        parts.append(first + stride * np.arange(math.floor((last - first) / stride + 1e-9) + 1))
    return np.concatenate(parts)


def evaluate(formula: object, steps: Floats, place: str) -> Floats:
    """The value of a formula at every step, float64 of shape (n,); NaN or infinite where it is undefined.

    Args:
        formula: a number, or text such as `"1 + 0.5 * sin(step / 20) if step < 300 else 2"`.

    Raises:
        RulesError: it contains something unknown; names it.
    """
    if is_real(formula):
        return np.full(len(steps), float(formula))
    if not isinstance(formula, str) or len(formula) > MAX_FORMULA:
        problem = f"is longer than {MAX_FORMULA} characters" if isinstance(formula, str) else f"is {formula!r}"
        raise RulesError(place, problem, 'write arithmetic on step, such as "2/(1+step/80)"')
    known = {"step": steps, "i": np.arange(len(steps), dtype=float)}
    try:
        tree = ast.parse(formula.strip(), mode="eval")
        with np.errstate(all="ignore"):
            found = _value(tree.body, known, place)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as bad:
        if isinstance(bad, RulesError):
            raise
        raise RulesError(place, f"{formula!r:.60} is no formula ({bad})", "write arithmetic on step") from None
    return np.array(np.broadcast_to(found, steps.shape), dtype=float)


def is_real(value: object) -> TypeGuard[int | float]:
    """True for a number that fits into a float, including NaN and infinities, but not for a bool."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= sys.float_info.max
    return isinstance(value, float)


def _value(node: ast.expr, known: Mapping[str, Floats], place: str) -> Floats:  # noqa: PLR0911  # one case a node
    def of(part: ast.expr) -> Floats:
        return _value(part, known, place)

    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return np.asarray(float(number))
        case ast.Name(id=name) if name in known:
            return known[name]
        case ast.Name(id=name) if name in _CONSTANTS:
            return np.asarray(_CONSTANTS[name])
        case ast.Name(id=name):
            raise RulesError(place, f"{name!r} is not known", suggestion(name, _NAMES))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](of(left), of(right))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)](of(operand))
        case ast.BoolOp(op=op, values=values):
            parts = [of(value) != 0 for value in values]
            joined = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return _number(_fold(joined, [_number(part) for part in parts]))
        case ast.Compare(left=left, ops=ops, comparators=right) if all(type(op) in _COMPARE for op in ops):
            sides = [of(left), *(of(side) for side in right)]
            held = [_number(_COMPARE[type(op)](sides[k], sides[k + 1])) for k, op in enumerate(ops)]
            return _fold(np.multiply, held)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return np.where(of(test) != 0, of(body), of(orelse))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _call(name, [of(arg) for arg in args], place)
    raise RulesError(place, f"{ast.unparse(node)!r:.60} is not allowed", f"known are + - * / % ** and {_names()}")


def _call(name: str, args: list[Floats], place: str) -> Floats:
    if name in _ONE and len(args) == 1:
        return _ONE[name](args[0])
    if name in _TWO and len(args) >= 2:
        return _fold(_TWO[name], args)
    if name in _ONE or name in _TWO:
        raise RulesError(
            place, f"{name}() got {len(args)} values", f"give it {'one' if name in _ONE else 'two or more'}"
        )
    raise RulesError(place, f"{name}() is not known", suggestion(name, (*_ONE, *_TWO)))


def _fold(function: Callable[[Floats, Floats], Floats], parts: list[Floats]) -> Floats:
    found = parts[0]
    for part in parts[1:]:
        found = function(found, part)
    return found


def _number(truth: Floats) -> Floats:
    return np.asarray(truth, dtype=float)


def _names() -> str:
    return ", ".join(_NAMES)
