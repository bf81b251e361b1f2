"""Which findings silence which: the one place where rules meet.

A rule asks its question as if it were alone. Where two answers cannot both be of use, the graver one stands: a run that
diverges is neither converged nor stagnant, and how a validation loss swings on its way up is not the trouble.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.rules.sketch.state import FIRING, LIKELY, State

SILENCED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "overfitting": ("divergence",),
    "stagnation": ("divergence", "overfitting", "oscillation"),
    "underfitting": ("divergence", "overfitting", "stagnation", "oscillation"),
    "convergence": ("divergence", "overfitting", "stagnation", "oscillation"),
    "goal_plateau": ("goal_decline",),
    "improving": ("divergence", "overfitting", "stagnation", "convergence"),
}
"""By rule, those whose finding silences it while it is out or likely; a loss that is not finite silences them all."""


def silenced(name: str, state: State) -> bool:
    """Whether a rule has nothing to say because of what others say."""
    others = SILENCED_BY.get(name)
    if others is None:
        return False
    slots = state.slots
    return state.nan_train > 0 or any(other in slots and slots[other].phase in (FIRING, LIKELY) for other in others)


def ended(name: str, state: State) -> bool:
    """Whether a finding is over at once, since one fires that leaves it nothing to say."""
    slots = state.slots
    return any(other in slots and slots[other].phase == FIRING for other in SILENCED_BY.get(name, ()))
