"""Recommend losses for a task: by how each scored in training, with reasons from its measured profile."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from monitor.domain import formats
from monitor.errors import LossError, suggestion
from monitor.losses.comparison.candidates import CHOICES, Choice
from monitor.losses.comparison.measured import conditions, results
from monitor.losses.profiles.kinds import kind_named
from monitor.losses.profiles.measure import profile
from monitor.losses.profiles.report import LossProfile
from monitor.losses.specs.parameters import fraction, number, plain_fields, whole

SAMPLES = 150
"""Chords tried per candidate; the slices already find what matters here."""
SKEWED = 3.0
"""Imbalance from this ratio on is discussed."""
EASY, HARD = -3.0, 1.0
"""Errors of a well-classified majority example, and of a rare example that is still wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A loss and the reasons for its rank.

    Attributes:
        loss: its name.
        deficit: how far it was behind the best candidate for certain when trained under the given conditions, as a
            share of the best; 0 if they cannot be distinguished. Candidates are ordered by the scores themselves, not
            by this.
        figures: its scores, one sentence per condition.
        torch: how to write it in torch.
        pros, cons: sentences, each based on a measured number.
    """

    loss: str
    deficit: float
    figures: tuple[str, ...]
    torch: str
    pros: tuple[str, ...]
    cons: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """The candidate as strict JSON data."""
        return plain_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The candidates for a task, best first, and what to do besides choosing a loss."""

    task: str
    candidates: tuple[Candidate, ...]
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """The advice as strict JSON data."""
        return plain_fields(self)

    def to_markdown(self) -> str:
        """The advice as Markdown."""
        lines = [f"## Losses for {self.task}", ""]
        for rank, item in enumerate(self.candidates, 1):
            lines += [f"{rank}. **{item.loss}** (`{item.torch}`)"]
            lines += [f"   - trained: {text}" for text in item.figures]
            lines += [f"   - for: {text}" for text in item.pros] + [f"   - against: {text}" for text in item.cons]
        return "\n".join([*lines, "", *[f"- {text}" for text in self.remarks], ""])


@functools.cache
def measured(task: str) -> tuple[tuple[Choice, LossProfile | None], ...]:
    """The profile of every candidate of a task that has a function; measured once per process."""
    return tuple((item, _profiled(item)) for item in CHOICES[task])


def _profiled(item: Choice) -> LossProfile | None:
    if item.fn is None:
        return None
    return profile(item.fn, item.kind, name=item.name, rng=np.random.default_rng(0), samples=SAMPLES, backend="numpy")


def advise(
    task: str,
    classes: int | None = None,
    *,
    imbalance: float = 1.0,
    outliers: bool = False,
    label_noise: float = 0.0,
    half_precision: bool = False,
    costs: tuple[float, float] | None = None,
) -> Advice:
    """Recommend losses by their scores in training, with reasons from measured profiles.

    Args:
        task: "regression", "quantile", "classification", "binary", "cost", "segmentation", "detection", "metric",
            "ranking", "language" or "counts".
        classes: number of classes, >= 2; a classification with two classes counts as "binary".
        imbalance: examples of the most frequent class per example of the rarest, >= 1.
        outliers: some targets, or some examples, are far off.
        label_noise: share of wrong labels, 0 to 1.
        half_precision: the loss is computed in float16.
        costs: of a false alarm and of a miss; the task is then "cost".

    Raises:
        LossError: the task is unknown, or a number is out of range.

    Example:
        >>> advise("regression", outliers=True).candidates[-1].loss
        'mse'
    """
    if task not in CHOICES:
        raise LossError(f"task={task!r}", "no such task", suggestion(task, CHOICES))
    whole("advise", "classes", classes, at_least=2)
    number("advise", "imbalance", imbalance, at_least=1)
    fraction("advise", "label_noise", label_noise)
    used = "binary" if task == "classification" and classes == 2 else task
    if costs is not None:
        number("advise", "cost of a false alarm", costs[0], above=0)
        number("advise", "cost of a miss", costs[1], above=0)
        used = "cost"
    wants = _Wants(
        task=used, outliers=outliers, noise=label_noise, imbalance=imbalance, half=half_precision, costs=costs
    )
    asked = _conditions(wants)
    found = [
        _judge(choice, item, wants, asked)
        for choice, item in measured(used)
        if imbalance >= SKEWED or not choice.weighted
    ]
    found.sort(key=lambda pair: pair[1])
    remarks = _remarks(used, classes, wants)
    return Advice(task=used, candidates=tuple(item for item, _ in found), remarks=remarks)


