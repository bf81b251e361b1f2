"""Translates a loss into familiar units: perplexity, bits per byte, minimum accuracy, R2, overlap.

Each sentence follows from the definition of the loss alone, for an unweighted mean over elements; nothing is estimated:

- exp(-x) of a mean log-loss x is the geometric mean of the probabilities given to the correct answers;
- a wrong answer has a probability of at most 1/2, so it costs at least ln 2: at most `loss / ln 2` are wrong;
- a mean squared error is the share `1 - R2` of the targets' variance.

Source:
    Jurafsky, Martin, Speech and Language Processing, on perplexity; Bartlett, Jordan, McAuliffe, Convexity,
    classification, and risk bounds (JASA 2006), for losses that bound the share of mistakes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import singledispatch
from typing import Final

from monitor.domain.formats import number
from monitor.losses.specs.boxes import BoxIoU, BoxLoss
from monitor.losses.specs.classification import BinaryCrossEntropy, CrossEntropy, LanguageModel
from monitor.losses.specs.metric import InfoNCE
from monitor.losses.specs.overlap import Dice, IoU
from monitor.losses.specs.ranking import BPR, RankNet
from monitor.losses.specs.regression import MAE, MSE
from monitor.losses.specs.robust import RMSE
from monitor.losses.specs.spec import LossSpec, known

_BYTES: Final = ("bytespertoken", "charspertoken", "characterspertoken")
_NEAR: Final = 0.02
"""A contrastive loss within this share of the way from floor to chance counts as being at its floor."""


def meaning(
    spec: LossSpec | Mapping[str, object], loss: float, config: Mapping[str, object] | None = None
) -> tuple[str, ...]:
    """What a value of a loss means, as phrases; empty if its definition does not say.

    Args:
        loss: its value, a mean.
        config: the run's configuration; `bytes_per_token` (or `chars_per_token`) gives bits per byte (or character).

    Example:
        >>> from monitor.losses import MSE, LanguageModel
        >>> meaning(LanguageModel(50257), 3.0, {"bytes_per_token": 4.2})
        ('perplexity 20.09', '4.328 bits per token', '1.03 bits per byte')
        >>> meaning(MSE(4.0), 1.0)
        ('root mean square of the errors 1', 'R2 0.75')
    """
    found = known(spec)
    if found is None or found.reduction == "sum" or not math.isfinite(loss) or loss < (found.floor or 0.0):
        return ()
    return tuple(_meaning(found, loss, config or {}))


def meaning_sentence(
    spec: LossSpec | Mapping[str, object] | None, loss: float | None, config: Mapping[str, object]
) -> str:
    """What the best loss of a run means, in a sentence; "" if unknown."""
    found = () if spec is None or loss is None else meaning(spec, loss, config)
    return f"The best loss, {_said(loss or 0.0)}, means: {'; '.join(found)}." if found else ""


@singledispatch
def _meaning(_spec: LossSpec, _loss: float, _config: Mapping[str, object]) -> Iterator[str]:
    """One function per family; by default nothing is known."""
    return iter(())


def _likely(nats: float, what: str) -> Iterator[str]:
    """What a mean log-loss says about the probabilities of the correct answers, and the most that can be wrong."""
    yield f"{what} gets a probability of {_said(math.exp(-nats))} (geometric mean)"
    if nats < math.log(2):
        yield f"at most {nats / math.log(2):.0%} are wrong"


@_meaning.register
def _cross_entropy(spec: CrossEntropy, loss: float, _config: Mapping[str, object]) -> Iterator[str]:
    if spec.class_weights is not None or spec.balanced:
        return
    if spec.label_smoothing:
        floor = spec.floor or 0.0
        yield f"{_said(floor)} of it is the floor that label smoothing sets, {_said(loss - floor)} lies above"
        yield "its exponential is not a perplexity"
        return
    yield from _likely(loss, "the right class")


@_meaning.register
def _binary(spec: BinaryCrossEntropy, loss: float, _config: Mapping[str, object]) -> Iterator[str]:
    if set(spec._weights()) == {1.0}:
        yield from _likely(loss, "the right label")


@_meaning.register
def _language(spec: LanguageModel, loss: float, config: Mapping[str, object]) -> Iterator[str]:
    nats = spec.scaled(loss)
    if not math.isfinite(nats):
        return
    yield f"perplexity {_said(math.exp(min(nats, 700.0)))}"
    yield f"{_said(nats / math.log(2))} bits per token"
    for key, value in config.items():
        name = re.sub(r"[^a-z]", "", key.lower())
        if name in _BYTES and isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            yield f"{_said(nats / math.log(2) / value)} bits per {'byte' if name == _BYTES[0] else 'character'}"


@_meaning.register
def _mse(spec: MSE, loss: float, _config: Mapping[str, object]) -> Iterator[str]:
    yield f"root mean square of the errors {_said(math.sqrt(loss))}"
    if spec.target_variance:
        yield f"R2 {_said(1 - loss / spec.target_variance)}"


@_meaning.register
def _rmse(spec: RMSE, loss: float, _config: Mapping[str, object]) -> Iterator[str]:
    if spec.target_std:
        yield f"R2 {_said(1 - (loss / spec.target_std) ** 2)}"


@_meaning.register
def _mae(spec: MAE, loss: float, _config: Mapping[str, object]) -> Iterator[str]:
    if spec.target_std:
        yield f"errors of {loss / spec.target_std:.0%} of the targets' standard deviation"


@_meaning.register
def _dice(spec: Dice, loss: float, _config: Mapping[str, object]) -> Iterator[str]:
    if not spec.squared:
        yield f"Dice {_said(1 - loss)}, which is IoU {_said((1 - loss) / (1 + loss))} for one mask"


@_meaning.register
def _iou(_spec: IoU, loss: float, _config: Mapping[str, object]) -> Iterator[str]:
    yield f"IoU {_said(1 - loss)}"


@_meaning.register
def _boxes(spec: BoxLoss, loss: float, _config: Mapping[str, object]) -> Iterator[str]:
    if isinstance(spec, BoxIoU):
        yield f"IoU {_said(1 - loss)}"
    elif loss < 1:
        yield f"IoU {_said(1 - loss)} or more"


@_meaning.register
def _info_nce(spec: InfoNCE, loss: float, _config: Mapping[str, object]) -> Iterator[str]:
    yield from _likely(loss, "the right one")
    chance = spec.chance_level
    if chance is None:
        return
    yield f"chance among {spec.candidates:,} is {_said(chance)}"
    yield f"the floor at temperature {spec.temperature:g} is {_said(spec.floor)}"
    if loss - spec.floor <= _NEAR * (chance - spec.floor):
        yield "at its floor: harder or more negatives, or a lower temperature, leave something to learn"


@_meaning.register(BPR)
@_meaning.register(RankNet)
def _pairs(_spec: BPR | RankNet, loss: float, _config: Mapping[str, object]) -> Iterator[str]:
    if loss < math.log(2):
        yield f"at most {loss / math.log(2):.0%} of the pairs are in the wrong order"


def _said(value: float) -> str:
    return number(value)
