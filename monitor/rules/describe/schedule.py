"""What the learning rate's schedule has to do with a finding, where the learning rate is logged.

A change is one of more than a fifth from one point to the next; the last one is remembered. A loss that falls after a
drop falls because of it, one that goes up after a rise does so because of that: the finding says so, with the steps.
A rate that has not stayed for a bucket where it fell to is still falling, as at the end of a cosine, and explains
nothing.

Source:
    Loshchilov, Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (ICLR 2017), for the jump after a restart.
"""

from __future__ import annotations

import math
from typing import Final

from monitor.domain.formats import position
from monitor.rules.describe.features import Features

NEAR: Final = 0.1
"""A rise explains what begins within this share of the run so far after it."""


def restarted(run: Features, first: float, last: float) -> bool:
    """Whether the learning rate rose between two steps, both included."""
    state = run.state
    return state.lr_after > state.lr_before and first <= state.lr_changed <= last


def told(change: str, onset: float, run: Features) -> tuple[dict[str, float], str]:
    """The evidence and the sentence that name a change of the learning rate; empty where none explains the finding.

    Args:
        change: what explains such a finding, "rise" or "drop"; "" where nothing does.
        onset: step at which the condition began.
        run: at the check.
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
        return evidence, f" It began {when} the learning rate rose from {before:.3g} to {after:.3g}."
    if change == "drop" and after < before and onset <= at <= run.step - bucket:
        return evidence, f" The learning rate fell from {before:.3g} to {after:.3g} at {position(state.unit, at)}."
    return {}, ""