def _conditions(wants: _Wants) -> tuple[str, ...]:
    """The conditions to look candidates up under: the requested ones that were trained, or clean data."""
    wanted = {"label_noise": wants.noise > 0, "outliers": wants.outliers, "imbalance": wants.imbalance >= SKEWED}
    trained = conditions(wants.task)
    return tuple(name for name, asked in wanted.items() if asked and name in trained) or ("clean",)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wants:
    task: str
    outliers: bool
    noise: float
    imbalance: float
    half: bool
    costs: tuple[float, float] | None


def _judge(choice: Choice, item: LossProfile | None, wants: _Wants, asked: tuple[str, ...]) -> tuple[Candidate, float]:
    """A candidate with its figures and reasons, and its mean gap to the best, by which candidates are ordered."""
    trained = choice.train or choice.name
    # Losses that weight the rare class were trained on imbalanced data only: on other data nobody would use them.
    fitting = tuple(name for name in asked if name == "imbalance") if choice.weighted else asked
    scored = [results(wants.task, condition)[trained] for condition in fitting or asked]
    reasons: list[tuple[bool, str]] = []
    if item is not None:
        reasons += [*_training(item), *_robust(item, wants), *_balance(choice, wants), *_half(item, wants)]
    if not choice.probabilities:
        reasons.append((False, "its scores are not probabilities"))
    if choice.note:
        reasons.append((False, choice.note))
    ratio = wants.costs[1] / wants.costs[0] if wants.costs else 10.0
    deficit = sum(one.deficit for one in scored) / len(scored)
    found = Candidate(
        loss=choice.name.format(imbalance=wants.imbalance, cost=ratio) if "{" in choice.name else choice.name,
        deficit=round(deficit, 4),
        figures=tuple(one.said for one in scored),
        torch=choice.torch,
        pros=tuple(said for good, said in reasons if good),
        cons=tuple(said for good, said in reasons if not good),
    )
    return found, sum(one.gap for one in scored) / len(scored)


_Reasons = Iterator[tuple[bool, str]]
"""Sentences, each with whether it speaks for the loss."""


def _training(item: LossProfile) -> _Reasons:
    """Convexity, smoothness, and the gradient of large errors."""
    if item.convex:
        yield True, f"convex in the prediction: no violation in {item.evidence['convex']['chords']} chords"
    else:
        yield False, "not convex in the prediction"
    if not item.differentiable:
        yield False, f"a kink at error {', '.join(f'{place:g}' for place in item.kinks)}"
    near = _slope_at(item, 1.0)
    far = _slope_at(item, 5.0)
    if near > 0 and far / near < 0.3:
        share = formats.number(far / near, 2)
        yield False, f"the gradient at error 5 is {share} of that at error 1: a bad start learns slowly"


def _robust(item: LossProfile, wants: _Wants) -> _Reasons:
    """Outliers and wrong labels."""
    if not wants.outliers and not wants.noise:
        if wants.task == "regression" and item.outlier_influence is not None and item.outlier_influence > 0.9:
            yield True, "uses every error fully: the best there is for targets with normal noise"
        return
    influence = item.outlier_influence
    if influence is None:
        share = item.evidence["outlier_influence"]["gradient_share"]
        influence = float(share) if isinstance(share, float) else 1.0
        said = f"one error of 100 among 40 usual ones holds {percent(influence)} of the gradient"
    elif item.kind in ("regression", "count"):
        said = f"one far outlier among 41 moves the best constant by {percent(influence)} of the mean's shift"
    else:
        said = f"one wrong example among 41 costs {percent(influence)} of a linear score's slope"
    yield influence < 0.5, said


def _balance(choice: Choice, wants: _Wants) -> _Reasons:
    """The rare class's share of the gradient once the frequent class is mostly right."""
    if wants.imbalance < SKEWED or choice.kind not in ("classification", "binary"):
        return
    share = rare_share(choice, wants.imbalance)
    yield (
        share >= 0.3,
        f"at {wants.imbalance:g}:1, with the frequent class right by {-EASY:g}, "
        f"a rare example that is wrong by {HARD:g} holds {percent(share)} of the gradient",
    )


