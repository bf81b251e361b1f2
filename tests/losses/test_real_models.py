"""Every level is checked against torch: an untrained network, the best constant, and a perfect predictor."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor import losses
from monitor.errors import LossError

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn
N = 4000


def labels(priors: list[float], seed: int = 0) -> torch.Tensor:
    """Labels with exactly these shares."""
    counts = [round(share * N) for share in priors]
    return torch.from_numpy(np.random.default_rng(seed).permutation(np.repeat(np.arange(len(priors)), counts)))


def best_constant(loss_of, width: int = 1, steps: int = 60) -> float:
    """The lowest loss of a constant output, found by LBFGS, not by the formula."""
    constant = torch.zeros(width, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        constant += 0.01 * torch.arange(width)
    optimiser = torch.optim.LBFGS([constant], max_iter=steps, line_search_fn="strong_wolfe", tolerance_grad=1e-12)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        value = loss_of(constant)
        value.backward()
        return value

    optimiser.step(closure)
    return float(loss_of(constant).detach())


CROSS_ENTROPY = {
    "balanced": ([0.25] * 4, None, 0.0),
    "imbalanced": ([0.7, 0.15, 0.1, 0.05], None, 0.0),
    "weighted": ([0.7, 0.15, 0.1, 0.05], [1.0, 2.0, 3.0, 9.0], 0.0),
    "smoothed": ([0.25] * 4, None, 0.2),
    "weighted and smoothed": ([0.5, 0.25, 0.125, 0.125], [1.0, 2.0, 3.0, 0.5], 0.1),
}


@pytest.mark.parametrize("case", CROSS_ENTROPY)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_cross_entropy_levels_are_those_of_torch(case: str, reduction: str) -> None:
    priors, weight, smoothing = CROSS_ENTROPY[case]
    y = labels(priors)
    weight_t = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    module = nn.CrossEntropyLoss(weight=weight_t, label_smoothing=smoothing, reduction=reduction)
    spec = losses.from_torch(module, classes=4, priors=tuple(priors))
    per = 1.0 if reduction == "mean" else len(y)
    zeros = torch.zeros(len(y), 4, dtype=torch.float64)
    assert float(module(zeros, y)) / per == pytest.approx(spec.initial_level, rel=1e-6)
    chance = best_constant(lambda c: module(c.expand(len(y), 4), y) / per, 4)
    assert spec.chance_level == pytest.approx(chance, rel=1e-5)
    reached = []
    for label in range(4):
        one = torch.tensor([label])
        reached.append(best_constant(lambda c, one=one: module(c.expand(1, 4), one), 4, 200))
    assert spec.lowest == pytest.approx(min(reached), abs=2e-3)
    assert spec.lowest <= min(reached) + 1e-9


@pytest.mark.parametrize(("weight", "rate"), [(1.0, 0.5), (1.0, 0.01), (9.0, 0.1), (3.0, 0.6)])
def test_binary_cross_entropy_levels_are_those_of_torch(weight: float, rate: float) -> None:
    y = labels([1 - rate, rate]).double()
    rate = float(y.mean())
    module = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weight, dtype=torch.float64))
    spec = losses.from_torch(module, positive_rate=rate)
    assert float(module(torch.zeros_like(y), y)) == pytest.approx(spec.initial_level)
    assert best_constant(lambda c: module(c.expand(len(y)), y)) == pytest.approx(spec.chance_level, rel=1e-6)
    assert float(module((2 * y - 1) * 50, y)) == pytest.approx(spec.floor, abs=1e-12)


def network(outputs: int, inputs: int = 20, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs))
    return layers.requires_grad_(False)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_an_untrained_network_starts_near_chance(classes: int, seed: int) -> None:
    x, y = torch.randn(256, 20), torch.randint(classes, (256,))
    spec = losses.CrossEntropy(classes)
    first = float(nn.CrossEntropyLoss()(network(classes, seed=seed)(x), y))
    assert 0.9 < first / spec.initial_level < 1.2
    assert losses.check_initial(spec.to_dict(), [first]).verdict == "near_chance"


def untrained(kind: str) -> tuple[losses.LossSpec, float, float]:
    """(specification, loss of an untrained network, loss of a perfect predictor)."""
    torch.manual_seed(1)
    x = torch.randn(2048, 20)
    if kind in ("mse", "mae", "huber", "smooth_l1"):
        y = torch.randn(2048)
        module = {
            "mse": nn.MSELoss(),
            "mae": nn.L1Loss(),
            "huber": nn.HuberLoss(),
            "smooth_l1": nn.SmoothL1Loss(beta=0.5),
        }
        known = {"target_variance": 1.0} if kind == "mse" else {"target_std": 1.0}
        spec = losses.from_torch(module[kind], **known)
        return spec, float(module[kind](network(1)(x)[:, 0], y)), float(module[kind](y, y))
    if kind == "multi_margin":
        y = torch.randint(8, (2048,))
        module = nn.MultiMarginLoss(margin=2.0, p=2)
        return (
            losses.from_torch(module, classes=8),
            float(module(network(8)(x), y)),
            float(module(F.one_hot(y, 8) * 9.0, y)),
        )
    if kind == "hinge":
        y = torch.randint(2, (2048,)) * 2.0 - 1
        hinge = lambda f: float(F.relu(1 - y * f).mean())  # noqa: E731 - one formula, used twice
        return losses.Hinge(1.0), hinge(network(1)(x)[:, 0]), hinge(y * 2)
    if kind == "soft_margin":
        y = torch.randint(2, (2048,)) * 2.0 - 1
        module = nn.SoftMarginLoss()
        return losses.from_torch(module), float(module(network(1)(x)[:, 0], y)), float(module(y * 60, y))
    if kind == "gaussian_nll":
        y, module = torch.randn(2048), nn.GaussianNLLLoss()
        spec = losses.from_torch(module, target_variance=1.0)
        mean = network(1)(x)[:, 0]
        return spec, float(module(mean, y, torch.ones(2048))), float(module(y, y, torch.zeros(2048)))
    if kind == "margin_ranking":
        module, one = nn.MarginRankingLoss(0.7), torch.ones(2048)
        net = network(1)
        return (
            losses.from_torch(module),
            float(module(net(x)[:, 0], net(x.flip(0))[:, 0], one)),
            float(module(one, -one, one)),
        )
    if kind == "multilabel_margin":
        y = torch.tensor([[0, 1, -1, -1]]).repeat(2048, 1)
        module = nn.MultiLabelMarginLoss()
        perfect = torch.tensor([[5.0, 5.0, 0.0, 0.0]]).repeat(2048, 1)
        return (
            losses.from_torch(module, classes=4, labels=2),
            float(module(network(4)(x), y)),
            float(module(perfect, y)),
        )
    if kind == "focal":
        y = (torch.rand(2048) < 0.2).float()
        spec = losses.Focal(2.0, alpha=0.25, positive_rate=float(y.mean()))

        def focal(z: torch.Tensor) -> float:
            p = torch.where(y > 0, torch.sigmoid(z), torch.sigmoid(-z))
            return float((torch.where(y > 0, 0.25, 0.75) * (1 - p) ** 2 * -p.log()).mean())

        return spec, focal(network(1)(x)[:, 0]), focal((2 * y - 1) * 30)
    if kind in ("dice", "iou"):
        y = (torch.rand(2048) < 0.3).float()

        def overlap(p: torch.Tensor) -> float:
            inter = (p * y).sum()
            return float(
                1 - (2 * inter / (p.sum() + y.sum()) if kind == "dice" else inter / (p.sum() + y.sum() - inter))
            )

        spec = (losses.Dice if kind == "dice" else losses.IoU)(float(y.mean()))
        return spec, overlap(torch.sigmoid(network(1)(x)[:, 0])), overlap(y)
    if kind == "kl_divergence":
        target = torch.softmax(torch.randn(2048, 6, dtype=torch.float64), 1)
        module = nn.KLDivLoss(reduction="batchmean")
        entropy = float(-(target * target.log()).sum(1).mean())
        spec = losses.from_torch(module, classes=6, target_entropy=entropy)
        return (
            spec,
            float(module(F.log_softmax(network(6)(x).double(), 1), target)),
            float(module(target.log(), target)),
        )
    if kind == "poisson_nll":
        y = torch.poisson(torch.full((2048,), 3.0))
        spec = losses.PoissonNLL.from_targets(y.numpy())
        module = nn.PoissonNLLLoss()
        return spec, float(module(network(1)(x)[:, 0], y)), float(module((y + 1e-30).log(), y))
    raise AssertionError(kind)


KINDS = ["mse", "mae", "huber", "smooth_l1", "multi_margin", "hinge", "soft_margin", "gaussian_nll", "margin_ranking"]
KINDS += ["multilabel_margin", "focal", "dice", "iou", "kl_divergence", "poisson_nll"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_untrained_network_starts_at_the_initial_level_and_a_perfect_one_ends_at_the_floor(kind: str) -> None:
    spec, first, last = untrained(kind)
    assert first == pytest.approx(spec.initial_level, rel=0.12)
    assert last == pytest.approx(spec.floor, abs=1e-5)
    assert losses.check_initial(spec.to_dict(), [first]).verdict == "near_chance"
    assert losses.impossible(spec.to_dict(), last) is None
    assert losses.impossible(spec.to_dict(), spec.floor - 1) is not None


def test_the_best_constant_of_each_regression_loss_is_its_chance_level() -> None:
    y = np.random.default_rng(0).normal(0, 1.7, 4001)
    specs = [losses.MAE(target_std=1.7), losses.Huber(0.8, target_std=1.7), losses.Quantile(0.8, target_std=1.7)]
    for spec in [*specs, losses.SmoothL1(3.0, target_std=1.7)]:
        measured = spec.with_targets(y)
        grid = [float(spec.element(c - y).mean()) for c in np.linspace(-6, 6, 1201)]
        assert measured.chance_level == pytest.approx(min(grid), rel=1e-4)
        assert spec.chance_level == pytest.approx(min(grid), rel=0.05)
        assert spec.initial_level == pytest.approx(measured.initial_level, rel=0.05)


def test_poisson_and_gaussian_constants_are_optimal_in_torch() -> None:
    counts = torch.poisson(torch.full((3000,), 4.0, dtype=torch.float64), generator=torch.Generator().manual_seed(0))
    for full in (False, True):
        spec = losses.PoissonNLL.from_targets(counts.numpy(), full=full)
        module = nn.PoissonNLLLoss(full=full)
        assert best_constant(lambda c, m=module: m(c.expand(3000), counts)) == pytest.approx(spec.chance_level)
        assert float(module(torch.zeros(3000, dtype=torch.float64), counts)) == pytest.approx(spec.initial_level)
        perfect = nn.PoissonNLLLoss(full=full, log_input=False, eps=0.0)(counts.clamp(min=1e-300), counts)
        assert float(perfect) == pytest.approx(spec.floor)
    y = torch.randn(3000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 + 2
    gaussian = losses.GaussianNLL.from_targets(y.numpy(), full=True)
    module = nn.GaussianNLLLoss(full=True)
    found = best_constant(lambda c: module(c[0].expand(3000), y, c[1].exp().expand(3000)), 2)
    assert found == pytest.approx(gaussian.chance_level)


@pytest.mark.parametrize(
    ("frames", "labels_", "repeats"), [(6, [1, 2, 3], 0), (9, [1, 1, 2], 1), (4, [2, 2], 1), (5, [3], 0)]
)
def test_ctc_chance_counts_every_alignment(frames: int, labels_: list[int], repeats: int) -> None:
    uniform = torch.full((frames, 1, 5), -math.log(5), dtype=torch.float64)
    spec = losses.CTC(5, input_length=frames, target_length=len(labels_), repeats=repeats)
    found = nn.CTCLoss()(uniform, torch.tensor([labels_]), torch.tensor([frames]), torch.tensor([len(labels_)]))
    assert float(found) == pytest.approx(spec.initial_level)

    def constant(z: torch.Tensor) -> torch.Tensor:
        """One distribution in every frame, its labels alike, since it does not know which ones come."""
        logits = torch.cat([z, torch.zeros(4, dtype=torch.float64)])
        rows = torch.log_softmax(logits, 0).expand(frames, 1, 5)
        return nn.CTCLoss()(rows, torch.tensor([labels_]), torch.tensor([frames]), torch.tensor([len(labels_)]))

    assert best_constant(constant) == pytest.approx(spec.chance_level)


def test_embedding_losses_at_chance_and_at_their_floors() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (F.normalize(torch.randn(4096, 256, generator=generator), dim=1) for _ in range(2))
    y = torch.where(torch.arange(4096) % 4 == 0, 1.0, -1.0)
    cosine = nn.CosineEmbeddingLoss(margin=0.2)
    spec = losses.from_torch(cosine, positive_rate=0.25)
    assert float(cosine(a, b, y)) == pytest.approx(spec.initial_level, rel=0.05)
    assert float(cosine(a, torch.where(y[:, None] > 0, a, -a), y)) == pytest.approx(0, abs=1e-6)
    triplet = nn.TripletMarginLoss(margin=0.4)
    assert float(triplet(a, a, a)) == pytest.approx(losses.from_torch(triplet).chance_level, abs=1e-5)
    hinge = nn.HingeEmbeddingLoss(margin=2.0)
    spec = losses.from_torch(hinge, positive_rate=0.25)
    constants = [float(hinge(torch.full((4096,), d), y)) for d in np.linspace(0, 3, 301)]
    assert min(constants) == pytest.approx(spec.chance_level, rel=1e-3)
    assert float(hinge(torch.zeros(4096), y)) == pytest.approx(spec.collapsed_level)
    contrastive = losses.Contrastive(1.5, positive_rate=0.25)
    squares = [0.25 * d**2 + 0.75 * max(0.0, 1.5 - d) ** 2 for d in np.linspace(0, 3, 3001)]
    assert min(squares) == pytest.approx(contrastive.chance_level, rel=1e-4)


def test_info_nce_at_equal_similarities_and_at_its_floor() -> None:
    spec = losses.InfoNCE(64, temperature=0.5)
    assert float(F.cross_entropy(torch.zeros(64, 64), torch.arange(64))) == pytest.approx(spec.chance_level)
    cosines = torch.full((1, 64), -1.0, dtype=torch.float64)
    cosines[0, 0] = 1.0
    assert float(F.cross_entropy(cosines / 0.5, torch.tensor([0]))) == pytest.approx(spec.floor)


@pytest.mark.parametrize("game", ["gan", "lsgan", "hinge", "minimax", "wgan"])
def test_adversarial_levels_are_those_of_a_discriminator_that_cannot_tell(game: str) -> None:
    z = torch.zeros(8, dtype=torch.float64)
    half = torch.sigmoid(z)
    real = {
        "gan": -half.log(),
        "minimax": -half.log(),
        "lsgan": (half - 1) ** 2 / 2,
        "hinge": F.relu(1 - z),
        "wgan": -z,
    }
    fake = {
        "gan": -(1 - half).log(),
        "minimax": -(1 - half).log(),
        "lsgan": half**2 / 2,
        "hinge": F.relu(1 + z),
        "wgan": z,
    }
    side = {"gan": -half.log(), "minimax": (1 - half).log(), "lsgan": (half - 1) ** 2 / 2, "hinge": -z, "wgan": -z}
    discriminator, generator = losses.Adversarial(game), losses.Adversarial(game, side="generator")
    assert float((real[game] + fake[game]).mean()) == pytest.approx(discriminator.chance_level)
    assert float(side[game].mean()) == pytest.approx(generator.chance_level)


def test_a_run_with_sum_reduction_is_diagnosed_as_such() -> None:
    module = nn.CrossEntropyLoss(reduction="sum")
    x, y = torch.randn(48, 20), torch.randint(10, (48,))
    first = float(module(network(10)(x), y))
    spec = losses.from_torch(module, classes=10).to_dict()
    for known in ({"batch_size": 48}, {}):
        found = losses.check_initial(spec, [first], **known)
        assert (found.verdict, found.cause) == ("far_above", "sum_reduction")
    hidden = losses.check_initial(losses.CrossEntropy(10).to_dict(), [first], batch_size=48)
    assert hidden.cause == "sum_reduction"
    assert hidden.multiple == 48
    assert "batch size 48" in hidden.explanation


def test_every_torch_loss_is_recognised() -> None:
    import torch.nn.modules.loss as module

    for name in sorted(set(module.__all__) - {"NLLLoss2d"}):
        cls = getattr(module, name)
        built = cls(4, 4) if name == "LinearCrossEntropyLoss" else cls()
        assert losses.from_torch(built).kind != "custom", name


def test_settings_of_torch_losses_are_read() -> None:
    from functools import partial

    assert losses.from_torch(nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))).class_weights == (1.0, 2.0)
    assert losses.from_torch(nn.HuberLoss(delta=0.3, reduction="sum")) == losses.Huber(0.3, reduction="sum")
    assert (
        losses.from_torch(partial(F.cross_entropy, label_smoothing=0.1, reduction="sum"), classes=3).reduction == "sum"
    )
    assert losses.from_torch(F.smooth_l1_loss).kind == "smooth_l1"
    assert losses.from_torch(nn.MSELoss).kind == "mse"
    weighted = losses.from_torch(nn.BCEWithLogitsLoss(weight=torch.ones(3)))
    assert (weighted.kind, weighted.chance_level, weighted.floor) == ("custom", None, 0.0)
    adaptive = nn.AdaptiveLogSoftmaxWithLoss(64, 100, [10, 50])
    assert losses.from_torch(adaptive).classes == 100
    with pytest.raises(LossError, match="give an instance"):
        losses.from_torch(nn.LinearCrossEntropyLoss)
    per_element = losses.from_torch(nn.KLDivLoss(), classes=4, target_entropy=0.0)
    assert per_element.chance_level == pytest.approx(math.log(4) / 4)


def test_a_subclass_with_its_own_forward_is_not_taken_for_its_parent() -> None:
    class Same(nn.MSELoss):
        pass

    class Other(nn.MSELoss):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return (a - b).abs().max()

    assert losses.from_torch(Same()).kind == "mse"
    assert losses.from_torch(Other()).name == "Other"
    assert losses.from_torch(Other()).chance_level is None
