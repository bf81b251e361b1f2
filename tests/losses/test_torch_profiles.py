"""Every loss of torch.nn is profiled, and what is known of it is asserted. Most are slow together, so that the default
suite profiles one of each family and `-m slow` the rest."""

from __future__ import annotations

import functools
import json
import math
import time

import pytest

from monitor.losses.profiles.kinds import TORCH_KINDS
from monitor.losses.profiles.measure import profile
from monitor.losses.profiles.report import LossProfile
from monitor.losses.profiles.torch_catalogue import torch_losses

torch = pytest.importorskip("torch")

QUICK = (
    "MSELoss",
    "L1Loss",
    "HuberLoss",
    "CrossEntropyLoss",
    "BCEWithLogitsLoss",
    "PoissonNLLLoss",
    "MarginRankingLoss",
)
QUICK += ("SoftMarginLoss", "TripletMarginLoss", "CosineEmbeddingLoss")


@functools.cache
def catalogue() -> dict[str, object]:
    return torch_losses()


@functools.cache
def measured(name: str) -> LossProfile:
    return profile(catalogue()[name], name=name)


def case(name: str, **expected: object) -> object:
    return pytest.param(name, expected, marks=() if name in QUICK else pytest.mark.slow, id=name)


LINEAR = {"border_growth": "linear", "convex": True}
SCORES = {**LINEAR, "symmetric": False, "differentiable": True, "kinks": ()}
KNOWN = [
    case("MSELoss", symmetric=True, border_growth="quadratic", convex=True, differentiable=True, lipschitz=None),
    case("L1Loss", symmetric=True, **LINEAR, differentiable=False, kinks=(0.0,), lipschitz=1.0, scale_degree=1.0),
    case("HuberLoss", symmetric=True, **LINEAR, differentiable=True, kinks=(), lipschitz=1.0, scale_degree=None),
    case("SmoothL1Loss", symmetric=True, **LINEAR, differentiable=True, kinks=(), lipschitz=1.0),
    case("PoissonNLLLoss", symmetric=False, border_growth="exponential", convex=True, lipschitz=None, stable_in=()),
    case("GaussianNLLLoss", symmetric=True, border_growth="quadratic", convex=True, differentiable=True),
    case("CrossEntropyLoss", **SCORES, shift_invariant=True, lipschitz=math.sqrt(2)),
    case("LinearCrossEntropyLoss", **SCORES, shift_invariant=True, lipschitz=math.sqrt(2)),
    case("NLLLoss", **SCORES, shift_invariant=True),
    case("KLDivLoss", **SCORES, shift_invariant=True),
    case("BCEWithLogitsLoss", **SCORES, shift_invariant=False, lipschitz=1.0),
    case("SoftMarginLoss", **SCORES, lipschitz=1.0, stable_in=()),
    case("MultiLabelSoftMarginLoss", **SCORES),
    case("BCELoss", border_growth="bounded", convex=False, stable_in=()),
    case("MultiMarginLoss", **LINEAR, symmetric=False, differentiable=False, kinks=(-1.0,), shift_invariant=True),
    case("MultiLabelMarginLoss", **LINEAR, symmetric=False, differentiable=False, kinks=(-1.0,), shift_invariant=True),
    case("MarginRankingLoss", **LINEAR, differentiable=False, kinks=(-0.5,), lipschitz=math.sqrt(2)),
    case("HingeEmbeddingLoss", **LINEAR, differentiable=False, kinks=(-1.0,), lipschitz=1.0),
    case("TripletMarginLoss", border_growth="linear", convex=False, kinks=(-1.0,)),
    case("TripletMarginWithDistanceLoss", border_growth="linear", convex=False, kinks=(-1.0,)),
    case("CosineEmbeddingLoss", border_growth="bounded", convex=False, scale_degree=0.0),
    case("CTCLoss", border_growth="linear", convex=False, differentiable=True, shift_invariant=True),
]


@pytest.mark.parametrize(("name", "expected"), KNOWN)
def test_known_properties_are_measured(name: str, expected: dict[str, object]) -> None:
    found = measured(name)
    for key, value in expected.items():
        got = getattr(found, key)
        assert got == (pytest.approx(value, rel=1e-3) if isinstance(value, float) else value), key
    assert found.kind == TORCH_KINDS[name]
    assert found.reduction == "mean"
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["border_growth"] == found.border_growth
    assert f"| growth at the border | {found.border_growth} |" in found.to_markdown()


