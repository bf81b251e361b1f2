"""Which of several runs is better where their losses differ: equal models tie, whatever they are measured by."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import losses
from monitor.losses.specs.standing import TAILS

Results = dict[str, tuple[losses.LossSpec, float]]

SHAPES = ("normal", "laplace", "uniform", "t", "outliers", "one")


def errors(shape: str, rng: np.random.Generator, n: int) -> np.ndarray:
    """Errors of many shapes, among them what a robust loss is chosen for."""
    drawn = {
        "normal": rng.normal(0, 1, n),
        "laplace": rng.laplace(0, 1, n),
        "uniform": rng.uniform(-1, 1, n),
        "t": rng.standard_t(3, n),
        "outliers": np.where(rng.random(n) < 0.05, rng.uniform(10, 25, n), rng.normal(0, 1, n)),
        "one": np.ones(n),
    }[shape]
    size = np.abs(drawn).mean() / np.sqrt((drawn**2).mean())
    return drawn if size > 1 / TAILS else np.ones(n)


def of_regression(residual: np.ndarray, targets: np.ndarray) -> Results:
    """One model's errors under every loss of the family."""
    own = [
        losses.MAE(), losses.Huber(0.3), losses.Huber(2.0), losses.SmoothL1(0.5), losses.SmoothL1(0.0),
        losses.LogCosh(), losses.Quantile(0.5),
    ]  # fmt: skip
    found: Results = {repr(spec): (spec.with_targets(targets), float(spec.element(residual).mean())) for spec in own}
    square = float((residual**2).mean())
    found["mse"] = (losses.MSE.from_targets(targets), square)
    found["rmse"] = (losses.RMSE(float(targets.std())), math.sqrt(square))
    return found


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(SHAPES), st.floats(1e-3, 1e3), st.floats(0.05, 20), st.integers(0, 2**32))
def test_one_model_ties_with_itself_under_every_pair_of_regression_losses(
    shape: str, size: float, scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    targets = scale * rng.normal(0, 1, 200)
    every_pair_ties(of_regression(size * errors(shape, rng, 200), targets))


def of_classes(logits: np.ndarray, labels: np.ndarray, classes: int) -> Results:
    """One model's logits under every loss of the family."""
    logp = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    true = logp[np.arange(len(labels)), labels]
    p = np.exp(true)
    priors = tuple(np.bincount(labels, minlength=classes) / len(labels))
    weights = tuple(np.linspace(1, 3, classes))
    w = np.array(weights)[labels]
    found: Results = {
        "ce": (losses.CrossEntropy(classes, priors=priors), -true.mean()),
        "weighted": (losses.CrossEntropy(classes, class_weights=weights, priors=priors), -(w * true).sum() / w.sum()),
        "smoothed": (losses.CrossEntropy(classes, label_smoothing=0.1), -(0.9 * true + 0.1 * logp.mean(1)).mean()),
        "kl": (losses.KLDivergence(classes, target_entropy=0.0), -true.mean()),
        "nats": (losses.LanguageModel(classes), -true.mean()),
        "bits": (losses.LanguageModel(classes, unit="bits"), -true.mean() / math.log(2)),
        "perplexity": (losses.LanguageModel(classes, unit="perplexity"), math.exp(-true.mean())),
    }
    for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
        focal = -((1 - p) ** gamma * true)
        found[f"focal {gamma}"] = (losses.Focal(gamma, classes=classes), focal.mean())
        if classes == 2:
            alpha = np.where(labels == 1, 0.25, 0.75)
            found[f"alpha {gamma}"] = (losses.Focal(gamma, alpha=0.25, classes=2), (alpha * focal).mean())
    for q in (0.3, 0.7):
        found[f"gce {q}"] = (losses.GeneralisedCrossEntropy(q, classes=classes), ((1 - p**q) / q).mean())
    if classes == 2:
        found["bce"] = (losses.BinaryCrossEntropy(), -true.mean())
        found["pos_weight"] = (losses.BinaryCrossEntropy(4.0), -(np.where(labels == 1, 4.0, 1.0) * true).mean())
    return {name: (spec, float(value)) for name, (spec, value) in found.items()}


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.integers(2, 12), st.floats(0.01, 12), st.floats(-4, 8), st.integers(0, 2**32))
def test_one_model_ties_with_itself_under_every_pair_of_losses_over_classes(
    classes: int, spread: float, right: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 150)])
    logits = rng.normal(0, spread, (len(labels), classes))
    logits[np.arange(len(labels)), labels] += right
    every_pair_ties(of_classes(logits, labels, classes))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 4), st.floats(-3, 3), st.floats(0.1, 5), st.floats(0.05, 0.95), st.integers(0, 2**32))
