"""What becomes of a rise: whether it is on its way back, has come back before, or has levelled off.

A spike, a shift of the data, a wave and a divergence look alike when they begin. What tells them apart is what follows,
and what the run has done before; levels are compared with the rise and the noise, never with zero.

Source:
    Ours; humps are counted as in rainflow counting (ASTM E1049), the trend is that of Mann (1945) and Kendall (1975).
"""

from __future__ import annotations

from monitor.rules.features import View
from monitor.rules.trend import mann_kendall


def comes_back(view: View, low_at: int, rise: float, enough: float) -> bool:
    """Whether a loss that has risen since its low is on its way back.

    It is while it falls from one level to the next, and where it has come down steadily since its peak, or far. One
    that over the later half of the time since its peak went down at a pace that does not take it back within twice the
    run's length so far has levelled off, however high the peak was.

    Args:
        view: five closed buckets or more.
        low_at: index of the low.
        rise: how far the level is above the low, > 0.
        enough: rise that is no return, whatever the peak was.
    """
    before, middle, now = view.xs[-3:]
    if before > middle > now and before - now > max(0.15 * rise, 3 * view.noise):
        return True
    smooth = view.way.smooth
    top_at = low_at + int(view.smooth[low_at:].argmax())
    half = top_at + (view.closed - top_at) // 2
    drop, time = smooth[half] - now, view.closed - half
    if time >= 3 and drop < max(rise * time / (2 * view.closed), 2 * view.calm):
        return False
    tau, z = mann_kendall(view.x[top_at:])
    return rise < enough or (tau <= -0.5 and z <= -2)


def seen_before(view: View, rise: float) -> bool:
    """Whether a hump has come down by as much as this rise before, and this one has not lasted much longer than it."""
    smooth = view.way.smooth
    low = top = smooth[0]
    up, longest = -1, 0
    for i, value in enumerate(smooth):
        if up < 0:
            low = min(low, value)
            if value >= low + 0.3 * rise:
                up, top = i, value
        else:
            top = max(top, value)
            if value <= min(low + 0.25 * rise, top - 0.7 * rise):
                longest, up, low = max(longest, i - up), -1, value
    return longest > 0 and (up < 0 or view.closed - up <= 1.5 * longest + 1)


def levelled(view: View, rise: float) -> bool:
    """Whether the last quarter of the buckets, four at least, hardly differ beside the rise: no wave is that flat."""
    last = view.way.smooth[-max(4, view.closed // 4) :]
    return max(last) - min(last) <= 0.03 * rise


def stays(view: View, low: float, peak: float) -> bool:
    """Whether the last three levels are near the peak, and the latest is no lower than where they began."""
    last, height = view.xs[-3:], peak - low
    return min(last) >= low + 0.8 * height and last[-1] >= last[0] - 0.02 * height
