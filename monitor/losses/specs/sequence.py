"""Losses over sequences whose alignment is not known."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from monitor.errors import LossError
from monitor.losses.specs.parameters import whole
from monitor.losses.specs.spec import LossSpec, register


@register
@dataclass(frozen=True, slots=True)
class CTC(LossSpec):
    """Connectionist temporal classification, `-ln` of the summed probability of all alignments.

    With equal probabilities over C symbols (blank included), each of T frames costs ln C, and all alignments cost the
    same: `T ln C - ln A`. There are `A = binomial(T + L - r, 2L)` alignments of L labels with r neighbours that are
    equal: every label may be stretched, every gap filled with blanks, and equal neighbours need a blank between.
    torch's mean divides by L as well.

    Args:
        classes: C, the blank included, >= 2.
        input_length: T, frames a sequence.
        target_length: L, labels a sequence.
        repeats: r, labels that equal their left neighbour.

    Source: Graves et al. 2006, doi:10.1145/1143844.1143891; the count by stars and bars, tested against torch.

    Example:
        >>> round(CTC(5, input_length=2, target_length=1).chance_level, 4)
        2.1203
    """

    classes: int | None = None
    _: KW_ONLY
    input_length: int | None = None
    target_length: int | None = None
    repeats: int = 0

    kind: ClassVar[str] = "ctc"

    def _check(self) -> None:
        whole(self.kind, "classes", self.classes, at_least=2)
        whole(self.kind, "input_length", self.input_length, at_least=1)
        whole(self.kind, "target_length", self.target_length, at_least=1)
        whole(self.kind, "repeats", self.repeats, at_least=0)
        short = self.input_length is not None and self.target_length is not None
        if short and (self.input_length or 0) < (self.target_length or 0) + self.repeats:
            problem = f"{self.target_length} labels with {self.repeats} repeats do not fit {self.input_length} frames"
            raise LossError(self.kind, problem, "give more frames; such a sequence's loss is infinite")

    @property
    def chance_level(self) -> float | None:
        """Equal probabilities in every frame."""
        frames, labels = self.input_length, self.target_length
        if self.classes is None or frames is None or labels is None:
            return None
        top, bottom = frames + labels - self.repeats, 2 * labels
        alignments = math.lgamma(top + 1) - math.lgamma(bottom + 1) - math.lgamma(top - bottom + 1)
        total = frames * math.log(self.classes) - alignments
        return total / labels if self.reduction == "mean" else total

    @property
    def chance_formula(self) -> str:
        """`T ln C - ln A`."""
        if self.chance_level is None:
            return ""
        over = f", over {self.target_length}" if self.reduction == "mean" else ""
        return f"{self.input_length} ln {self.classes} - ln(alignments){over}"

    def _traps(self) -> tuple[str, ...]:
        return (
            "The loss is infinite where a target does not fit its frames; zero_infinity hides such samples.",
            "A long plateau where only blanks are predicted is usual, and lies below the level of equal probabilities.",
            "torch's mean divides by the target length, other frameworks' do not.",
        )
