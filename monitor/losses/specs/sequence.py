"""Losses for sequences with unknown alignment."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from monitor.errors import LossError
from monitor.losses.specs.parameters import checked, whole
from monitor.losses.specs.search import golden
from monitor.losses.specs.spec import LossSpec


@dataclass(frozen=True, slots=True)
class CTC(LossSpec):
    """Connectionist temporal classification, `-ln` of the total probability of all alignments.

    A fresh network gives each of the C symbols (including the blank) the same probability. Chance is the best
    distribution that is the same in every frame. Both sum over the alignments of L labels, r of which equal their
    neighbour: labels may be stretched, gaps filled with blanks, and equal neighbours need a blank between them. torch's
    mean divides by L as well.

    Args:
        classes: C, including the blank, >= 2.
        input_length: T, frames per sequence.
        target_length: L, labels per sequence.
        repeats: r, labels that equal their left neighbour.

    Source: Graves et al. 2006, doi:10.1145/1143844.1143891; the count by stars and bars, tested against torch.

    Example:
        >>> round(CTC(5, input_length=2, target_length=1).initial_level, 4)
        2.1203
    """

    classes: int | None = checked(None, whole, at_least=2)
    _: KW_ONLY
    input_length: int | None = checked(None, whole, at_least=1)
    target_length: int | None = checked(None, whole, at_least=1)
    repeats: int = checked(0, whole, at_least=0)

    kind: ClassVar[str] = "ctc"
    _chance_formula: ClassVar[str] = "best share of blanks, labels alike"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "The loss is infinite where a target does not fit its frames; zero_infinity hides such samples.",
        "A long plateau where only blanks are predicted is usual: that is the chance level.",
        "torch's mean divides by the target length, other frameworks' do not.",
    )

    def _check(self) -> None:
        frames, labels = self.input_length, self.target_length
        if frames is not None and labels is not None and frames < labels + self.repeats:
            problem = f"{labels} labels with {self.repeats} repeats do not fit {frames} frames"
            raise LossError(self.kind, problem, "give more frames; such a sequence's loss is infinite")

    def _constant(self, blank: float) -> float | None:
        """The loss of one distribution for all frames: this probability for the blank, equal ones for the labels.

        With j blanks, the other frames stretch L labels in `binomial(T - j - 1, L - 1)` ways, and the blanks fall into
        `L + 1` gaps, of which r must not be empty, in `binomial(j - r + L, L)` ways.
        """
        frames, labels = self.input_length, self.target_length
        if self.classes is None or frames is None or labels is None:
            return None
        other = math.log1p(-blank) - math.log(self.classes - 1)
        terms = [
            _ways(frames - j - 1, labels - 1)
            + _ways(j - self.repeats + labels, labels)
            + j * math.log(blank)
            + (frames - j) * other
            for j in range(self.repeats, frames - labels + 1)
        ]
        top = max(terms)
        total = -top - math.log(math.fsum(math.exp(term - top) for term in terms))
        return total / labels if self.reduction == "mean" else total

    @property
    def chance_formula(self) -> str:
        """In words."""
        return "" if self.initial_level is None else self._chance_formula  # the chance level takes a search

    @property
    def chance_level(self) -> float | None:
        """The best distribution for all frames: mostly blanks if there are many frames."""
        if self.initial_level is None:
            return None

        def cost(blank: float) -> float:
            return self._constant(blank) or 0.0

        return cost(golden(cost, 1e-9, 1 - 1e-9))

    @property
    def initial_level(self) -> float | None:
        """Equal probabilities in every frame."""
        return None if self.classes is None else self._constant(1 / self.classes)


def _ways(top: int, bottom: int) -> float:
    """The logarithm of the binomial coefficient."""
    return math.lgamma(top + 1) - math.lgamma(bottom + 1) - math.lgamma(top - bottom + 1)
