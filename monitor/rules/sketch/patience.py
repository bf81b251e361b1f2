"""What simple early stopping would have done: stop after ten evaluations in a row without a new best validation loss.

It is shown next to the engine's own advice, so that a reader sees what the rules add to the callback that everybody
has.

Source:
    Keras `EarlyStopping`, patience 10 and min_delta 0, on the validation loss; Prechelt, Early Stopping - But When?
    (1998), criterion UP, for its weakness: it stops because of noise, and at the first hump.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from monitor.domain import Patience
from monitor.domain.formats import number, position

if TYPE_CHECKING:
    from monitor.rules.sketch.state import State

Floats = NDArray[np.float64]
PATIENCE: Final = 10
"""It stops after this many evaluations in a row without a new best."""
_FEW: Final = 24
"""With fewer values, a loop is faster than arrays."""


def wait(state: State, value: float, step: float) -> None:
    """Count one evaluation, in place. Pass infinity for one that is not finite: it is not a new best."""
    if not math.isnan(state.patience_step):
        return
    if value < state.patience_best:
        state.patience_best, state.patience_waited = value, 0.0
        return
    state.patience_waited += 1
    if state.patience_waited >= PATIENCE:
        state.patience_step = step


def wait_many(state: State, values: Floats, steps: Floats) -> None:
    """`wait` for many evaluations; arrays (n,), finite."""
    if not math.isnan(state.patience_step):
        return
    if len(values) < _FEW:
        for value, step in zip(values.tolist(), steps.tolist(), strict=True):
            wait(state, value, step)
        return
    before = np.minimum.accumulate(np.concatenate(((state.patience_best,), values)))
    better = np.flatnonzero(values < before[:-1])
    last = np.concatenate(((-1 - int(state.patience_waited),), better))  # where each wait began
    waited = np.concatenate((better, (len(values),))) - last - 1
    over = np.flatnonzero(waited >= PATIENCE)
    if len(over):
        at = int(last[over[0]]) + PATIENCE
        state.patience_best, state.patience_waited = float(before[at + 1]), float(PATIENCE)
        state.patience_step = float(steps[at])
    else:
        state.patience_best, state.patience_waited = float(before[-1]), float(waited[-1])


def resume(state: State, step: float) -> None:
    """Account for a run that was resumed from `step`: a stop after it has not happened, and the wait starts anew."""
    if not state.patience_step < step:
        curve = state.curves[1]
        state.patience_best, state.patience_waited, state.patience_step = curve.best, 0.0, math.nan


def compared(state: State) -> Patience | None:
    """What patience would have done; None without a validation loss."""
    curve = state.curves[1]
    if not curve.n or not math.isfinite(state.patience_best):
        return None
    if math.isnan(state.patience_step):
        said = f"Patience {PATIENCE} would not have stopped so far."
        return Patience(evals=PATIENCE, stop_step=None, best_loss=None, missed=None, explanation=said)
    way = curve.first - curve.best
    missed = min(max((state.patience_best - curve.best) / way, 0.0), 1.0) if 0 < way < math.inf else 0.0
    said = f"Patience {PATIENCE} would have stopped at {position(state.unit, state.patience_step)}"
    if missed:
        said += (
            f" with a best loss of {number(state.patience_best)}, missing {_share(missed)} of the fall from "
            f"{number(curve.first)} to {number(curve.best)}."
        )
    else:
        said += " without missing any improvement so far."
    return Patience(
        evals=PATIENCE,
        stop_step=state.patience_step,
        best_loss=state.patience_best,
        missed=float(f"{missed:.6g}"),
        explanation=said,
    )


def _share(value: float) -> str:
    """A share in percent with two digits; a tiny one is not shown as zero.

    >>> _share(0.031), _share(0.5), _share(0.0004), _share(0.999)
    ('3.1%', '50%', 'less than 0.1%', '100%')
    """
    if value < 0.001:
        return "less than 0.1%"
    return f"{100 * value:.2g}%" if value < 0.095 else f"{100 * value:.0f}%"
