"""Every combination of settings of every specification: chance and floor against an optimiser that knows no formula."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from monitor import losses
from tests.variants import some

optimize = pytest.importorskip("scipy.optimize")

Array = np.ndarray
Cost = Callable[[Array], float]


def lowest(cost: Cost, width: int, *, scale: float = 1.0) -> float:
    """The lowest value that an optimiser without gradients finds, from several starts."""
    starts = [np.zeros(width), np.linspace(-1, 1, width) * scale, np.full(width, scale), np.full(width, -2 * scale)]
    found = [
        optimize.minimize(cost, start + 1e-3, method=method, options={"maxiter": 2000}).fun
        for start in starts
        for method in ("BFGS", "Nelder-Mead")
    ]
    return float(min(found))


def every(**choices: Sequence[object]) -> list[dict[str, object]]:
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def log_softmax(z: Array) -> Array:
    return z - np.logaddexp.reduce(z)


CE = every(
    priors=[None, (0.7, 0.2, 0.1), (1.0, 0.0, 1.0)],
    weights=[None, (1.0, 2.0, 3.0), (0.0, 1.0, 1.0), "balanced"],
    label_smoothing=[0.0, 0.1, 0.7],
    reduction=["mean", "none"],
)


@pytest.mark.parametrize("given", some(((given,) for given in CE), every=5), ids=str)
def test_cross_entropy(given: Mapping[str, object]) -> None:
    priors, weights, smooth = given["priors"], given["weights"], float(str(given["label_smoothing"]))
    spec = losses.CrossEntropy(
        3,
        priors=priors,
        class_weights=None if weights == "balanced" else weights,
        balanced=weights == "balanced",
        label_smoothing=smooth,
        reduction=str(given["reduction"]),
    )
    shares = np.array(priors or (1.0, 1.0, 1.0), float) / sum(priors or (1, 1, 1))
    with np.errstate(divide="ignore"):
        equal = np.where(shares > 0, 1 / (3 * shares), 0.0)
    w = equal if weights == "balanced" else np.array(weights or (1.0,) * 3, float)
    divisor = (shares * w).sum() if given["reduction"] == "mean" else 1.0

    def of(z: Array, label: int) -> float:
        nll = -log_softmax(z)
        return float((1 - smooth) * w[label] * nll[label] + smooth / 3 * (w * nll).sum())

    chance = lowest(lambda z: sum(shares[i] * of(z, i) for i in range(3)) / divisor, 3)
    each = [lowest(lambda z, i=i: of(z, i), 3, scale=5.0) for i in range(3)]
    assert spec.chance_level == pytest.approx(chance, abs=2e-3)
    assert spec.floor == pytest.approx(float(shares @ each) / divisor, abs=2e-3)
    assert spec.lowest <= spec.floor + 1e-12


def two_sided(cost: Callable[[float, float], float], rate: float) -> float:
    """The best constant for one score and labels 1 and 0."""
    return lowest(lambda z: rate * cost(float(z[0]), 1.0) + (1 - rate) * cost(float(z[0]), 0.0), 1)


def softplus(z: float) -> float:
    return float(np.logaddexp(0, z))


BINARY: list[tuple[losses.LossSpec, Callable[[float, float], float], float]] = []
for w, r in itertools.product((0.5, 1.0, 9.0), (0.01, 0.3, 0.5, 0.9)):
    BINARY.append(
        (losses.BinaryCrossEntropy(w, positive_rate=r), lambda z, y, w=w: w * softplus(-z) if y else softplus(z), r)
    )
for gamma, alpha, r in itertools.product((0.0, 0.5, 2.0, 5.0), (None, 0.25, 0.9), (0.01, 0.3, 0.5)):

    def focal(z: float, y: float, gamma: float = gamma, alpha: float | None = alpha) -> float:
        weight = 1.0 if alpha is None else alpha if y else 1 - alpha
        nll = softplus(-z if y else z)
        return weight * (-math.expm1(-nll)) ** gamma * nll

    BINARY.append((losses.Focal(gamma, alpha=alpha, positive_rate=r), focal, r))
for margin, squared, r in itertools.product((0.5, 2.0), (False, True), (0.1, 0.5, 0.8)):
    power = 2 if squared else 1
    BINARY.append(
        (
            losses.Hinge(margin, squared=squared, positive_rate=r),
            lambda z, y, m=margin, k=power: max(0.0, m - (z if y else -z)) ** k,
            r,
        )
    )
for margin, p, r in itertools.product((0.5, 2.0), (1, 2), (0.1, 0.5, 0.8)):
    BINARY.append(
        (
            losses.Contrastive(margin, p=p, positive_rate=r),
            lambda z, y, m=margin, k=p: abs(z) ** k if y else max(0.0, m - abs(z)) ** k,
            r,
        )
    )
for margin, r in itertools.product((-0.5, 0.0, 0.4), (0.1, 0.5, 0.8)):
    BINARY.append(
        (
            losses.CosineEmbedding(margin, positive_rate=r),
            lambda z, y, m=margin: 1 - math.tanh(z) if y else max(0.0, math.tanh(z) - m),
            r,
        )
    )


@pytest.mark.parametrize(("spec", "cost", "rate"), some(BINARY, every=5), ids=[repr(item[0]) for item in BINARY])
def test_losses_of_one_score(spec: losses.LossSpec, cost: Callable[[float, float], float], rate: float) -> None:
    assert spec.chance_level == pytest.approx(two_sided(cost, rate), abs=2e-4)
    perfect = rate * cost(40.0, 1.0) + (1 - rate) * cost(-40.0, 0.0)
    if spec.kind != "contrastive":
        assert spec.floor == pytest.approx(perfect, abs=1e-9)


@pytest.mark.parametrize(
    "given",
    some(
        (
            (given,)
            for given in every(classes=[3, 6], gamma=[0.0, 0.5, 2.0, 5.0], q=[0.2, 0.7], margin=[0.5, 2.0], p=[1, 2])
        ),
        every=5,
    ),
    ids=str,
)
def test_losses_of_balanced_classes(given: Mapping[str, float]) -> None:
    classes, gamma, q, margin, p = (given[key] for key in ("classes", "gamma", "q", "margin", "p"))
    count = int(classes)

    def mean(each: Callable[[Array, int], float]) -> float:
        return lowest(lambda z: sum(each(z, i) for i in range(count)) / count, count)

    def multi(z: Array, i: int) -> float:
        gaps = np.maximum(0, margin - z[i] + z) ** p
        return float((gaps.sum() - gaps[i]) / count)

    def focal(z: Array, i: int) -> float:
        nll = -float(log_softmax(z)[i])
        return float((-math.expm1(-nll)) ** gamma * nll)

    def generalised(z: Array, i: int) -> float:
        return (1 - math.exp(q * float(log_softmax(z)[i]))) / q

    near = {"abs": 1e-4}
    assert losses.MultiMargin(count, margin=margin, p=int(p)).chance_level == pytest.approx(mean(multi), **near)
    assert losses.Focal(gamma, classes=count).chance_level == pytest.approx(mean(focal), **near)
    assert losses.GeneralisedCrossEntropy(q, classes=count).chance_level == pytest.approx(mean(generalised), **near)


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.8])
@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (0.5, 0.5), (2.0, 0.1)])
def test_losses_of_masks(rate: float, alpha: float, beta: float) -> None:
    def constant(z: Array, of: Callable[[float], float]) -> float:
        return of(1 / (1 + math.exp(-min(max(float(z[0]), -30), 30))))

    cases: list[tuple[losses.LossSpec, Callable[[float], float]]] = [
        (losses.Dice(rate), lambda p: 1 - 2 * p * rate / (p + rate)),
        (losses.Dice(rate, squared=True), lambda p: 1 - 2 * p * rate / (p**2 + rate)),
        (losses.IoU(rate), lambda p: 1 - p * rate / (p + rate - p * rate)),
        (
            losses.Tversky(rate, alpha=alpha, beta=beta),
            lambda p: 1 - p * rate / (p * rate + alpha * p * (1 - rate) + beta * (1 - p) * rate),
        ),
    ]
    for spec, of in cases:
        assert spec.chance_level == pytest.approx(lowest(lambda z, of=of: constant(z, of), 1, scale=5), abs=1e-4)
        assert spec.initial_level == pytest.approx(of(0.5))


@pytest.mark.parametrize("std", [0.3, 1.0, 20.0])
def test_losses_of_residuals(std: float) -> None:
    nodes = np.linspace(-8, 8, 4001)
    mass = np.exp(-(nodes**2) / 2)
    mass /= mass.sum()
    specs = [losses.MAE(target_std=std), losses.LogCosh(target_std=std)]
    specs += [losses.Huber(d, target_std=std) for d in (0.1, 1.0, 30.0)]
    specs += [losses.SmoothL1(d, target_std=std) for d in (0.0, 0.1, 5.0)]
    specs += [losses.Quantile(q, target_std=std) for q in (0.05, 0.5, 0.9)]
    specs += [losses.Cauchy(c, target_std=std) for c in (0.5, 3.0)]
    specs += [losses.Barron(a, c, target_std=std) for a in (-2.0, 0.0, 1.0, 2.0) for c in (0.5, 3.0)]
    for spec in specs:
        best = lowest(lambda z, spec=spec: float((spec.element(z[0] - std * nodes) * mass).sum()), 1, scale=std)
        assert spec.chance_level == pytest.approx(best, rel=2e-3), spec
        assert spec.floor == pytest.approx(float(spec.element(np.zeros(1))[0]), abs=1e-12)
        measured = spec.with_targets(np.random.default_rng(0).permutation(np.repeat(std * nodes, 1)))
        assert measured.chance_level is not None


def test_losses_of_rankings() -> None:
    for scale in (0.5, 1.0, 3.0):  # a score that does not look cannot tell an item from another one
        best = lowest(lambda z, s=scale: (softplus(-s * float(z[0])) + softplus(s * float(z[0]))) / 2, 1)
        assert losses.BPR(scale=scale).chance_level == pytest.approx(best)
        assert losses.RankNet(scale=scale).chance_level == pytest.approx(best)
    relevance = np.array([3.0, 1.0, 0.0, 0.0])
    target = np.exp(log_softmax(relevance))
    orders = list(itertools.permutations(target))
    chance = lowest(lambda z: float(np.mean([-(np.array(t) * log_softmax(z)).sum() for t in orders])), 4)
    entropy = float(-(target * np.log(target)).sum())
    spec = losses.ListNet(4, target_entropy=entropy)
    assert spec.chance_level == pytest.approx(chance, abs=1e-5)
    assert spec.floor == pytest.approx(lowest(lambda z: float(-(target * log_softmax(z)).sum()), 4), abs=1e-4)
