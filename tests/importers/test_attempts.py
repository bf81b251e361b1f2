"""Where a training was begun again, from the steps of its points alone."""

from __future__ import annotations

import pytest

from monitor.importers.attempts import begins

FIRST = list(range(0, 60, 2))


@pytest.mark.parametrize(
    ("late", "found"),
    [
        (range(31, 45, 2), ()),  # seven late points, which other workers may have logged
        (range(31, 47, 2), (30,)),
        ([20], (30,)),  # a step that was logged before
        ([31, 58], (30,)),
        ([31, 60], ()),  # late, and then on
        (range(60, 90, 2), ()),
    ],
)
def test_late_points_are_another_attempt_where_a_step_comes_again_or_eight_are_late(
    late: list[int], found: tuple[int, ...]
) -> None:
    steps = [*FIRST, *late]
    assert begins([0] * len(steps), steps) == found


def test_points_of_another_series_in_between_change_nothing() -> None:
    steps = [*FIRST, *range(31, 47, 2)]
    both = [(key, step) for step in steps for key in (0, 1)]
    assert begins([key for key, _ in both], [step for _, step in both]) == (60,)