def test_one_model_ties_with_itself_under_every_pair_of_losses_over_masks(
    batches: int, shift: float, spread: float, rate: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    y = rng.random((batches, 200)) < rate
    p = 1 / (1 + np.exp(-(rng.normal(0, spread, y.shape) + shift * (2 * y - 1))))
    inside, alarms, misses = (p * y).sum(1), (p * ~y).sum(1), ((1 - p) * y).sum(1)
    found: Results = {
        "dice": (losses.Dice(rate), float((1 - 2 * inside / (2 * inside + alarms + misses)).mean())),
        "iou": (losses.IoU(rate), float((1 - inside / (inside + alarms + misses)).mean())),
    }
    for a, b in ((0.3, 0.7), (0.5, 0.5), (1.0, 1.0), (0.7, 0.1)):
        value = float((1 - inside / (inside + a * alarms + b * misses)).mean())
        found[f"tversky {a} {b}"] = (losses.Tversky(rate, alpha=a, beta=b), value)
    every_pair_ties(found)


def every_pair_ties(found: Results) -> None:
    for one, other in itertools.combinations(found, 2):
        said = losses.standing({one: found[one], other: found[other]})
        assert said.best is None, (one, found[one], other, found[other])
        assert set(said.tied) == {one, other}


def test_a_much_better_model_is_best_whichever_loss_it_was_measured_by() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(0, 1, 500)
    good, bad = (of_regression(size * rng.normal(0, 1, 500), targets) for size in (0.05, 0.9))
    for one, other in itertools.product(good, bad):
        assert losses.standing({"good": good[one], "bad": bad[other]}).best == "good", (one, other)


def test_one_function_on_data_of_two_scales_is_told_apart_by_the_share_that_is_left() -> None:
    said = losses.standing({"metres": (losses.MSE(4.0), 0.4), "feet": (losses.RMSE(6.56), 2.0)})
    assert said.best == "feet"
    assert losses.standing({"a": (losses.MSE(4.0), 0.4), "b": (losses.MSE(4.0), 0.5)}).best == "a"
    assert losses.standing({"a": (losses.Triplet(0.2), 0.1), "b": (losses.Triplet(0.2), 0.1)}).tied == ("a", "b")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (losses.MSE(1.0), losses.CrossEntropy(10)),
        (losses.LanguageModel(100), losses.LanguageModel(1000)),  # another tokenizer
        (losses.CrossEntropy(10), losses.Focal(classes=100)),
        (losses.Hinge(), losses.BinaryCrossEntropy()),
        (losses.Quantile(0.9, target_std=1.0), losses.MAE(target_std=1.0)),
        (losses.Adversarial(), losses.Adversarial(side="generator")),
        (losses.Triplet(0.2), losses.Triplet(0.5)),
        ({"name": "mine"}, losses.MSE(1.0)),
    ],
)
def test_what_has_no_common_scale_is_not_comparable(one: losses.LossSpec, other: losses.LossSpec) -> None:
    said = losses.standing({"a": (one, 0.1), "b": (other, 0.5)})
    assert (said.best, said.tied) == (None, ())
    assert "comparable" in said.why


def test_the_same_model_has_about_the_same_skill_in_each_loss_of_a_family() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(0, 1, 5000)
    scores = [spec.skill(value) for spec, value in of_regression(rng.normal(0, 0.7, 5000), targets).values()]
    assert max(scores) - min(scores) < 0.02  # it was .515 under MSE and .318 under MAE
    units = [losses.LanguageModel(1000, unit=unit) for unit in ("nats", "bits", "perplexity")]
    said = [spec.skill(value) for spec, value in zip(units, (3.0, 3.0 / math.log(2), math.exp(3.0)), strict=True)]
    assert said == pytest.approx([said[0]] * 3)
    tversky = losses.Tversky(0.2, alpha=1.0, beta=1.0)
    overlap = [losses.Dice(0.2).skill(0.4), losses.IoU(0.2).skill(2 * 0.4 / 1.4), tversky.skill(2 * 0.4 / 1.4)]
    assert overlap == pytest.approx([overlap[0]] * 3)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_one_model_ties_with_itself_whatever_the_settings(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def size() -> float:
        return float(np.exp(rng.uniform(-4, 4)))

    residual, targets = size() * errors(SHAPES[rng.integers(len(SHAPES))], rng, 100), size() * rng.normal(0, 1, 100)
    own = [losses.Huber(size()), losses.SmoothL1(size()), losses.MAE(), losses.LogCosh()]
    every_pair_ties(
        {repr(item): (item.with_targets(targets), float(item.element(residual).mean())) for item in own}
        | {"mse": (losses.MSE.from_targets(targets), float((residual**2).mean()))}
    )
    classes = int(rng.integers(2, 9))
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 80)])
    logits = rng.normal(0, size(), (len(labels), classes))
    logp = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    true, p = logp[np.arange(len(labels)), labels], np.exp(logp[np.arange(len(labels)), labels])
    shares = np.bincount(labels) / len(labels)
    given = tuple(rng.uniform(0.1, 9, classes))
    smooth, gamma, q, alpha = (
        rng.uniform(0.01, 0.6),
        rng.uniform(0, 5),
        rng.uniform(0.05, 0.95),
        rng.uniform(0.05, 0.95),
    )
    found: Results = {"ce": (losses.CrossEntropy(classes, priors=tuple(shares)), -true.mean())}
    for name, weight, spec in (
        ("weighted", np.array(given)[labels], losses.CrossEntropy(classes, class_weights=given)),
        ("balanced", 1 / shares[labels], losses.CrossEntropy(classes, balanced=True, priors=tuple(shares))),
    ):
        found[name] = (spec, float(-(weight * true).sum() / weight.sum()))
    found["smoothed"] = (
        losses.CrossEntropy(classes, label_smoothing=smooth),
        float(-((1 - smooth) * true + smooth * logp.mean(1)).mean()),
    )
    found["focal"] = (losses.Focal(gamma, classes=classes), float(-((1 - p) ** gamma * true).mean()))
    found["gce"] = (losses.GeneralisedCrossEntropy(q, classes=classes), float(((1 - p**q) / q).mean()))
    if classes == 2:
        given_alpha = np.where(labels == 1, alpha, 1 - alpha)
        found["alpha"] = (losses.Focal(gamma, alpha=alpha), float(-(given_alpha * (1 - p) ** gamma * true).mean()))
        found["pos"] = (losses.BinaryCrossEntropy(given[0]), float(-(np.where(labels, given[0], 1.0) * true).mean()))
    every_pair_ties(found)
