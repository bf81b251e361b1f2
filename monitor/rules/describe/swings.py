"""Swings of a loss: turns from bucket to bucket, and jumps within the buckets; the rules and the regimes share them.

Source:
    Turning points as in rainflow counting (ASTM E1049).
"""

from __future__ import annotations

import math
from typing import Final

from monitor.rules.describe.features import Features, View
from monitor.rules.describe.trend import turns
from monitor.rules.sketch.noise import middle

SWING: Final = 0.3
"""Share of the level and of the way that a swing is."""
_DECADE: Final = math.log(10)
"""A swing by this factor counts, whatever it is of the way."""
_TAIL: Final = 1.5
"""Times what Gaussian noise would leave that the highest point of a bucket lies above the rest, where it is a jump."""
_LEFT: Final = 6
"""Times what batch noise leaves in a bucket that a swing must exceed."""
_MOST: Final = 0.25
"""Share of all that was covered that a swing is at least: a small turn on a long way is none."""


def of_batches(run: Features, view: View) -> bool:
    """Whether a point is the loss of a batch: a training loss that is logged more often than the validation loss."""
    return view is run.train and view.size > 1 and run.state.train_seen > 2 * run.state.val_seen


def turned(view: View, swing: float, begin: int, end: int, *, batches: bool) -> int:
    """How often a loss turns round between two buckets, by a swing of this share, and by more than batch noise."""
    y = view.y[begin:end]
    left = _LEFT * _rough(view, begin, end) / math.sqrt(view.size) if batches else 0.0
    enough = min(view.move(math.exp(middle(y)), swing), _DECADE)
    return turns(y, max(enough, left, _MOST * (max(y) - min(y))))


def jumps_inside(view: View, swing: float, begin: int, end: int, *, batches: bool) -> bool:
    """Whether a loss swings within the buckets: to a highest value far above the rest, or from point to point.

    Far is above what noise leaves, by the size of the bucket: of some thousand points the highest lies well above the
    rest in any run. The noise of batches is a share of their loss, so that it goes up further than down.
    """
    if view.size == 1:
        return False
    x, peak, noise = view.centres, view.curve.peak, view.curve.noise
    usual = _TAIL * math.sqrt(2 * math.log(view.size))
    jumps = []
    for i in range(begin, end):
        height = max(x[i] - view.base, 1e-300)
        up = math.log1p(peak[i] / height) if batches else peak[i] / height
        jumps.append(view.share(x[i], x[i] + peak[i]) if up > usual * noise[i] / height else 0.0)
    if batches:  # what jumps from point to point is the batches, what moves slowly is the loss
        return middle(jumps) >= swing and _rough(view, begin, end) < 0.5
    rough = middle(noise[begin:end]) / 0.954
    return sorted(jumps)[len(jumps) * 3 // 4] >= swing or view.share(x[end - 1], x[end - 1] + rough) >= swing


def _rough(view: View, begin: int, end: int) -> float:
    """Noise of a point as a share of the level."""
    heights = [math.exp(y) for y in view.y[begin:end]]
    return middle([a / b for a, b in zip(view.curve.noise[begin:end], heights, strict=True)]) / 0.954
