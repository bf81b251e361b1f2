"""Whether a loss is where guessing would put it: at the chance level of its function, or at ln(k) for k classes.

Source:
    Karpathy, A Recipe for Training Neural Networks (2019): -log(1/k) is what a softmax that knows nothing scores.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Final

from monitor.domain.formats import number
from monitor.rules.rule import Evidence
from monitor.rules.rules.initial_loss import formula_of

_FEW: Final = 12
"""Any number of classes up to this is plausible. Beyond it, every level is near the logarithm of some number."""
_USUAL: Final = (16, 20, 26, 32, 50, 64, 100, 128, 200, 256, 365, 500, 512, 1000, 1024, 10_000, 32_000, 50_257)
"""Common numbers of classes above `_FEW`; only these are named."""
_LOGS: Final = tuple(math.log(classes) for classes in _USUAL)
_LEVELS: Final = (0.6, 14.0)
"""Range of losses that may be the logarithm of a number of classes."""


def could_guess(level: float, chance: float) -> bool:
    """Whether a level could be what guessing gives.

    Args:
        level: the loss.
        chance: the chance level of the loss function, NaN if unknown.
    """
    if not math.isnan(chance):
        return abs(level - chance) <= 0.05 * abs(chance)
    if not _LEVELS[0] < level < _LEVELS[1]:
        return False
    below = max(2, math.floor(math.exp(level)))  # a model that guesses badly is a little worse than chance
    return _off(level, _classes(level)) <= 0.015 * level or level <= 1.025 * math.log(below)


def guessing(level: float, chance: float) -> dict[str, float | int]:
    """Evidence of guessing if the level is that of guessing: the `chance` level of the loss, or fitting `classes`.

    >>> guessing(2.303, math.nan), guessing(4.606, math.nan), guessing(4.5, math.nan), guessing(0.7, 0.69)
    ({'classes': 10}, {'classes': 100}, {}, {'chance': 0.69})
    """
    if not could_guess(level, chance):
        return {}
    if not math.isnan(chance):
        return {"chance": chance}
    at = bisect_left(_LOGS, level)
    nearest = min((_classes(level), *_USUAL[max(at - 1, 0) : at + 1]), key=lambda k: _off(level, k))
    named = nearest <= _FEW or (nearest in _USUAL and _off(level, nearest) <= 0.003 * level)
    return {"classes": nearest} if named else {}


def at_chance(evidence: Evidence) -> str:
    """The sentence that says so; empty if the evidence has nothing from `guessing`."""
    chance, classes = evidence.get("chance"), evidence.get("classes")
    if isinstance(chance, float):
        formula = formula_of(chance)
        return f" It is stuck at chance ({number(chance)}{f' = {formula}' if formula else ''})."
    if isinstance(classes, int):
        known = number(math.log(classes))
        return f" That is close to ln {classes} = {known}, what guessing among {classes} classes gives."
    return ""


def _classes(level: float) -> int:
    return max(2, round(math.exp(min(level, _LEVELS[1]))))


def _off(level: float, classes: int) -> float:
    return abs(level - math.log(classes))
