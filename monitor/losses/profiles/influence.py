"""Measures what one bad example among many does to the best prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from monitor.losses.profiles.layout import Array, Evidence, Slice
from monitor.losses.profiles.subject import Line, Subject
from monitor.losses.specs.search import golden

EXAMPLES = 41  # odd, so that one target is the median
DISTANCES: tuple[float, ...] = (10.0, 100.0, 1000.0, 10000.0)
"""Distances of the outlier, in standard deviations of the clean examples."""


def influence(subject: Subject, lines: Sequence[Line]) -> tuple[float | None, Evidence]:
    """How one outlier among 41 examples moves the minimiser of the mean loss.

    For constants (regressions), the targets are quantiles of a normal distribution; the best constant is searched, then
    one target is moved far out. For scores, the slope of a linear score is fitted to overlapping examples, then one
    example is moved far to the wrong side.

    Returns:
        For constants, the shift of the best constant at 1000 standard deviations (or as far as float64 can represent
        the loss) relative to the mean's shift: 1 for the squared error, 0 for a loss that ignores outliers, more than 1
        for one that grows faster than the square. For scores, the share of the slope lost at 10. The worse of both
        sides counts (an outlier above or below; a positive or a negative example). None if the kind has no such
        minimiser. The evidence holds every side and distance, and the largest share of the total gradient that one
        outlier has.
    """
    shares = [gradient_share(line, sign * 100.0) for line in lines for sign in (1.0, -1.0)]
    share = max((item for item in shares if item is not None), default=None)
    if subject.kind.location == "constant":
        value, evidence = _constant(subject)
    elif subject.kind.location == "slope":
        value, evidence = _slope(subject, lines)
    else:
        value, evidence = None, {"method": "gradient share only"}
    return value, {**evidence, "gradient_share": share, "examples": EXAMPLES}


def gradient_share(line: Line, error: float = 100.0) -> float | None:
    """The share of the total gradient that one error of this size has among errors from -3 to 3."""
    usual = [abs(line.slope(x, 1e-4)) for x in np.linspace(-3, 3, EXAMPLES - 1)]
    one = abs(line.slope(error, 1e-2))
    total = one + math.fsum(usual)
    return one / total if math.isfinite(total) and total > 0 else None


def quantiles(mean: float = 0.0) -> Array:
    """The middles of 41 equal shares of a normal distribution; shape (41,)."""
    return np.array([mean + NormalDist().inv_cdf((i + 0.5) / EXAMPLES) for i in range(EXAMPLES)])


def minimiser(function: Callable[[float], float], grid: Array) -> float | None:
    """The minimum of a function: the best grid point, refined; None if it is at an end or nothing is finite."""
    values = np.array([function(float(item)) for item in grid])
    values = np.where(np.isfinite(values), values, np.inf)
    best = int(values.argmin())
    if not np.isfinite(values[best]) or best in (0, len(grid) - 1):
        return None
    return golden(function, float(grid[best - 1]), float(grid[best + 1]), rounds=45)


def _constant(subject: Subject) -> tuple[float | None, Evidence]:
    counts = subject.kind.name == "count"
    fixed_one = subject.kind.slices[0].fixed
    centre = float(str(fixed_one[0][0]))
    clean = centre + quantiles()
    if counts:
        clean = np.asarray(np.round(np.abs(2 + 1.4 * quantiles())), dtype=np.float64)

    def best(targets: Array) -> float | None:
        fixed = (targets, *(np.repeat(item, EXAMPLES, 0) for item in fixed_one[1:]))

        def cost(constant: float) -> float:
            return subject.value(np.full((EXAMPLES, 1), constant), fixed)

        if counts:
            return minimiser(cost, np.linspace(-4.0, math.log(max(4.0, float(targets.max()))) + 2, 61))
        if not math.isfinite(cost(centre)):
            return None  # float64 cannot represent the loss of such an error
        low, high = (math.asinh(max(4.0, float(end))) for end in (centre - targets.min(), targets.max() - centre))
        return minimiser(cost, centre + np.sinh(np.linspace(-low - 0.2, high + 0.2, 121)))

    start = best(clean)
    if start is None:
        return None, {"method": "best constant", "problem": "the loss has no minimum over constants"}
    sides = {word: _shifted(best, clean, centre, sign, start, counts=counts) for word, sign in _SIDES[: 2 - counts]}
    known = {word: side["share"] for word, side in sides.items()}
    found = {word: abs(float(str(item))) for word, item in known.items() if item is not None}
    evidence: Evidence = {"method": "best constant of 41 normal targets, the middle one moved out", "sides": sides}
    if not found:
        return None, evidence
    worse = max(found, key=found.__getitem__)
    return round(found[worse], 6), {**evidence, "worse": worse, **sides[worse]}


_SIDES = (("above", 1.0), ("below", -1.0))


def _shifted(
    best: Callable[[Array], float | None], clean: Array, centre: float, sign: float, start: float, *, counts: bool
) -> Evidence:
    """How far the best constant follows one target that is moved to one side."""
    shifts: dict[str, float | None] = {}
    shares: dict[str, float | None] = {}
    for far in DISTANCES:
        targets = clean.copy()
        targets[EXAMPLES // 2] = far if counts else centre + sign * far
        moved = best(targets)
        if counts:
            shift = None if moved is None else math.exp(moved) - math.exp(start)
        else:
            shift = None if moved is None else moved - start
        usual = float(targets[EXAMPLES // 2] - clean[EXAMPLES // 2]) / EXAMPLES
        shifts[f"{far:g}"] = shift
        shares[f"{far:g}"] = None if shift is None else shift / usual
    known = [share for share in list(shares.values())[:3] if share is not None]
    share = known[-1] if known else None  # at 1000, or as far as float64 can represent the loss
    return {
        "shift_at": shifts,
        "relative_to_mean": shares,
        "tends_to": _tendency([shifts[f"{far:g}"] for far in DISTANCES]),
        "share": share,
    }


def _tendency(shifts: Sequence[float | None]) -> str:
    """Whether the shift grows with the outlier's distance, levels off, or returns."""
    known = [abs(item) for item in shifts if item is not None]
    if len(known) < len(shifts):
        return "unknown"
    if known[-1] < 0.5 * max(known) or known[-1] < 1e-6:
        return "redescending"
    return "bounded" if known[-1] < 1.5 * known[-2] else "unbounded"


