"""Numbers as the browser gets them: base64 of the narrowest type that draws the same picture."""

from __future__ import annotations

import base64
from typing import Final

import numpy as np
from numpy.typing import NDArray

NEAR: Final = 1e-3
"""How far a value may be moved, as a share of what usually lies between it and its neighbours."""
EXACT: Final = 1e-6
"""And as a share of the value itself: six digits, where the chart shows five."""


def packed(values: NDArray[np.float64]) -> dict[str, str]:
    """Numbers in the form that Plotly.js reads too: `dtype` (i4, f4 or f8) and `bdata`.

    Whole numbers stay what they are, such as steps. NaN and infinities stay, too.

    >>> packed(np.array([1.0, 2.0]))
    {'dtype': 'i4', 'bdata': 'AQAAAAIAAAA='}
    """
    kind = _kind(np.asarray(values, np.float64))
    data = np.ascontiguousarray(values, f"<{kind}").tobytes()
    return {"dtype": kind, "bdata": base64.b64encode(data).decode("ascii")}


def _kind(values: NDArray[np.float64]) -> str:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if len(values) and np.all(np.abs(values) < 2**31) and np.array_equal(values, np.trunc(values)):
            return "i4"
        finite = values[np.isfinite(values)]
        moved = np.abs(finite.astype(np.float32) - finite)
        between = np.abs(np.diff(finite))
        usual = float(np.median(between[between > 0])) if np.any(between > 0) else np.inf
        near = bool(np.all(moved <= NEAR * usual) and np.all(moved <= EXACT * np.abs(finite)))
    return "f4" if near else "f8"
