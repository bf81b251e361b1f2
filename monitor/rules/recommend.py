"""What to do now: continue, stop or investigate, with the best step so far."""

from __future__ import annotations

import math

from monitor.domain import Action, Recommendation
from monitor.rules.features import Features
from monitor.rules.state import FIRING, TRAIN, VAL, State

STOPS = ("divergence", "overfitting")
LOOKS = ("nan", "stagnation", "oscillation", "gradient_explosion", "gradient_vanishing", "metric_missing")


def settle(state: State, run: Features) -> None:
    """Keep the steps of the stop advice in the state, after the rules were asked."""
    if any(name in state.slots and state.slots[name].phase == FIRING for name in STOPS):
        if math.isnan(state.stop_since):
            state.stop_since = run.step
        if math.isnan(state.first_stop):
            state.first_stop = run.step
    else:
        state.stop_since = math.nan


def recommend(state: State) -> Recommendation:
    """The advice that follows from a state."""
    curve = state.curves[VAL if state.curves[VAL].n else TRAIN]
    best = curve.best_step if curve.n else None
    firing = [name for name, slot in state.slots.items() if slot.phase == FIRING]
    action, reason, confidence = Action.CONTINUE, "Nothing speaks for stopping.", None
    if not curve.n and not state.non_finite:
        reason = "Nothing has been logged yet."
    if not math.isnan(state.stop_since):
        name = next(name for name in STOPS if name in firing)
        slot = state.slots[name]
        action, confidence = Action.STOP, 0.9
        reason = f"{name.capitalize()} since {state.unit} {slot.onset:g}, reported at {state.unit} {slot.fired:g}"
        reason += f"; the best {'validation' if curve is state.curves[VAL] else 'training'} loss was "
        reason += f"{curve.best:.4g} at {state.unit} {curve.best_step:g}." if curve.n else "never finite."
    else:
        for name in LOOKS:
            if name in firing:
                slot = state.slots[name]
                action = Action.INVESTIGATE
                reason = f"{name.replace('_', ' ').capitalize()} since {state.unit} {slot.onset:g}."
                break
    return Recommendation(
        action=action,
        first_stop_step=None if math.isnan(state.first_stop) else state.first_stop,
        stop_step=None if math.isnan(state.stop_since) else state.stop_since,
        best_step=best,
        best_val_loss=curve.best if curve.n else None,
        reason=reason,
        confidence=confidence,
    )