def _slope(subject: Subject, lines: Sequence[Line]) -> tuple[float | None, Evidence]:
    """For each kind of example, the lost slope of a score `slope * m`, m the signed margins, some of them negative."""
    sides = {line.slice.name: _lost(subject, line.slice) for line in lines}
    values = {name: side["share"] for name, side in sides.items()}
    known = {name: float(str(value)) for name, value in values.items() if value is not None}
    evidence: Evidence = {
        "method": "slope of a linear score over 41 overlapping examples, one moved to the wrong side",
        "sides": sides,
    }
    if not known:
        return None, evidence
    worse = max(known, key=known.__getitem__)
    return round(known[worse], 6), {**evidence, "worse": worse, **sides[worse]}


def _lost(subject: Subject, line: Slice) -> Evidence:
    """The share of the slope lost to one example far on the wrong side, at each distance."""
    clean = quantiles(1.0)

    def best(margins: Array) -> float | None:
        def cost(slope: float) -> float:
            z = np.stack([line.z(-slope * float(item)) for item in margins])
            return subject.value(z, tuple(np.repeat(item, EXAMPLES, 0) for item in line.fixed))

        return minimiser(cost, np.concatenate([[0.0], np.logspace(-5, 1.5, 53)]))

    start = best(clean)
    if start is None:
        return {"problem": "the loss has no minimum over slopes", "share": None}
    lost: dict[str, float | None] = {}
    for far in DISTANCES[:3]:
        margins = clean.copy()
        margins[EXAMPLES // 2] = -far
        moved = best(margins)
        lost[f"{far:g}"] = 1.0 if moved is None else 1 - moved / start
    return {"slope_lost_at": lost, "clean_slope": start, "share": lost["10"]}
