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
from tests.variants import some


def names(advice: losses.Advice) -> list[str]:
    return [item.loss for item in advice.candidates]


def test_squared_error_is_first_without_outliers_and_last_with_them() -> None:
    assert names(losses.advise("regression"))[0] == "mse"
    robust = losses.advise("regression", outliers=True)
    assert names(robust)[-1] == "mse"
    assert "moves the best constant by" in " ".join(robust.candidates[0].pros)
    json.dumps(robust.to_dict(), allow_nan=False)
    assert "1. **cauchy**" in robust.to_markdown()


def test_weights_are_only_considered_where_there_is_an_imbalance() -> None:
    assert "cross_entropy(balanced=True)" not in names(losses.advise("classification", 10))
    skewed = losses.advise("classification", 10, imbalance=100.0)
    assert "cross_entropy(balanced=True)" in names(skewed)[:2]
    assert "binary_cross_entropy(pos_weight=100)" in names(losses.advise("binary", imbalance=100.0))
    assert any("100:1" in sentence for sentence in skewed.remarks)


def test_wrong_labels_ask_for_a_bounded_loss() -> None:
    assert names(losses.advise("classification", 10, label_noise=0.4))[0] == "generalised_cross_entropy(q=0.7)"


def test_two_classes_are_binary_and_every_reason_holds_a_number() -> None:
    advice = losses.advise("classification", 2, imbalance=50.0, half_precision=True)
    assert advice.task == "binary"
    for item in advice.candidates:
        assert any(char.isdigit() for sentence in (*item.pros, *item.figures) for char in sentence)


