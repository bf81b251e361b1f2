"""Attacks stay within their bound and hurt, and trainings against them help."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from monitor import losses
from monitor.cli import app
from monitor.errors import LossError
from monitor.losses.comparison.attacks import Attack, Defence

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
@pytest.mark.parametrize("task", ["classification", "binary", "regression"])
def test_an_attack_stays_within_its_bound_and_raises_the_loss(name: str, task: str) -> None:
    from monitor.losses.comparison.attacks import usual

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3 if task == "classification" else 1)
    )
    x = torch.randn(40, 6)
    y = torch.randint(3, (40,)) if task == "classification" else torch.randint(2, (40,)).float()
    free = torch.tensor([1.0, 1, 1, 1, 1, 0])
    found = Attack(name=name, eps=0.2, task=task).inputs(model, x, y, free)
    assert float((found - x).abs().max()) <= 0.2 + 1e-6
    assert torch.equal(found[:, 5], x[:, 5])
    with torch.no_grad():
        assert float(usual(model(found), y, task)) > 1.02 * float(usual(model(x), y, task))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_trades_without_an_attack_on_a_flat_model_is_the_usual_loss() -> None:
    model = torch.nn.Linear(4, 3)
    torch.nn.init.zeros_(model.weight)
    x, y = torch.randn(10, 4), torch.randint(3, (10,))
    found = Defence("trades", 0.1, "classification", 6.0).loss(model, x, y)
    assert found.item() == pytest.approx(float(torch.nn.functional.cross_entropy(model(x), y).item()), rel=1e-6)


def moons(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One strong input and ten weak ones that only a model that is not robust relies on."""
    y = rng.integers(0, 2, 400)
    strong = np.where(rng.random(400) < 0.95, 2 * y - 1, 1 - 2 * y)[:, None] + 0.1 * rng.normal(size=(400, 1))
    weak = 0.6 * (2 * y[:, None] - 1) + rng.normal(size=(400, 10))
    return np.hstack([strong, weak]), y


def test_training_against_the_attack_helps_under_it_and_costs_without_it() -> None:
    names = ["binary_cross_entropy", "trades(6)", "adversarial"]
    found = losses.compare(names, moons, 3, attack="fgsm", eps=0.5, epochs=15, metric="accuracy")
    by = {item.loss: item for item in found.entries}
    plain, best = by["binary_cross_entropy"], found.entries[0]
    assert found.entries[-1] is plain and plain.clear
    assert best.mean > plain.mean + 0.1
    assert all(item.clean is not None and item.clean >= item.mean for item in found.entries)
    assert "under fgsm, eps 0.5" in found.to_markdown()
    assert found.to_dict()["attack"] == {"name": "fgsm", "eps": 0.5}
    widths = {line.count("|") for line in found.to_markdown().splitlines() if line}
    assert widths == {6}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"attack": "fgsm"}, "an attack has a name and an eps"),
        ({"eps": 0.1}, "an attack has a name and an eps"),
        ({"attack": "fgms", "eps": 0.1}, "write one of fgsm, pgd"),
        ({"attack": "fgsm", "eps": 0.0}, "eps is 0.0"),
        ({"losses": ["trades"]}, "none is given"),
        ({"losses": ["mse", "trades"], "attack": "fgsm", "eps": 0.1, "data": "diabetes"}, "not for regression"),
        ({"losses": ["poisson_nll"], "attack": "fgsm", "eps": 0.1, "task": "counts"}, "counts has no attack"),
    ],
)
def test_what_cannot_be_attacked_is_said(settings: dict[str, object], said: str) -> None:
    arguments = {"losses": ["cross_entropy"], "data": "iris", "seeds": 2, "epochs": 1, **settings}
    with pytest.raises(LossError, match=said):
        losses.compare(arguments.pop("losses"), arguments.pop("data"), arguments.pop("seeds"), **arguments)  # type: ignore[arg-type]  # a table of arguments


def test_the_command_takes_an_attack() -> None:
    words = "losses compare cross_entropy trades(6) --data iris --attack pgd --eps 0.3 --seeds 2 --epochs 5 --json"
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["attack"] == {"name": "pgd", "eps": 0.3}
    assert {item["loss"] for item in found["entries"]} == {"cross_entropy", "trades(6)"}
