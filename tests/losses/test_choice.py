"""Advice from measured profiles, and comparison by training."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from monitor import losses
from monitor.errors import LossError
from monitor.losses.comparison import candidates
from monitor.losses.comparison.compare import interval


def names(advice: losses.Advice) -> list[str]:
    return [item.loss for item in advice.candidates]


def test_squared_error_is_first_without_outliers_and_last_with_them() -> None:
    assert names(losses.advise("regression"))[0] == "mse"
    robust = losses.advise("regression", outliers=True)
    assert names(robust)[-1] == "mse"
    assert "moves the best constant by" in " ".join(robust.candidates[0].pros)
    json.dumps(robust.to_dict(), allow_nan=False)
    assert "1. **huber(delta=1)**" in robust.to_markdown()


def test_imbalance_asks_for_weights_and_says_why() -> None:
    assert names(losses.advise("classification", 10))[0] == "cross_entropy"
    skewed = losses.advise("classification", 10, imbalance=100.0)
    assert names(skewed)[0] == "cross_entropy(class_weights=...)"
    order = names(skewed)
    assert order.index("focal(gamma=2)") < order.index("cross_entropy")
    assert any("100:1" in sentence for sentence in skewed.remarks)


def test_wrong_labels_ask_for_a_bounded_loss() -> None:
    assert names(losses.advise("classification", 10, label_noise=0.4))[0] == "generalised_cross_entropy(q=0.7)"


def test_two_classes_are_binary_and_every_reason_holds_a_number() -> None:
    advice = losses.advise("classification", 2, imbalance=50.0, half_precision=True)
    assert advice.task == "binary"
    for item in advice.candidates:
        assert any(char.isdigit() for sentence in item.pros for char in sentence)


@pytest.mark.parametrize(
    ("task", "settings", "said"),
    [
        ("clasification", {}, r"did you mean classification\?"),
        ("dance", {}, "write one of"),
        ("regression", {"imbalance": 0.5}, "imbalance is 0.5"),
        ("classification", {"classes": 1}, "classes is 1"),
        ("classification", {"label_noise": 2.0}, "label_noise is 2.0"),
    ],
)
def test_bad_questions_are_answered_with_the_fix(task: str, settings: dict[str, float], said: str) -> None:
    with pytest.raises(LossError, match=said):
        losses.advise(task, **settings)


def test_the_candidates_are_torchs_own_functions() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    p, t, logits = rng.normal(0, 3, 50), rng.normal(0, 3, 50), rng.normal(0, 3, (50, 5))
    labels, bits, sign = rng.integers(0, 5, 50), rng.integers(0, 2, 50) * 1.0, rng.integers(0, 2, 50) * 2.0 - 1
    nn = torch.nn
    cases = [
        (candidates.mse, nn.MSELoss(), (p, t)),
        (candidates.mae, nn.L1Loss(), (p, t)),
        (candidates.huber, nn.HuberLoss(), (p, t)),
        (candidates.poisson, nn.PoissonNLLLoss(), (p, np.abs(t))),
        (candidates.cross_entropy, nn.CrossEntropyLoss(), (logits, labels)),
        (candidates.smoothed_cross_entropy, nn.CrossEntropyLoss(label_smoothing=0.1), (logits, labels)),
        (candidates.multi_margin, nn.MultiMarginLoss(), (logits, labels)),
        (candidates.binary_cross_entropy, nn.BCEWithLogitsLoss(), (p, bits)),
        (candidates.cosine_embedding, nn.CosineEmbeddingLoss(), (logits, logits[::-1].copy(), sign)),
        (candidates.triplet, nn.TripletMarginLoss(eps=0.0), (logits, logits[::-1].copy(), rng.normal(0, 1, (50, 5)))),
    ]
    for ours, theirs, arguments in cases:
        assert float(ours(*arguments)) == pytest.approx(float(theirs(*map(torch.from_numpy, arguments))), rel=1e-9)


def line(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(0, 1, (200, 3))
    return x, x @ np.array([1.0, -2.0, 0.5]) + rng.normal(0, 0.1, 200)


def test_outliers_in_training_targets_are_survived_by_the_robust_loss() -> None:
    pytest.importorskip("torch")
    found = losses.compare(["mse", "huber(0.5)"], line, seeds=3, outliers=0.1, epochs=15)
    best, worst = found.entries
    assert (best.loss, worst.loss) == ("huber(0.5)", "mse")
    assert worst.clear
    assert worst.behind[1] > 0
    assert best.low <= best.mean <= best.high
    json.dumps(found.to_dict(), allow_nan=False)
    assert "| huber(0.5) |" in found.to_markdown()


def test_the_same_seeds_give_the_same_numbers_and_leave_torchs_generator_alone() -> None:
    torch = pytest.importorskip("torch")
    state = torch.get_rng_state()
    runs = [losses.compare(["mse", "mae"], line, seeds=(3, 4), epochs=2) for _ in range(2)]
    assert runs[0] == runs[1]
    assert torch.equal(torch.get_rng_state(), state)


def test_classification_on_scikit_learns_data_with_a_callable_of_ones_own() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    mine = {"mine": torch.nn.CrossEntropyLoss(), "focal": "focal(2.0)"}
    found = losses.compare(mine, "iris", seeds=2, epochs=20, metric="balanced_accuracy")
    assert {item.loss for item in found.entries} == {"mine", "focal"}
    assert all(item.mean > 0.8 for item in found.entries)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"losses": ["mse", "cross_entropy"]}, "mixed"),
        ({"losses": ["triplet"]}, "compare cannot train with it"),
        ({"losses": ["mse"], "seeds": 1}, "two seeds"),
        ({"losses": ["mse"], "metric": "accuracy"}, "does not fit regression; write one of mae"),
        ({"losses": ["mse"], "data": "mnist"}, "no such data set"),
        ({"losses": ["mse"], "data": (np.ones((3, 2)), np.ones(3))}, "give at least 20"),
        ({"losses": ["cross_entropy"]}, "classes"),
        ({"losses": {"bad": lambda p, t: (p - t) ** 2}}, "it returns no single number"),
        ({"losses": {"bad": lambda p: p}}, "calling it failed"),
    ],
)
def test_what_cannot_be_compared_is_told(settings: dict[str, object], said: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(LossError, match=said):
        losses.compare(**{"data": line, "seeds": 2, "epochs": 1, **settings})


def test_a_diverged_loss_is_last_and_has_no_numbers() -> None:
    torch = pytest.importorskip("torch")
    broken = {"fine": "mse", "broken": lambda p, t: (p - t).mean() * torch.tensor(float("nan"))}
    found = losses.compare(broken, line, seeds=2, epochs=1)
    assert found.entries[-1].loss == "broken"
    assert math.isnan(found.entries[-1].mean)
    assert found.to_dict()["entries"][-1]["mean"] is None


def test_the_interval_covers_the_mean_at_its_nominal_rate() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        _, low, high = interval(rng.normal(0, 1, 5).tolist())
        hits += low <= 0 <= high
    assert 0.935 < hits / 2000 < 0.965
