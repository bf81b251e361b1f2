"""Losses over classes: cross-entropy, its binary form, and language models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar

from monitor.domain import formats
from monitor.errors import LossError
from monitor.losses.specs.parameters import checked, fraction, number, one_of, weights, whole
from monitor.losses.specs.spec import LossSpec

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def entropy(masses: Sequence[float]) -> float:
    """`-sum m ln(m / M)` over masses of total M, in nats: the lowest cross-entropy of one distribution against them.

    Source: Gibbs' inequality; Cover and Thomas, Elements of Information Theory, theorem 2.6.3.

    Example:
        >>> round(entropy([0.5, 0.5]), 6)
        0.693147
    """
    total = sum(masses)
    return -sum(mass * math.log(mass / total) for mass in masses if mass > 0)


@dataclass(frozen=True, slots=True)
class CrossEntropy(LossSpec):
    """Softmax cross-entropy between logits and class labels, in nats.

    With equal logits every class gets probability 1/C and every example costs ln C. The best constant prediction is the
    distribution of the (weighted, smoothed) targets, so chance is its entropy. Smoothing by s moves the target to
    `1 - s + s/C` for the label and `s/C` for the others; the floor is that target's own entropy, above zero.
    Class weights act as torch does it: the weighted sum is divided by the labels' weights, and the smoothed part
    is weighted by each class.

    Args:
        classes: number of classes, >= 2; None if unknown, then chance is None too.
        class_weights: one weight per class, >= 0.
        priors: share of each class among the labels; any positive scale. Equal if not given.
        label_smoothing: 0 to 1.
        balanced: each class is weighted by `1 / (C share)`, so that all count equally, as in scikit-learn.

    Source: torch.nn.CrossEntropyLoss' documentation for weights; Szegedy et al. 2016, arXiv:1512.00567, section 7 for
    smoothing.

    Example:
        >>> round(CrossEntropy(classes=10).chance_level, 3)
        2.303
        >>> round(CrossEntropy(classes=10, label_smoothing=0.1).floor, 3)
        0.5
    """

    classes: int | None = None
    _: KW_ONLY
    class_weights: tuple[float, ...] | None = None
    priors: tuple[float, ...] | None = None
    label_smoothing: float = checked(0.0, fraction)
    ignore_index: int | None = None
    balanced: bool = False

    kind: ClassVar[str] = "cross_entropy"

    def _check(self) -> None:
        if self.balanced and self.class_weights is not None:
            raise LossError(self.kind, "it is balanced and has class_weights", "give one of the two")
        for name in ("class_weights", "priors"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, tuple(float(item) for item in value))
                if self.classes is None:
                    object.__setattr__(self, "classes", len(value))
        whole(self.kind, "classes", self.classes, at_least=2)
        weights(self.kind, "class_weights", self.class_weights, self.classes)
        weights(self.kind, "priors", self.priors, self.classes)

    @classmethod
    def from_targets(cls, targets: ArrayLike, *, classes: int | None = None, ignore_index: int = -100) -> CrossEntropy:
        """The specification with priors counted from labels.

        Args:
            targets: integer labels of any shape.
            classes: number of classes; by default the highest label plus one.
        """
        import numpy as np

        labels = np.asarray(targets).ravel()
        labels = labels[labels != ignore_index]
        if labels.size == 0 or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
            raise LossError(cls.kind, "the targets are not class labels", "give integers from 0 on")
        counts = np.bincount(labels, minlength=classes or 2)
        return cls(classes=len(counts), priors=tuple((counts / counts.sum()).tolist()))

    def _prior(self) -> tuple[float, ...]:
        """The share of each class, summing to 1; equal if unknown."""
        count = self.classes or 0
        given = self.priors or (1.0,) * count
        return tuple(item / sum(given) for item in given)

    def _weight(self) -> tuple[float, ...] | None:
        """One weight per class; None if all are equal."""
        if self.balanced and self.priors is not None:
            return tuple(1 / (item * len(self.priors)) if item else 0.0 for item in self._prior())
        return self.class_weights

    def _masses(self, label: int, weight: Sequence[float]) -> list[float]:
        """The weight of each class's negative log-probability in the loss of this label."""
        count, smooth = len(weight), self.label_smoothing
        masses = [smooth / count * weight[other] for other in range(count)]
        masses[label] += (1 - smooth) * weight[label]
        return masses

    def _expected(self) -> tuple[list[float], float]:
        """Masses averaged over the priors, and the divisor of the reduction per example."""
        count = self.classes or 0
        prior, given = self._prior(), self._weight()
        if not self.label_smoothing and not given:
            return list(prior), 1.0
        weight = given or (1.0,) * count
        smooth = self.label_smoothing
        masses = [w * ((1 - smooth) * p + smooth / count) for p, w in zip(prior, weight, strict=True)]
        divisor = sum(p * w for p, w in zip(prior, weight, strict=True)) if self.reduction == "mean" else 1.0
        return masses, divisor

    @property
    def chance_level(self) -> float | None:
        """Entropy of the expected target."""
        if self.classes is None:
            return None
        if self.priors is None and self._weight() is None:
            return math.log(self.classes)
        masses, divisor = self._expected()
        return entropy(masses) / divisor

    @property
    def initial_level(self) -> float | None:
        """Equal logits: ln C for every example."""
        if self.classes is None:
            return None
        if self._weight() is None:
            return math.log(self.classes)
        masses, divisor = self._expected()
        return sum(masses) / divisor * math.log(self.classes)

    @property
    def floor(self) -> float:
        """The entropy of the smoothed targets, averaged over the classes; 0 without smoothing."""
        weight = self._weight()
        if self.classes is None or not self.label_smoothing:
            return 0.0
        if not weight:
            return self._alike()
        prior = self._prior()
        divisor = sum(p * w for p, w in zip(prior, weight, strict=True)) if self.reduction == "mean" else 1.0
        return sum(p * entropy(self._masses(i, weight)) for i, p in enumerate(prior) if p > 0) / divisor

    def _alike(self) -> float:
        """The entropy of a smoothed target without class weights, for any number of classes."""
        count = self.classes or 2
        other = self.label_smoothing / count
        own = 1 - self.label_smoothing + other
        rest = (count - 1) * other * math.log(other) if other > 0 else 0.0
        return -(own * math.log(own)) - rest

    @property
    def lowest(self) -> float:
        """A perfect prediction of the cheapest label, of which a whole batch may consist."""
        weight = self._weight()
        if self.classes is None or not self.label_smoothing or not weight:
            return self.floor
        divide = self.reduction == "mean"
        each = [(entropy(self._masses(i, weight)), w) for i, w in enumerate(weight)]
        return min(cost / w for cost, w in each if w > 0) if divide else min(cost for cost, _ in each)

    @property
    def chance_formula(self) -> str:
        """`ln C`, or the entropy in words."""
        if self.classes is None:
            return ""
        if self.priors is None and (self.class_weights is None or not self.label_smoothing):
            if self.class_weights is None:
                return f"ln {self.classes}"
            return "entropy of the class weights"
        return "entropy of the class priors"

    def _traps(self) -> tuple[str, ...]:
        found = []
        if self.priors is not None and max(self._prior()) > 2 * min(self._prior()):
            found.append(
                "The classes are not balanced: predicting their shares scores "
                f"{formats.number(self.chance_level, 3)}, below the {formats.number(self.initial_level, 3)} of equal "
                "logits, without looking at the input."
            )
        if self.label_smoothing:
            found.append(
                f"Label smoothing raises the floor to {formats.number(self.floor, 3)}; validation without smoothing "
                "has floor 0."
            )
        if self.class_weights is not None or self.balanced:
            found.append("Class weights change the loss's scale; compare runs by skill, not by loss.")
        if self.classes is None:
            found.append("The number of classes is not known; pass classes=... to get the chance level.")
        found.append("A pretrained start lies below ln C from the first step.")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class BinaryCrossEntropy(LossSpec):
    """Binary cross-entropy, one or many independent labels, in nats.

    A zero logit means probability 1/2 and costs ln 2, times `pos_weight` for a positive. The best constant is
    `q = wp / (wp + 1 - p)` for positive rate p and weight w, which costs `(wp + 1 - p) H(q)`.

    Args:
        pos_weight: weight of a positive example, > 0; one per label if they differ.
        positive_rate: share of positives, strictly between 0 and 1. By default, the rate that `pos_weight`
            balances: `1 / (1 + pos_weight)`, so 1/2 for weight 1.

    Source: torch.nn.BCEWithLogitsLoss' documentation; the optimum by setting the derivative in q to zero.

    Example:
        >>> round(BinaryCrossEntropy().chance_level, 3)
        0.693
        >>> round(BinaryCrossEntropy(positive_rate=0.01).chance_level, 3)
        0.056
    """

    pos_weight: float | tuple[float, ...] = 1.0
    _: KW_ONLY
    positive_rate: float | None = checked(None, fraction, open_ends=True)

    kind: ClassVar[str] = "binary_cross_entropy"

    def _check(self) -> None:
        for item in self._weights():
            number(self.kind, "pos_weight", item, above=0)

    @classmethod
    def from_targets(cls, targets: ArrayLike, *, pos_weight: float = 1.0) -> BinaryCrossEntropy:
        """The specification with the positive rate measured on targets of 0 and 1, any shape."""
        import numpy as np

        values = np.asarray(targets, dtype=np.float64)
        if values.size == 0 or not 0 < float(values.mean()) < 1:
            raise LossError(cls.kind, "the targets are not both 0 and 1", "give targets of both classes")
        return cls(pos_weight, positive_rate=float(values.mean()))

    def _weights(self) -> tuple[float, ...]:
        return self.pos_weight if isinstance(self.pos_weight, tuple) else (self.pos_weight,)

    def _masses(self, weight: float) -> tuple[float, float]:
        rate = self.positive_rate if self.positive_rate is not None else 1 / (1 + weight)
        return weight * rate, 1 - rate

    @property
    def chance_level(self) -> float:
        """Weighted entropy of the positive rate, averaged over labels."""
        return sum(entropy(self._masses(item)) for item in self._weights()) / len(self._weights())

    @property
    def initial_level(self) -> float:
        """A zero logit everywhere."""
        return sum(sum(self._masses(item)) for item in self._weights()) / len(self._weights()) * math.log(2)

    @property
    def chance_formula(self) -> str:
        """`ln 2`, or the entropy in words."""
        plain = set(self._weights()) == {1} and self.positive_rate in (None, 0.5)
        return "ln 2" if plain else "weighted entropy of the positive rate"

    def _traps(self) -> tuple[str, ...]:
        found = []
        if self.positive_rate is not None and not 1 / 3 < self.positive_rate < 2 / 3:
            found.append(f"With {100 * self.positive_rate:.3g}% positives a loss of {self.chance_level:.3g} is chance.")
        if set(self._weights()) != {1}:
            found.append("pos_weight scales the loss and shifts the predicted probabilities; compare runs by skill.")
        if self.positive_rate is None:
            found.append(
                "The positive rate is not known and was taken as balanced; pass positive_rate=... to be exact."
            )
        found.append("Soft targets raise the floor above 0.")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class LanguageModel(LossSpec):
    """Cross-entropy per token of a language model.

    Equal logits over V tokens cost ln V nats, log2 V bits, perplexity V. No text reaches the floor of 0 (perplexity 1).

    Args:
        vocab: number of tokens, >= 2.
        unit: "nats", "bits" or "perplexity".

    Source: Jurafsky and Martin, Speech and Language Processing, chapter on n-gram models (perplexity).

    Example:
        >>> round(LanguageModel(50257).chance_level, 2)
        10.82
        >>> LanguageModel(1024, unit="bits").chance_level
        10.0
    """

    vocab: int
    _: KW_ONLY
    unit: str = checked("nats", one_of, allowed=("nats", "bits", "perplexity"))

    kind: ClassVar[str] = "language_model"
    _own_traps: ClassVar[tuple[str, ...]] = (
        "Losses of models with different tokenizers cannot be compared; convert to bits per byte.",
        "Token frequencies alone are worth some nats, so the first drop from ln(vocab) is not understanding.",
        "A pretrained start lies far below ln(vocab).",
        "A loss summed over tokens, or averaged over padding too, is on another scale.",
    )

    def _check(self) -> None:
        whole(self.kind, "vocab", self.vocab, at_least=2)

    @property
    def chance_level(self) -> float:
        """All tokens equally likely."""
        return {"nats": math.log(self.vocab), "bits": math.log2(self.vocab)}.get(self.unit, float(self.vocab))

    @property
    def floor(self) -> float:
        """A certain and correct prediction; its perplexity is 1."""
        return 1.0 if self.unit == "perplexity" else 0.0

    def scaled(self, loss: float) -> float:
        """Nats."""
        if self.unit == "perplexity":
            return math.log(loss) if loss > 0 else -math.inf
        return loss * math.log(2) if self.unit == "bits" else loss

    @property
    def chance_formula(self) -> str:
        """`ln V`, `log2 V` or `V`."""
        return {"nats": "ln ", "bits": "log2 "}.get(self.unit, "") + str(self.vocab)
