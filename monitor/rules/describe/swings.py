"""Swings of a loss: turns from bucket to bucket, and jumps within buckets. Rules and regimes share them.

Source:
    Turning points as in rainflow counting (ASTM E1049).
"""

from __future__ import annotations

import math
from typing import Final

from monitor.rules.describe.features import Features
from monitor.rules.describe.trend import turns
from monitor.rules.describe.view import View
from monitor.rules.sketch.noise import middle

SWING: Final = 0.3
"""A swing is at least this share of the level and of the descent."""
_DECADE: Final = math.log(10)
"""A swing by a factor of ten counts, whatever its share of the descent."""
_TAIL: Final = 1.5
"""The highest point of a bucket is a jump if it exceeds the rest by this many times what Gaussian noise would reach."""
_LEFT: Final = 6
"""A swing must exceed this many times the batch noise that remains in a bucket."""
_MOST: Final = 0.25
"""A swing is at least this share of the range of the levels: a small turn on a long descent does not count."""


def of_batches(run: Features, view: View) -> bool:
    """Whether a point is the loss of a batch: a training loss that is logged far more often than validation."""
    return view is run.train and view.size > 1 and run.state.train_seen > 2 * run.state.val_seen


def turned(view: View, swing: float, begin: int, end: int, need: float, *, batches: bool) -> int:
    """How often a loss turns between two buckets by a swing of this share that exceeds batch noise; 0 if too seldom.

    Args:
        need: the least number of turns that matters.
    """
    if _level(view, swing, begin, end):
        return 0  # most checks end here
    height, span = view.extent(begin, end)
    if span < _DECADE and not view.reaches(height, span, swing):
        return 0
    y = view.y[begin:end]
    if turns(y, _MOST * span) < need:
        return 0  # larger swings are no more
    left = _LEFT * _rough(view, begin, end) / math.sqrt(view.size) if batches else 0.0
    least = max(left, _MOST * span)
    if least < _DECADE and not view.reaches(height, least, swing):  # else a swing of `least` has that share anyway
        least = max(least, min(view.move(height, swing), _DECADE))
    found = turns(y, least)
    return found if found >= need else 0


def _level(view: View, swing: float, begin: int, end: int) -> bool:
    """Whether no swing between these buckets has this share, by bounds that need no logarithm and no median.

    A logarithm is less than the rise that it is of, and the median height is at most the largest.
    """
    x = view.centres[begin:end]
    low, high = min(x) - view.base, max(x) - view.base
    if low <= 0 or high >= 10 * low:
        return False
    rise = (high - low) / low
    return min(rise, 1.0) * min(high * rise / max(view.range, high), 1.0) < swing**2


def jumps_inside(view: View, swing: float, begin: int, end: int, *, batches: bool) -> bool:
    """Whether a loss swings within the buckets: up to a value far above the rest, or from point to point.

    "Far" depends on the size of the bucket: among a thousand points, the highest lies well above the rest in any run.
    Batch noise is proportional to the loss, so it reaches further up than down.
    """
    if view.size == 1:
        return False
    x, peak, noise = view.centres, view.curve.peak, view.curve.noise
    usual = _TAIL * math.sqrt(2 * math.log(view.size))

    def jump(i: int) -> float:
        if x[i] + peak[i] <= max(x[max(i - 1, 0) : i + 2]):
            return 0.0  # a loss that only rises or falls gets no further than the next level
        height = max(x[i] - view.base, 1e-300)
        up = math.log1p(peak[i] / height) if batches else peak[i] / height
        return view.share(x[i], x[i] + peak[i]) if up > usual * noise[i] / height else 0.0

    # A logarithm only makes a peak smaller, so most buckets need no more than the comparison.
    jumps = [jump(i) if peak[i] > usual * noise[i] else 0.0 for i in range(begin, end)]
    if batches:  # jumps from point to point come from the batches, slow moves from the loss
        return middle(jumps) >= swing and _rough(view, begin, end) < 0.5
    if sorted(jumps)[len(jumps) * 3 // 4] >= swing:
        return True
    return view.share(x[end - 1], x[end - 1] + middle(noise[begin:end]) / 0.954) >= swing


def _rough(view: View, begin: int, end: int) -> float:
    """The typical noise of a point, as a share of the level."""
    heights = [math.exp(y) for y in view.y[begin:end]]
    return middle([a / b for a, b in zip(view.curve.noise[begin:end], heights, strict=True)]) / 0.954
