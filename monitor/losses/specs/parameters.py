"""Validates the parameters of losses; each error names the parameter and the fix."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, field
from typing import TYPE_CHECKING, Final, TypeVar

from monitor.errors import LossError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T")


def checked(default: _T, check: Callable[..., None], **limits: object) -> _T:
    """A specification's parameter; `LossSpec` calls `check(kind, name, value, **limits)` when it is made."""
    return field(default=default, metadata={"check": functools.partial(check, **limits)})


def number(
    loss: str, name: str, value: float | None, *, above: float | None = None, at_least: float | None = None
) -> None:
    """Require a finite number within limits; None (unknown) passes.

    Args:
        loss: the loss's kind, as the user wrote it.
        above: exclusive lower limit.
        at_least: inclusive lower limit.

    Raises:
        LossError: names the parameter, its value and the allowed values.
    """
    if value is None:
        return
    wanted = f"a number above {above:g}" if above is not None else "a finite number"
    if at_least is not None:
        wanted = f"a number of at least {at_least:g}"
    bad = isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
    if bad or (above is not None and value <= above) or (at_least is not None and value < at_least):
        raise LossError(loss, f"{name} is {value!r}", f"give {name} {wanted}, or leave it out")


MOST: Final = 1_000_000_000_000
"""The largest whole parameter: no loss has more classes, and arithmetic with it is exact."""


def whole(loss: str, name: str, value: int | None, *, at_least: int) -> None:
    """Require a whole number from `at_least` to `MOST`; None passes."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise LossError(loss, f"{name} is {value!r}", f"give {name} a whole number of at least {at_least}")
    if value > MOST:
        raise LossError(loss, f"{name} is too large", f"give {name} a whole number of at most {MOST:,}")


def between(loss: str, name: str, value: float | None, *, low: float, high: float, open_ends: bool = False) -> None:
    """Require a number from `low` to `high`, or strictly between them; None passes."""
    number(loss, name, value)
    if value is None:
        return
    if not (low < value < high if open_ends else low <= value <= high):
        ends = f"strictly between {low:g} and {high:g}" if open_ends else f"from {low:g} to {high:g}"
        raise LossError(loss, f"{name} is {value!r}", f"give {name} a number {ends}")


fraction: Final = functools.partial(between, low=0, high=1)
"""Require a number from 0 to 1, or strictly between them; None passes."""


def one_of(loss: str, name: str, value: str, allowed: Sequence[str]) -> None:
    """Require one of the allowed words."""
    if value not in allowed:
        raise LossError(loss, f"{name} is {value!r}", f"write one of {', '.join(allowed)}")


def exponent(loss: str, name: str, value: int) -> None:
    """Require 1 or 2."""
    one_of(loss, name, str(value), ("1", "2"))


def weights(loss: str, name: str, value: Sequence[float] | None, length: int | None) -> None:
    """Require class weights or priors: not negative, not all zero, one per class; None passes."""
    if value is None:
        return
    for item in value:
        number(loss, name, item, at_least=0)
    if length is not None and len(value) != length:
        raise LossError(loss, f"{name} has {len(value)} entries for {length} classes", "give one entry per class")
    if not sum(value) > 0:
        raise LossError(loss, f"{name} sums to zero", "give at least one class a positive entry")


def plain(value: object) -> object:
    """A parameter as strict JSON data: tuples become lists, infinities None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def plain_fields(item: DataclassInstance) -> dict[str, object]:
    """A dataclass, and those in its fields, as strict JSON data."""
    return {name: plain(value) for name, value in asdict(item).items()}
