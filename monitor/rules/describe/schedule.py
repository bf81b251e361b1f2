"""Explains findings by the schedule of the learning rate, if it is logged.

A change counts if the rate differs by more than a fifth from one point to the next; the last one is remembered. A loss
that falls after a drop of the rate is explained by it, and so is a loss that goes up after a rise: the finding says so,
with the steps. If the rate has not stayed at its new value for a bucket, it is still falling, as at the end of a cosine
schedule, and explains nothing.

Source:
    Loshchilov, Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (ICLR 2017), for the jump after a restart.
"""

from __future__ import annotations

import math
from typing import Final

from monitor.domain.formats import number, position
from monitor.rules.describe.features import Features

NEAR: Final = 0.1
"""A rise of the rate explains what begins after it within this share of the run so far."""


def restarted(run: Features, first: float, last: float) -> bool:
    """Whether the learning rate rose between two steps, both included."""
    state = run.state
    return state.lr_after > state.lr_before and first <= state.lr_changed <= last


def told(change: str, onset: float, run: Features) -> tuple[dict[str, float], str]:
    """The evidence and the sentence that name a change of the learning rate; empty if none explains the finding.

    Args:
        change: the kind of change that explains such a finding, "rise" or "drop"; "" for none.
        onset: step at which the condition began.
        run: the run at the check.
    """
    state = run.state
    at, before, after = state.lr_changed, state.lr_before, state.lr_after
    if not at <= run.step or math.isnan(before):
        return {}, ""
    evidence = {"lr_changed": at, "lr_before": before, "lr_after": after}
    bucket = run.descent.step[-1] - run.descent.step[-2] if run.descent.closed > 1 else 0.0
    late = onset - at
    if change == "rise" and after > before and -bucket <= late <= NEAR * (run.step - state.first_step) + bucket:
        when = f"{late:g} {state.unit}s after" if late > 0 else "when"
        return evidence, f" It began {when} the learning rate rose from {number(before, 3)} to {number(after, 3)}."
    if change == "drop" and after < before and onset <= at <= run.step - bucket:
        fell = f"from {number(before, 3)} to {number(after, 3)} at {position(state.unit, at)}"
        return evidence, f" The learning rate fell {fell}."
    return {}, ""
