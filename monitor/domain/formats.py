"""Formats numbers, steps and times for people: in the terminal, the dashboard and alerts alike."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, tzinfo
from typing import Final

from monitor.domain.plain import whole

NOTHING: Final = "–"
"""Shown in place of a missing number."""


def number(value: float | None, digits: int = 4) -> str:
    """A measured value with about `digits` significant digits. An int is exact.

    >>> number(0.41236), number(12345.678), number(3.2e-9), number(float("nan")), number(None), number(12_000_000)
    ('0.4124', '12,346', '3.2e-09', 'NaN', '–', '12,000,000')
    >>> number(-0.0), number(7722.4, 3), number(999.7, 3)
    ('0', '7,722', '1,000')
    """
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    rounded = f"{value or 0.0:.{digits}g}"  # "0" rather than "-0"
    # The bound is that of what is shown: "1,000" rather than "1e+03" for 999.7, and "150" in two digits.
    in_full = abs(value) < 1e7 and abs(float(rounded)) >= min(1000, 10**digits)
    return f"{value:,.0f}" if in_full else rounded


def step(value: float | None) -> str:
    """A step with thousands separators.

    >>> step(12000.0), step(1.5), step(0.1 + 0.2), step(None)
    ('12,000', '1.5', '0.3', '–')
    """
    exact = whole(value)
    if exact is None or isinstance(exact, int):
        return NOTHING if exact is None else f"{exact:,}"
    return f"{round(exact, 6):,}" if abs(exact) >= 0.001 else f"{exact:.4g}"


def position(unit: str, value: float) -> str:
    """A position on the x axis.

    Args:
        unit: what positions count: step, epoch, token.

    >>> position("step", 1_234_567.0), position("epoch", 0.1 + 0.2)
    ('step 1,234,567', 'epoch 0.3')
    """
    return f"{unit} {step(value)}"


def plain(value: object) -> str:
    """Any value of evidence or configuration.

    >>> plain(0.123456), plain(40_000), plain(2024), plain(True), plain(None), plain("adam")
    ('0.12346', '40,000', '2024', 'yes', '–', 'adam')
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value, 5)
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def count(n: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "run"), count(1200, "run")
    ('1 run', '1,200 runs')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def times(share: float) -> str:
    """A share in percent; as a factor if it is large.

    >>> times(0.043), times(0.5), times(29.2), times(4e9)
    ('4.3%', '50%', '29 times', 'many times')
    """
    if share < 10:
        return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
    return factor(share)


def factor(ratio: float) -> str:
    """How many times as large.

    >>> factor(2.4), factor(29.2), factor(4e9)
    ('2 times', '29 times', 'many times')
    """
    return f"{ratio:.0f} times" if ratio < 1000 else "many times"


def duration(ms: float) -> str:
    """A duration in its two largest units.

    >>> duration(900), duration(75_000), duration(3_720_000), duration(200_000_000)
    ('0.9 s', '1 min 15 s', '1 h 2 min', '2 d 7 h')
    """
    seconds = max(0.0, ms / 1000)
    if seconds < 9.95:  # the bounds are those of what is shown: "10 s" rather than "10.0 s", "1 min" rather than "60 s"
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    whole_s = max(60, int(seconds))
    for big, small, size, part in (("min", "s", 60, 1), ("h", "min", 3600, 60), ("d", "h", 86_400, 3600)):
        if whole_s < size * (60 if big != "h" else 24) or big == "d":
            rest = whole_s % size // part
            return f"{whole_s // size} {big}" + (f" {rest} {small}" if rest else "")
    raise AssertionError("days take whatever is left")


def seconds(text: str) -> float | None:
    """Parse a duration, as people or `duration` write it, to seconds; None if it is not one.

    >>> seconds("30m"), seconds("1.5 h"), seconds("2d"), seconds("1 h 2 min"), seconds("soon"), seconds("0m")
    (1800.0, 5400.0, 172800.0, 3720.0, None, None)
    """
    if not _LENGTH.fullmatch(text):
        return None
    found = sum(float(size) * _UNITS[unit.lower()] for size, unit in _PART.findall(text))
    return found if 0 < found < math.inf else None


_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|min|m|h|d|w)", re.IGNORECASE)
_LENGTH: Final = re.compile(rf"\s*(?:{_PART.pattern}\s*){{1,5}}", re.IGNORECASE)


def ago(ms: int | None, now_ms: int) -> str:
    """How long ago a time was, in one unit.

    >>> ago(1_000, 1_500), ago(0, 42_000), ago(0, 7_300_000), ago(None, 5)
    ('just now', '42 s ago', '2 h ago', '–')
    """
    if ms is None:
        return NOTHING
    seconds = (now_ms - ms) / 1000
    if seconds < 2:
        return "just now"
    for unit, size, limit in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 48 * 3600)):
        if seconds < limit:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds // 86_400)} d ago"


def deletion(ms: int, days: float, now_ms: int) -> tuple[str, str]:
    """When a run was deleted, and how long it can still be restored.

    Args:
        ms: when, milliseconds since the epoch; far in the future for a run that MLflow has deleted.
        days: how long a deleted run is kept.

    >>> deletion(0, 7, 86_400_000), deletion(0, 1, 86_400_000), deletion(253_402_300_799_000, 7, 0)
    (('24 h ago', '6.0 days'), ('24 h ago', 'until the next gc'), ('in MLflow', 'until `mlflow gc`'))
    """
    if ms > now_ms + 366 * 86_400_000:
        return "in MLflow", "until `mlflow gc`"
    left = days - (now_ms - ms) / 86_400_000
    return ago(ms, now_ms), f"{left:.1f} days" if left > 0 else "until the next gc"


def clock(ms: int | None, zone: tzinfo = UTC) -> str:
    """A time as date and time of day in a time zone.

    >>> clock(0), clock(None), clock(2**60)
    ('1970-01-01 00:00:00', '–', '1,152,921,504,606,846,976 ms')
    """
    if ms is None:
        return NOTHING
    try:
        return datetime.fromtimestamp(ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # beyond the calendar
        return f"{ms:,} ms"


def points(train: int, val: int, goal: int) -> str:
    """The number of judged points by kind. Kinds that the run does not log are left out.

    >>> points(40, 0, 0), points(4000, 40, 7), points(0, 0, 60)
    ('40 training points', '4,000 training, 40 validation and 7 goal points', '60 goal points')
    """
    found = [f"{n:,} {what}" for n, what in ((train, "training"), (val, "validation"), (goal, "goal")) if n]
    *first, last = found or ["no"]
    return (f"{', '.join(first)} and {last}" if first else last) + " points"