def rare_share(choice: Choice, imbalance: float) -> float:
    """The share of a batch's gradient that one wrong example of the rare class holds among easy frequent ones.

    Measured on a real batch, so that losses that couple its examples (Dice) are judged by their effect.

    Args:
        choice: the loss; a weighted one counts the rare class `imbalance` times.
        imbalance: frequent examples per rare one, >= 1.
    """
    fn, kind = choice.fn, kind_named(choice.kind)
    if fn is None:
        return 0.0
    count = min(round(imbalance), 400)
    rare, frequent = kind.slices[0], kind.slices[-1]
    fixed = tuple(
        np.concatenate([one, np.repeat(other, count, 0)]) for one, other in zip(rare.fixed, frequent.fixed, strict=True)
    )

    def loss(first: float, second: float) -> float:
        rows = [rare.z(first), frequent.z(second), *[frequent.z(EASY)] * (count - 1)]
        return float(str(fn(*kind.arguments(np.stack(rows), fixed))))

    step = 1e-4
    own = abs(loss(HARD + step, EASY) - loss(HARD - step, EASY)) * (imbalance if choice.weighted else 1.0)
    others = abs(loss(HARD, EASY + step) - loss(HARD, EASY - step)) * imbalance
    return own / (own + others) if own + others > 0 else 0.0


def _half(item: LossProfile, wants: _Wants) -> _Reasons:
    if wants.half and "float16" in item.stable_in:
        yield True, "right in float16 for errors up to 1000"
    elif wants.half:
        yield False, "overflows or loses precision in float16 for errors up to 1000; compute it in float32"


def _slope_at(item: LossProfile, error: float) -> float:
    """The size of the slope at an error within the drawn curve, by central difference."""
    curve: Mapping[str, tuple[float, ...]] = next(iter(item.curve.values()))
    errors, losses = np.asarray(curve["error"]), np.asarray(curve["loss"])
    step = 0.1
    low, high = np.interp([min(error, 4.9) - step, min(error, 4.9) + step], errors, losses)
    return abs(float(high - low)) / (2 * step)


def percent(share: float) -> str:
    """A share as a percentage, rounded for reading.

    Example:
        >>> percent(1.0), percent(0.0234), percent(0.00004), percent(39.28)
        ('100%', '2.3%', 'less than 0.1%', '3,928%')
    """
    value = 100 * share
    if 0 < value < 0.1:
        return "less than 0.1%"
    return f"{value:,.0f}%" if value >= 9.95 or value == 0 else f"{value:.1f}%"


_CLASSES = ("classification", "binary", "segmentation", "cost", "language")


def _remarks(task: str, classes: int | None, wants: _Wants) -> tuple[str, ...]:
    found = []
    if wants.imbalance >= SKEWED and task in _CLASSES:
        found.append(
            f"At {wants.imbalance:g}:1 give the loss class weights (or pos_weight) or sample evenly; judge by balanced "
            "accuracy or the area under the precision-recall curve, not by accuracy."
        )
        found.append("Pass the class shares to the specification (priors=..., positive_rate=...): they lower chance.")
    if wants.costs is not None:
        alarm, miss = wants.costs
        found.append(
            f"Decide for positive where its probability is above {formats.number(alarm / (alarm + miss), 3)}, the "
            "cost of a false alarm over both costs: with honest probabilities nothing costs less."
        )
    if wants.noise and task in _CLASSES:
        found.append(f"With {percent(wants.noise)} wrong labels stop early: the wrong ones are learned last.")
    if task == "detection":
        found.append(
            "These are for the boxes. Which objects there are is a loss of its own, over places of which most hold "
            'none: ask for "binary" at the imbalance of your anchors.'
        )
    if wants.outliers and task in ("regression", "detection"):
        found.append("Look at the outliers before choosing: a robust loss hides errors in the data.")
    if classes is not None and classes > 1000:
        found.append(f"With {classes} classes a fresh network scores ln {classes} = {np.log(classes):.2f}.")
    if wants.half:
        found.append("Under mixed precision keep the loss itself in float32; autocast does so for torch's own losses.")
    found.append("Ask `monitor losses compare` to train the first two or three on your own data.")
    return tuple(found)
