"""Helpers of `Run.log_example_losses`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import numpy as np

_SLICES: Final = 50
"""Values of a property whose mean is logged, at most; the most frequent ones."""


def listed(values: object) -> list[Any]:
    """A sequence, an array or a tensor on any device as a list."""
    tolist = getattr(values, "tolist", None)
    found = tolist() if callable(tolist) else list(values)  # type: ignore[call-overload]  # or it raises
    return found if isinstance(found, list) else [found]


def series_of(split: str, found: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a summary that are logged as series."""
    names = {"top_share": "top_share", "suspects": "suspect_count", "gradient_share": "gradient_share"}
    return {
        f"examples/{split}/{name}": float(found[field]) for name, field in names.items() if found[field] is not None
    }


def means(split: str, losses: Sequence[float], slices: Mapping[str, object]) -> dict[str, float]:
    """The mean loss of each slice, by series name.

    Args:
        split: the data set, such as "val".
        losses: n losses.
        slices: n values for each property.

    Raises:
        ValueError: a property does not have n values.

    >>> means("val", [1.0, 2.0, 4.0], {"scene": ["day", "night", "night"]})
    {'val/loss{scene=night}': 3.0, 'val/loss{scene=day}': 1.0}
    """
    found: dict[str, float] = {}
    values = np.asarray(losses, np.float64)
    for name, given in slices.items():
        groups: dict[Hashable, list[int]] = {}
        each = listed(given)
        if len(each) != len(values):
            raise ValueError(f"slices[{name!r}] has {len(each)} values, there are {len(values)} losses")
        for row, value in enumerate(each):
            groups.setdefault(value, []).append(row)
        largest = sorted(groups.items(), key=lambda group: -len(group[1]))[:_SLICES]
        found |= {f"{split}/loss{{{name}={value}}}": float(values[rows].mean()) for value, rows in largest}
    return found
