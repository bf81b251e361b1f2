"""Which points of a series form its curve if a run was restarted from an earlier step.

A point of an older attempt is hidden from the curve if its step is at or above the lowest step that a newer attempt has
logged in the same series. It can still be read by its attempt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def limits(first_steps: Iterable[tuple[int, int]]) -> Mapping[int, int | None]:
    """The step from which each attempt is hidden.

    Args:
        first_steps: (attempt, lowest step) of each chunk, in any order.

    Returns:
        Attempt -> the step from which newer attempts hide it; None if nothing is hidden.

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
