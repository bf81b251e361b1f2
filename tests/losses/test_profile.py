"""The measurements on functions whose properties are known, in numpy; and what cannot be profiled."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from monitor import losses
from monitor.errors import LossError
from monitor.losses.profiles.border import classify


def residual(function):
    return lambda p, t: np.mean(function(p - t))


def quick(fn, kind="regression", **more):
    return losses.profile(fn, kind, samples=150, **more)


@pytest.mark.parametrize(
    ("function", "growth"),
    [
        (lambda r: r**2, "quadratic"),
        (np.abs, "linear"),
        (lambda r: np.log1p(r**2), "logarithmic"),
        (lambda r: r**2 / (1 + r**2), "bounded"),
        (np.tanh, "bounded"),
        (lambda r: np.sqrt(np.abs(r)), "sublinear"),
        (lambda r: np.abs(r) ** 1.5, "superlinear"),
        (lambda r: np.abs(r) ** 3, "power"),
        (lambda r: np.exp(r) - r, "exponential"),
        (np.cosh, "exponential"),
        (lambda r: np.log(np.exp(r) + np.exp(-r)), "linear"),
    ],
)
def test_growth_is_named(function, growth: str) -> None:
    grid = 10.0 ** np.linspace(1, 6, 21)
    with np.errstate(all="ignore"):
        found = classify(grid.tolist(), function(grid).tolist())
    assert found["growth"] == growth


def test_an_asymmetric_loss_comes_with_its_counter_example() -> None:
    found = quick(residual(lambda r: np.maximum(0.9 * r, -0.1 * r)))
    assert not found.symmetric
    example = found.evidence["symmetric"]["counter_example"]
    assert example["loss"] == pytest.approx(9 * example["loss_of_opposite"])
    assert found.kinks == (0.0,)
    left, right = (found.evidence["kinks"]["kinks"][0][key] for key in ("slope_left", "slope_right"))
    assert (left, right) == (pytest.approx(-0.1, abs=1e-4), pytest.approx(0.9, abs=1e-4))


def test_several_kinks_are_all_found() -> None:
    found = quick(residual(lambda r: np.abs(r) + np.maximum(0, np.abs(r) - 2.5) + np.maximum(0, r - 40)))
    assert found.kinks == (-2.5, 0.0, 2.5, 40.0)
    assert found.convex


def test_a_jump_has_no_lipschitz_constant() -> None:
    found = quick(residual(lambda r: (np.abs(r) > 1.0) * 1.0 + 0.01 * np.abs(r)))
    assert [entry["error"] for entry in found.evidence["kinks"]["jumps"]] == [-1.0, 1.0]
    assert found.lipschitz is None
    assert not found.convex


def test_a_smooth_loss_has_no_kinks_however_bent() -> None:
    for width in (1.0, 0.05):
        found = quick(residual(lambda r, w=width: np.sqrt(r**2 + w**2)))
        assert found.kinks == ()
        assert found.evidence["kinks"]["twice_differentiable"]
        assert found.lipschitz == pytest.approx(1.0, rel=1e-3)


def test_a_robust_loss_ignores_a_far_outlier() -> None:
    found = quick(residual(lambda r: r**2 / (1 + r**2)))
    assert abs(found.outlier_influence) < 1e-3
    assert found.evidence["outlier_influence"]["tends_to"] == "redescending"
    assert not found.convex
    example = found.evidence["convex"]["counter_example"]
    assert example["loss_between"] > example["chord"]


def test_a_relative_error_is_not_shift_invariant_and_needs_its_targets() -> None:
    found = quick(lambda p, t: np.mean(np.abs(p - t) / np.maximum(np.abs(t), 1e-9)), target=5.0)
    assert not found.shift_invariant
    assert found.scale_degree == 0.0
    assert found.kinks == (0.0,)


def test_a_loss_of_positive_predictions_is_profiled_where_it_is_defined() -> None:
    def msle(p, t):
        return np.mean((np.log1p(p) - np.log1p(t)) ** 2)

    found = quick(msle, target=5.0)
    ends = found.evidence["domain"]["error"]
    assert -6.0 <= ends["from"] < -5.5
    assert not ends["everywhere"]
    assert found.evidence["border_growth"]["sides"]["error -"]["growth"] == "undefined"
    assert found.border_growth == "logarithmic"
    assert 0 < found.outlier_influence < 0.5
    assert "Defined for errors from -5." in found.to_markdown()
    with pytest.raises(LossError, match="give a target= for which it is defined"):
        losses.profile(lambda p, t: np.mean(np.abs((p - t) / t)))


def test_a_torch_loss_that_returns_a_float_is_profiled_without_gradients() -> None:
    pytest.importorskip("torch")
    found = quick(lambda p, t: ((p - t) ** 2).mean().item(), backend="torch")
    assert found.border_growth == "quadratic"
    assert found.relative_cost > 0


def test_a_naive_exponential_is_unstable_and_a_careful_one_is_not() -> None:
    def naive(z, y):
        return np.mean(np.log(1 + np.exp(z)) - z * y)

    def careful(z, y):
        return np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))

    assert quick(naive, "binary").stable_in == ()
    assert quick(careful, "binary").stable_in == ("float32", "float16")


def test_numpy_profiles_are_repeatable_but_for_their_cost() -> None:
    first, second = (quick(residual(np.abs)).to_dict() for _ in range(2))
    for found in (first, second):
        del found["relative_cost"], found["evidence"]["relative_cost"]
    assert first == second


def test_the_clock_is_an_argument() -> None:
    ticks = iter(range(10**6))
    found = quick(residual(np.abs), clock=lambda: float(next(ticks)))
    assert found.relative_cost == 1.0


def test_a_sum_is_told_from_a_mean() -> None:
    assert quick(lambda p, t: np.sum((p - t) ** 2)).reduction == "sum"
    assert quick(lambda p, t: np.mean((p - t) ** 2)).reduction == "mean"
    assert quick(lambda p, t: np.sqrt(np.sum((p - t) ** 2))).reduction == "other"


def random_loss(p, t, rng=np.random.default_rng()):
    return np.mean((p - t) ** 2) + rng.random()


REFUSED = [
    ("vector", lambda p, t: (p - t) ** 2, "regression", r"it returns shape \(6,\), not one number; average it"),
    ("list", lambda p, t: [1.0, 2.0], "regression", "it returns a list, not one number; return the loss alone"),
    ("nothing", lambda p, t: None, "regression", "it returns a NoneType"),
    ("text", lambda p, t: "big", "regression", "it returns str, not one number"),
    ("nan", lambda p, t: np.mean(p - t) * np.nan, "regression", "it is NaN for every error tried"),
    ("infinite", lambda p, t: np.inf, "regression", "it is not finite for every error tried"),
    ("shapes", lambda p, t: np.mean(p @ np.ones((7, 2))), "regression", r"calling it failed: .*choose the kind"),
    ("arguments", lambda p: float(np.mean(p)), "regression", r"calling it failed: .*takes 1 positional argument"),
    ("kind", lambda p, t: 0.0, "regresion", r"kind='regresion': no such kind; write one of regression"),
    ("random", random_loss, "regression", "the same input gives different losses"),
    ("number", 3.0, "regression", "it cannot be called"),
]


@pytest.mark.parametrize(("fn", "kind", "said"), [item[1:] for item in REFUSED], ids=[item[0] for item in REFUSED])
def test_what_cannot_be_profiled_gets_one_clear_line(fn, kind: str, said: str) -> None:
    with pytest.raises(LossError, match=said) as caught:
        losses.profile(fn, kind)
    assert "\n" not in str(caught.value)


def test_torch_callables_with_weights_or_no_reduction() -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    with pytest.raises(LossError, match="reduction="):
        losses.profile(nn.MSELoss(reduction="none"))
    with pytest.raises(LossError, match="one number"):
        losses.profile(nn.AdaptiveLogSoftmaxWithLoss(5, 64, [8], div_value=1.0), kind="classification")
    weighted = losses.profile(nn.CrossEntropyLoss(weight=torch.ones(3)), classes=3, samples=60)
    assert weighted.border_growth == "linear"
    assert "float32" in weighted.stable_in
    threads = torch.get_num_threads()
    found = losses.profile(lambda p, t: torch.log1p((p - t) ** 2).mean(), samples=60)
    assert found.border_growth == "logarithmic"
    assert torch.get_num_threads() == threads
    bound = losses.profile(partial(torch.nn.functional.huber_loss, delta=2.0), samples=60)
    assert [entry["error"] for entry in bound.evidence["kinks"]["curvature_breaks"]] == [-2.0, 2.0]


def test_a_gradient_that_is_not_a_number_is_seen() -> None:
    torch = pytest.importorskip("torch")
    found = losses.profile(lambda p, t: ((p - t) ** 2).sqrt().mean(), backend="torch", samples=60)
    assert found.evidence["gradient"]["slices"]["error"]["autograd_at_zero"] == "not finite"
    assert found.stable_in == ()
    assert found.evidence["stable_in"]["float32"]["slices"]["error"]["gradient_not_finite_at"] == 0.0
    del torch


def test_losses_are_loaded_by_their_dotted_names() -> None:
    pytest.importorskip("torch")
    assert losses.load("torch.nn.HuberLoss", delta=0.5).delta == 0.5
    assert losses.load("torch.nn.functional.huber_loss", delta=0.5).keywords == {"delta": 0.5}
    for path, settings, said in [
        ("hubber", {}, "did you mean 'huber'"),
        ("torch.nn.HubberLoss", {}, "torch.nn has no HubberLoss"),
        ("nowhere.loss", {}, "there is no module nowhere"),
        ("torch.nn.HuberLoss", {"dleta": 1}, "check the settings"),
        ("math.pi", {}, "it is a float"),
    ]:
        with pytest.raises(LossError, match=said):
            losses.load(path, **settings)


def test_the_report_reads_well() -> None:
    found = quick(residual(np.abs), name="absolute error")
    page = found.to_markdown(heading=3, picture="a.svg")
    assert page.startswith("### absolute error\n\n![absolute error: loss and slope over the error](a.svg)")
    assert "Kinks at error 0." in page
    assert dict(found.rows())["Lipschitz constant"] == "1"
    assert math.isclose(found.lipschitz, 1.0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_loss_that_is_harsh_on_one_side_is_judged_by_that_side(sign: float) -> None:
    def linex(p, t):
        error = sign * (p - t)
        return np.mean(np.exp(error) - error - 1)

    found = losses.profile(linex, "regression")
    assert found.outlier_influence > 10
    assert found.evidence["outlier_influence"]["worse"] == ("below" if sign > 0 else "above")
    float64 = found.evidence["stable_in"]["float64"]["slices"]["error"]
    assert float64["overflow_at"] == pytest.approx(sign * 709.78, abs=0.3)

    def one_class(logit, y):  # bounded for a positive, squared for a negative
        return np.mean(np.where(y > 0.5, 1 / (1 + np.exp(np.clip(logit, -30, 30))), np.maximum(0, 1 + logit) ** 2))

    other = losses.profile(one_class, "binary")
    sides = other.evidence["outlier_influence"]["sides"]
    assert other.outlier_influence == pytest.approx(max(side["share"] for side in sides.values() if side["share"]))


def test_log_of_cosh_overflows_in_float64_too() -> None:
    found = losses.profile(lambda p, t: np.mean(np.log(np.cosh(p - t))), "regression", name="log cosh")
    assert "float64, error: overflows at error 710.5." in found.findings
    assert found.outlier_influence < 0.1


def test_a_named_loss_is_called_with_tensors_in_a_process_that_has_not_imported_torch() -> None:
    pytest.importorskip("torch")
    code = (
        "import sys; from monitor import losses; fn = losses.load('bpr'); assert 'torch' not in sys.modules; "
        "print(losses.profile(fn, samples=20).kind, losses.check(fn).ok)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == ["ranking", "True"]


def test_the_parts_that_come_with_a_loss_are_left_aside() -> None:
    for fn in (lambda p, t: (np.mean((p - t) ** 2), {"n": 3}), lambda p, t: {"loss": np.mean((p - t) ** 2), "n": 3}):
        assert quick(fn).reduction == "mean"