def test_every_torch_loss_has_its_expectations() -> None:
    import torch.nn.modules.loss as module

    assert set(catalogue()) == set(module.__all__) - {"NLLLoss2d"}
    assert {case.values[0] for case in KNOWN} == set(catalogue())


@pytest.mark.slow
def test_all_of_torch_is_profiled_within_a_minute() -> None:
    start = time.perf_counter()
    for name, loss in catalogue().items():
        profile(loss, name=name)
    assert time.perf_counter() - start < 60


def side(name: str, which: str) -> dict[str, object]:
    return measured(name).evidence["border_growth"]["sides"][which]


def test_huber_is_quadratic_then_linear_with_a_break_of_curvature_at_delta() -> None:
    assert side("HuberLoss", "error +")["near_zero"]["growth"] == "quadratic"
    assert side("HuberLoss", "error +")["growth"] == "linear"
    places = [entry["error"] for entry in measured("HuberLoss").evidence["kinks"]["curvature_breaks"]]
    assert places == [-1.0, 1.0]
    assert "quadratic for small errors, then linear" in measured("HuberLoss").to_markdown()


def test_cross_entropy_rises_linearly_and_falls_to_zero() -> None:
    assert side("CrossEntropyLoss", "true class +")["factor"] == pytest.approx(1.0)
    assert side("CrossEntropyLoss", "true class -")["limit"] == pytest.approx(0.0)
    gradient = measured("CrossEntropyLoss").evidence["gradient"]["slices"]["true class"]
    assert gradient["zero_left"] == pytest.approx(0.8, abs=1e-4)
    assert (gradient["large_plus_is"], gradient["large_minus_is"]) == ("steady", "vanishing")


def test_exponential_losses_overflow_where_their_type_ends() -> None:
    stable = measured("PoissonNLLLoss").evidence["stable_in"]
    for dtype, log_of_largest in (("float32", 88.72), ("float16", 11.09), ("bfloat16", 88.5)):
        assert stable[dtype]["slices"]["error"]["overflow_at"] == pytest.approx(log_of_largest, rel=0.01)
    soft = measured("SoftMarginLoss").evidence["stable_in"]["float32"]["slices"]["positive"]
    assert soft["overflow_at"] == pytest.approx(88.72, rel=0.01)


def test_squared_errors_overflow_float16_at_the_root_of_its_largest() -> None:
    stable = measured("MSELoss").evidence["stable_in"]
    assert stable["float16"]["slices"]["error"]["overflow_at"] == pytest.approx(math.sqrt(65504), rel=0.01)
    assert measured("MSELoss").stable_in == ("float32", "bfloat16")


def test_outliers_move_the_mean_fully_and_the_median_hardly() -> None:
    assert measured("MSELoss").outlier_influence == pytest.approx(1.0, abs=1e-4)
    assert measured("MSELoss").evidence["outlier_influence"]["tends_to"] == "unbounded"
    for name in ("L1Loss", "HuberLoss"):
        assert 0 < measured(name).outlier_influence < 0.01
        assert measured(name).evidence["outlier_influence"]["tends_to"] == "bounded"


def test_squared_error_scales_with_the_square_and_does_not_see_shifts() -> None:
    assert (measured("MSELoss").scale_degree, measured("MSELoss").shift_invariant) == (2.0, True)
    assert measured("MSELoss").evidence["curvature"]["largest"] == pytest.approx(2.0, rel=1e-3)


def test_plain_mse_costs_what_plain_mse_costs() -> None:
    assert 0.5 < measured("MSELoss").relative_cost < 2.0
    assert measured("MSELoss").evidence["relative_cost"]["relative_memory"] == pytest.approx(1.0, abs=0.1)


def test_a_counter_example_of_convexity_holds_when_it_is_called_again() -> None:
    example = measured("TripletMarginLoss").evidence["convex"]["counter_example"]
    if example["of"] != "prediction":
        pytest.skip("the worst violation lies on the slice")
    loss = catalogue()["TripletMarginLoss"]
    x, y = (torch.tensor(example[key], dtype=torch.float64) for key in ("x", "y"))

    def at(z: torch.Tensor) -> float:
        return float(loss(z[None, :4], z[None, 4:8], z[None, 8:]))

    mix = example["mix"]
    assert at(mix * x + (1 - mix) * y) > mix * at(x) + (1 - mix) * at(y) + 1e-6
