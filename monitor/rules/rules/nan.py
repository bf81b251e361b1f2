"""Rule `nan`: a loss that is not a finite number."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Action, Severity
from monitor.domain.formats import position
from monitor.roles import Role
from monitor.rules.describe.features import Features
from monitor.rules.rule import LOUD, Quiet, Reading, Spec, Threshold


class Nan:
    """A training or validation loss is NaN or infinite.

    Fires at the first such point, at its exact step. It resolves after eight checks at which both losses are finite
    again, since mixed precision with a loss scaler skips such a step.

    Example:
        >>> from monitor.rules import diagnose
        >>> bad = diagnose([(0, 1.0), (1, 0.9), (2, float("nan"))])
        >>> bad.verdict, bad.findings[0].fired_step
        ('nan', 2.0)

    Source:
        IEEE 754; Micikevicius et al., Mixed Precision Training (ICLR 2018), for the step that is skipped.
    """

    spec = Spec(
        name="nan",
        severity=Severity.CRITICAL,
        rank=4,
        action=Action.INVESTIGATE,
        reads=(Role.TRAIN, Role.VAL),
        urgent=True,
        counts=True,
        relief=8,
        thresholds={
            "confirm": Threshold(
                default=2, low=1, high=1000, doc="non-finite training losses in a row before a stop is recommended"
            )
        },
    )

    def check(self, run: Features, limits: Mapping[str, float], firing: bool) -> Reading | None:
        """Holds while the latest point of either loss is not finite."""
        state = run.state
        if not state.nan_train and not state.nan_val:
            return None
        return Reading(
            state.nan_last if not firing else state.nan_first,
            {
                "train_in_a_row": int(state.nan_train),
                "val_in_a_row": int(state.nan_val),
                "non_finite": int(state.non_finite),
                "first_step": state.nan_first,
                "confirm": limits["confirm"],
            },
            sure=True,
        )

    def quiet(self, run: Features, limits: Mapping[str, float], firing: bool) -> Quiet:
        """All finite losses."""
        return LOUD if firing else Quiet()

    def explain(self, reading: Reading, unit: str) -> tuple[str, str]:
        e = reading.evidence
        which = "training" if e["train_in_a_row"] else "validation"
        many = max(int(e["train_in_a_row"] or 0), int(e["val_in_a_row"] or 0))
        return (
            f"The {which} loss has been non-finite since {position(unit, reading.onset)} ({many} in a row so far).",
            "Lower the learning rate, clip gradients, check the data for NaN and the loss for log(0) or 0/0, "
            "and go back to a checkpoint from before this step.",
        )
