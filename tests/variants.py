"""Which of many variants of a test the fast suite runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

SQLITE_FIRST = ["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])]
"""For tests of what hardly depends on the database engine: PostgreSQL is slow."""


def some(cases: Iterable[tuple[Any, ...]], *, every: int) -> list[ParameterSet]:
    """The cases for `pytest.mark.parametrize`, of which only some are fast: the others are marked `slow`.

    Args:
        cases: the values of each case.
        every: the first case and each `every`-th after it are fast, >= 1.

    Example:
        @pytest.mark.parametrize("n", some([(1,), (2,), (3,)], every=2))  # 2 is slow
    """
    return [pytest.param(*case, marks=[pytest.mark.slow] * (i % every > 0)) for i, case in enumerate(cases)]
