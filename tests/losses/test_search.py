"""The search finds planted tails, keeps the usual loss where nothing is better, and gives a loss that can be used."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from monitor import losses
from monitor.errors import LossError
from monitor.losses.comparison.module import source
from monitor.losses.comparison.search import FAMILIES

pytest.importorskip("torch")


def data(noise: str, seed: int, rows: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4))
    errors = rng.normal(size=rows) if noise == "normal" else rng.standard_t(1.5, size=rows)
    return x, 50 * (x[:, 0] - x[:, 1] * x[:, 2] + errors)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_heavy_tails_are_found(seed: int) -> None:
    found = losses.search(data("heavy", seed))
    assert found.clear and found.loss != "mse"
    assert found.gain[1] > 0
    fitted = losses.parse(found.rungs[0][-1])
    assert isinstance(fitted, losses.Barron) and fitted.alpha < 1
    assert found.said.startswith(f"Take {found.loss}: mae ")
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_normal_noise_keeps_the_squared_error(seed: int) -> None:
    found = losses.search(data("normal", seed))
    assert (found.clear, found.loss) == (False, "mse")
    fitted = losses.parse(found.rungs[0][-1])
    assert isinstance(fitted, losses.Barron) and fitted.alpha > 1.5
    assert found.said.startswith("No clear winner: keep mse.")


@pytest.mark.slow
def test_clean_labels_keep_the_usual_loss() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    y = (x[:, 0] + 0.5 * x[:, 1] > 0).astype(int)
    found = losses.search((x, y), seeds=6, epochs=15)
    assert found.task == "binary" and found.loss == "binary_cross_entropy"


@pytest.mark.parametrize(
    ("sample", "low", "high"), [("normal", 1.7, 2.0), ("standard_cauchy", 0.0, 0.2), ("laplace", 0.6, 1.4)]
)
def test_barrons_shape_follows_the_tails(sample: str, low: float, high: float) -> None:
    residuals = 7 * getattr(np.random.default_rng(0), sample)(size=4000)
    found = losses.fit_barron(residuals)
    assert low <= found.alpha <= high
    again = losses.fit_barron(residuals / 7)
    assert again.alpha == found.alpha and again.scale == pytest.approx(found.scale / 7, rel=0.01)


def test_residuals_that_say_nothing_are_refused() -> None:
    with pytest.raises(LossError, match="not all of them 0"):
        losses.fit_barron(np.zeros(100))


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, names in FAMILIES.items() for name in names])
def test_every_loss_of_the_search_is_written_as_a_module_that_gives_the_same(
    task: str, name: str, tmp_path: Path
) -> None:
    import torch

    path = tmp_path / "loss.py"
    path.write_text(source(name, task, unit=50.0), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("loss", path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    torch.manual_seed(0)
    columns = {"classification": (12, 3), "metric": (12, 8)}.get(task, (12,))
    outputs = torch.randn(columns, requires_grad=True)
    labels = torch.arange(12) % (2 if task == "binary" else 3)
    targets = 50 * torch.randn(12) if task == "regression" else labels
    targets = targets.float() if task in ("binary", "counts", "ranking") else targets
    torch.manual_seed(0)
    value = made.Loss()(outputs, targets)
    torch.manual_seed(0)
    assert value.item() == pytest.approx(losses.module(name, task, unit=50.0)(outputs, targets).item(), rel=1e-5)
    value.backward()
    assert torch.isfinite(outputs.grad).all()
