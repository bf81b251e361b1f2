"""Which findings silence which: the one place where rules interact.

A rule asks its question as if it were the only one. If two answers cannot both be useful, the more serious one stands:
a run that diverges is neither converged nor stagnant.
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
    "rising_part": ("divergence",),
    "goal_plateau": ("goal_decline",),
    "improving": ("divergence", "overfitting", "stagnation", "convergence"),
}
"""By rule, the rules whose findings silence it while firing or likely. A non-finite training loss silences them all."""


def silenced(name: str, state: State) -> bool:
    """Whether a rule is silenced by the findings of others."""
    others = SILENCED_BY.get(name)
    if others is None:
        return False
    if state.nan_train > 0:
        return True
    for other in others:
        slot = state.slots.get(other)
        if slot is not None and slot.phase in (FIRING, LIKELY):
            return True
    return False


def ended(name: str, state: State) -> bool:
    """Whether a finding resolves at once, because one that silences it fires."""
    slots = state.slots
    return any(other in slots and slots[other].phase == FIRING for other in SILENCED_BY.get(name, ()))