@pytest.mark.parametrize(
    ("task", "settings", "said"),
    [
        ("clasification", {}, r"did you mean 'classification'\?"),
        ("dance", {}, "known: "),
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
        ({"losses": ["ctc"]}, "compare cannot train with it"),
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


ASKED = [
    {"task": task, "imbalance": imbalance, "outliers": outliers, "label_noise": noise}
    for task in candidates.CHOICES
    for imbalance in (1.0, 50.0)
    for outliers in (False, True)
    for noise in (0.0, 0.3)
]


@pytest.mark.parametrize("asked", some(((asked,) for asked in ASKED), every=3), ids=str)
def test_the_order_is_that_of_the_figures_which_are_shown(asked: dict[str, object]) -> None:
    from monitor.losses.comparison.measured import conditions, results

    advice = losses.advise(**asked)
    said = {"imbalance": 50.0, "outliers": True, "label_noise": 0.3}
    under = [name for name, value in said.items() if asked[name] == value and name in conditions(advice.task)]
    gaps = []
    for item in advice.candidates:
        trained = {c.name.format(imbalance=50.0, cost=10.0) if "{" in c.name else c.name: c.train or c.name
                   for c in candidates.CHOICES[advice.task]}  # fmt: skip
        weighted = "balanced" in item.loss or "pos_weight" in item.loss
        fitting = ["imbalance"] if weighted and "imbalance" in under else under or ["clean"]
        gaps.append(sum(results(advice.task, name)[trained[item.loss]].gap for name in fitting) / len(fitting))
        assert len(item.figures) == len(fitting)
        assert "±" in item.figures[0]
    assert gaps == sorted(gaps)
    everything = advice.to_markdown() + " ".join(advice.remarks)
    assert "e+0" not in everything
    assert "pos_weight" not in everything or advice.task not in ("regression", "metric", "ranking", "counts")


RECOMMENDED = sorted({(task, c.train or c.name) for task, found in candidates.CHOICES.items() for c in found})


@pytest.mark.parametrize(("task", "name"), some(RECOMMENDED, every=7), ids=str)
def test_every_command_knows_what_is_recommended(task: str, name: str) -> None:
    pytest.importorskip("torch")
    from monitor.run.options import loss_of

    assert loss_of(name)["kind"] == losses.parse(name).kind
    assert losses.check(losses.load(name), name=name).ok
    assert losses.profile(losses.load(name), name=name, samples=20).name == name
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3 if task in ("classification", "language", "ranking", "metric", "counts") else 2, 100)
    targets = y if task not in ("regression", "quantile") else rng.normal(0, 1, 100)
    names = {"segmentation": "binary", "cost": "binary", "quantile": "regression", "language": "classification"}
    names["detection"] = "boxes"
    if task == "detection":
        corner = rng.random((100, 2))
        targets = np.hstack([corner, corner + rng.uniform(0.1, 1, (100, 2))])
    found = losses.compare([name], (rng.normal(0, 1, (100, 3)), targets), 2, task=names.get(task, task), epochs=2)
    assert math.isfinite(found.entries[0].mean)


def test_a_quantile_is_judged_by_its_own_pinball_loss_and_wins_there() -> None:
    pytest.importorskip("torch")

    def skewed(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(0, 1, (600, 2))
        return x, x[:, 0] + rng.gamma(1.0, 2.0, 600)

    found = losses.compare(["quantile(0.9)", "mse", "mae"], skewed, 3, epochs=10)
    assert found.metric == "pinball(0.9)"
    assert found.entries[0].loss == "quantile(0.9)"
    assert "mse, mae do not estimate: they must lose under it" in found.to_markdown()
    with pytest.raises(LossError, match=r"different quantiles \(0.1, 0.9\); compare one quantile at a time"):
        losses.compare(["quantile(0.1)", "quantile(0.9)"], skewed, 2, epochs=1)


def test_a_class_too_rare_to_be_tested_is_named() -> None:
    pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(0, 1, (600, 2))
    y = np.zeros(600, int)
    y[7] = 1
    found = losses.compare(["cross_entropy", "focal"], (x, y), range(4), epochs=1)
    assert "One class has no example in the test part of up to" in found.to_markdown()
    assert found.to_dict()["notes"]


def test_targets_that_are_all_equal_are_refused() -> None:
    pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(0, 1, (60, 2))
    for y in (np.ones(60), np.zeros(60, int)):
        with pytest.raises(LossError, match="all targets are equal"):
            losses.compare(["mse", "mae"] if y.dtype.kind == "f" else ["cross_entropy", "focal"], (x, y), 2, epochs=1)


def test_a_loss_that_gives_nan_is_said_to_and_not_ranked() -> None:
    torch = pytest.importorskip("torch")

    def broken(p, t):
        return torch.log(p - p - 1).mean() + ((p - t) ** 2).mean()

    found = losses.compare({"broken": broken, "mse": "mse"}, line, 2, epochs=2)
    assert found.entries[-1].loss == "broken"
    assert "| broken | not ranked | training gave NaN (seed 0, 1) | |" in found.to_markdown()


def test_asymmetric_costs_are_met_at_about_bayes_cost() -> None:
    pytest.importorskip("torch")
    rate = lambda x: 1 / (1 + np.exp(2 - 2 * x))  # noqa: E731 - one formula, used twice

    def credit(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(0, 1, (4000, 1))
        return x, (rng.random(4000) < rate(x[:, 0])).astype(int)

    x = np.random.default_rng(9).normal(0, 1, 400_000)
    bayes = float(np.minimum(rate(x) * 10, 1 - rate(x)).mean())
    found = losses.compare(["bce", "bce(pos_weight=10)"], credit, 3, costs=(1.0, 10.0), epochs=8)
    assert found.metric == "cost(1:10)"
    assert all(item.mean == pytest.approx(bayes, rel=0.08) for item in found.entries), (bayes, found.entries)
    advice = losses.advise("cost", costs=(1.0, 10.0))
    assert any("above 0.0909" in sentence for sentence in advice.remarks)


def test_data_are_described_by_what_was_planted_in_them() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (1500, 2))
    clean = x[:, 0] + 0.1 * rng.normal(size=1500)
    far = losses.describe(x, clean + np.where(rng.random(1500) < 0.05, 40.0, 0.0))
    assert far.outliers == pytest.approx(0.05, abs=0.015)
    assert far.tails > 3
    assert losses.describe(x, clean).outliers < 0.002
    labels = (x[:, 0] > 0.8).astype(int)
    flipped = np.where(rng.random(1500) < 0.1, 1 - labels, labels)
    noisy, right = losses.describe(x, flipped), losses.describe(x, labels)
    assert (noisy.task, noisy.classes) == ("binary", 2)
    assert noisy.label_noise == pytest.approx(0.1, abs=0.03)
    assert right.label_noise < 0.01
    assert right.imbalance == pytest.approx(np.mean(labels == 0) / np.mean(labels == 1))


def test_a_data_loader_two_targets_and_a_model_and_metric_of_ones_own() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(0, 1, (200, 3)))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x[:, :2] * 2), batch_size=32)

    def worst(out: np.ndarray, y: np.ndarray) -> float:
        return float(np.abs(out - y).max())

    found = losses.compare(
        ["mse", "mae"], loader, 2, metric=worst, higher=False, epochs=60,
        model=torch.nn.Linear,
    )  # fmt: skip
    assert (found.metric, found.task) == ("worst", "regression")
    assert all(item.mean < 0.5 for item in found.entries)
