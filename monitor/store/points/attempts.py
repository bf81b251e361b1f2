"""Which points of a series are its curve, where a run was started again from an earlier step.

A point of an older attempt is hidden from the curve if its step is at or above the lowest step that a newer attempt has
logged in the same series; it stays readable by its attempt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def limits(first_steps: Iterable[tuple[int, int]]) -> Mapping[int, int | None]:
    """From where the steps of each attempt are hidden.

    Args:
        first_steps: (attempt, lowest step) of each chunk, in any order.

    Returns:
        By attempt, the step from which newer attempts hide it; None where nothing is hidden.

    >>> dict(limits([(1, 0), (2, 40), (3, 60)]))
    {3: None, 2: 60, 1: 40}
    """
    lowest: dict[int, int] = {}
    for attempt, step in first_steps:
        lowest[attempt] = min(step, lowest.get(attempt, step))
    result: dict[int, int | None] = {}
    limit: int | None = None
    for attempt in sorted(lowest, reverse=True):
        result[attempt] = limit
        limit = lowest[attempt] if limit is None else min(limit, lowest[attempt])
    return result
