"""Weights of a loss's parts: tasks of very different scale are both learned, and what is logged is what was used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

import monitor
from monitor import losses
from monitor.errors import LossError
from monitor.reader.api import Api
from monitor.rules import diagnose
from monitor.rules.lab.examples import DATA, ROUGH, SWAY
from monitor.settings import Settings

Weigh = Callable[[Mapping[str, torch.Tensor]], torch.Tensor]
SCALE = 100.0
"""How much larger the loss of the second task is."""


class Tasks:
    """Two tasks on scikit-learn's digits with one small trunk: the digit, and where its ink is, in a larger unit."""

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        x, digit = load_digits(return_X_y=True)
        ink = x[:, :32].sum(1) - x[:, 32:].sum(1)
        self.x = torch.tensor(x / 16).float()
        self.digit, self.ink = torch.tensor(digit), torch.tensor((ink - ink.mean()) / ink.std()).float()

    def train(
        self, weigh: Callable[[torch.nn.Module], Weigh], seed: int, steps: int = 500, *, sgd: bool = False
    ) -> dict[str, float]:
        """The error of each task on held-out data, as a share of chance."""
        torch.manual_seed(seed)
        trunk = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.Tanh())
        heads = torch.nn.ModuleDict({"digit": torch.nn.Linear(16, 10), "ink": torch.nn.Linear(16, 1)})
        parameters = [*trunk.parameters(), *heads.parameters()]
        adam, plain = torch.optim.Adam(parameters, lr=0.01), torch.optim.SGD(parameters, lr=0.001, momentum=0.9)
        optimizer = plain if sgd else adam
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        order, balance = torch.randperm(len(self.x)), weigh(trunk)
        for _ in range(steps):
            parts = self._losses(trunk, heads, order[torch.randint(0, 1400, (64,))])
            optimizer.zero_grad()
            balance({"digit": parts["digit"], "ink": SCALE * parts["ink"]}).backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            found = self._losses(trunk, heads, order[1400:])
        return {"digit": float(found["digit"]) / float(np.log(10)), "ink": float(found["ink"])}

    def _losses(
        self, trunk: torch.nn.Module, heads: torch.nn.ModuleDict, rows: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        hidden = trunk(self.x[rows])
        return {
            "digit": torch.nn.functional.cross_entropy(heads["digit"](hidden), self.digit[rows]),
            "ink": (heads["ink"](hidden)[:, 0] - self.ink[rows]).square().mean(),
        }

    def error(self, weigh: Callable[[torch.nn.Module], Weigh]) -> float:
        """The mean error of both tasks over three seeds."""
        return float(np.mean([list(self.train(weigh, seed).values()) for seed in range(3)]))


def by_hand(digit: float, ink: float) -> Callable[[torch.nn.Module], Weigh]:
    return lambda trunk: lambda parts: digit * parts["digit"] + ink * parts["ink"]


@pytest.fixture(scope="module")
def tasks() -> Iterator[Tasks]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Tasks()
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_tasks_of_a_hundredfold_scale_end_within_5_percent_of_weights_tuned_by_hand(tasks: Tasks) -> None:
    tuned = min(tasks.error(by_hand(ratio, 1.0)) for ratio in (1, 10, 30, 100, 300))
    assert tasks.error(by_hand(1.0, 1.0)) > 1.5 * tuned
    for method in ("uncertainty", "average", "gradients"):
        error = tasks.error(lambda trunk: losses.Balancer(method, shared=trunk.parameters()))  # noqa: B023  # used at once
        assert error < 1.05 * tuned, (method, error, tuned)


def test_the_run_holds_the_total_its_parts_and_the_weights_that_were_used(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path)
    shared = torch.nn.Parameter(torch.ones(3))
    with monitor.init("two tasks", settings=settings) as run:
        balance = losses.Balancer("gradients", run=run, shared=[shared], every=10)
        for step in range(200):
            falls = 1 / (1 + step / 20)
            parts = {"a": falls * shared.square().sum(), "b": -0.01 * shared.sum() + 0.05}
            balance(parts, step).backward()
    with Api(settings=settings) as api:
        view = api.run(run.id)
        keys = ("loss", "loss/a", "loss/b", "gradients/cosine/a-b")
        last, a, b, cosine = (float(view.history(key).values[-1]) for key in keys)
        events = [event.data for event in view.events() if event.kind == "weights"]
        findings = view.findings()
    assert view.info.status == "finished"
    assert 1 < len(events) < 40  # only where they have moved
    assert events[-1]["weights"] == pytest.approx(balance.weights)
    assert last == pytest.approx(balance.weights["a"] * a + balance.weights["b"] * b, rel=1e-5)
    assert cosine == pytest.approx(-1)
    assert not [finding for finding in findings if finding.rule == "parts_sum"]


def test_the_weight_that_the_rule_suggests_lets_the_other_part_be_learned(tasks: Tasks) -> None:
    rows: dict[str, list[float]] = {"digit": [], "ink": []}

    def noting(weights: Mapping[str, float]) -> Callable[[torch.nn.Module], Weigh]:
        def weigh(parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
            for name, value in parts.items():
                rows[name].append(value.item())
            return sum(weights[name] * value for name, value in parts.items())

        return lambda trunk: weigh

    few = {"digit": 1e-3, "ink": 1.0}
    before = tasks.train(noting(few), 0, sgd=True)
    total = [few["digit"] * a + few["ink"] * b for a, b in zip(rows["digit"], rows["ink"], strict=True)]
    found = diagnose(total, parts=rows, weights=few)
    finding = next(f for f in found.findings if f.rule == "dominant_part")
    assert finding.evidence["other"] == "digit"
    suggested = float(finding.evidence["suggested"])  # type: ignore[arg-type]
    assert f"{suggested:.2g}" in finding.advice
    after = tasks.train(noting({**few, "digit": suggested}), 0, sgd=True)
    assert after["digit"] < 0.5 * before["digit"]


@pytest.mark.parametrize(("weight", "said"), [(0.1, "about 0.091 for loss/box, 1 now"), (1.0, None)])
def test_parts_in_conflict_are_told_the_weight_that_makes_them_equal_unless_they_are(
    weight: float, said: str | None
) -> None:
    rows = {"mask": 1.5 - SWAY + ROUGH, "box": DATA + SWAY}
    found = diagnose(weight * rows["mask"] + rows["box"], parts=rows, weights={"mask": weight})
    advice = next(f.advice for f in found.findings if f.rule == "conflicting_parts")
    assert (said or "settle it by the weights.") in advice


def test_a_checkpoint_keeps_the_weights() -> None:
    one, other = losses.Balancer(every=1), losses.Balancer(every=1)
    for step in range(5):
        one({"a": torch.tensor(3.0 / (step + 1)), "b": torch.tensor(1.0)})
    other.load_state_dict(one.state_dict())
    for made in (one, other):
        made({"a": torch.tensor(0.5), "b": torch.tensor(1.0)})
    assert one.weights == other.weights


def test_a_part_that_is_not_finite_moves_no_weight_and_one_that_goes_below_zero_is_bounded() -> None:
    balance = losses.Balancer(every=1)
    balance({"a": torch.tensor(4.0), "nll": torch.tensor(1.0)})
    before = dict(balance.weights)
    balance({"a": torch.tensor(float("nan")), "nll": torch.tensor(1.0)})
    assert balance.weights == before
    for _ in range(20):
        balance({"a": torch.tensor(4.0), "nll": torch.tensor(-3.0)})
    assert balance.weights["nll"] / balance.weights["a"] == pytest.approx(4 * 10, rel=0.06)


def test_a_part_may_be_missing_or_come_late() -> None:
    balance = losses.Balancer(every=2)
    balance({"a": torch.tensor(4.0)})
    assert float(balance({"a": torch.tensor(4.0), "b": torch.tensor(2.0)})) == pytest.approx(2 * 2 * 4 * 2 / (4 + 2))
    assert float(balance({"b": torch.tensor(2.0)})) == pytest.approx(balance.weights["b"] * 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "best"}, "method is 'best'; use one of uncertainty, average, gradients"),
        ({"method": "gradients"}, "pass the parameters of the last shared layer"),
        ({"every": 0}, "every is 0; take at least 1"),
        ({"bound": 1.0}, "bound is 1.0; take above 1"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(LossError, match=said):
        losses.Balancer(**given)  # type: ignore[arg-type]


def test_a_part_that_starts_below_zero_is_named_with_the_method_that_takes_it() -> None:
    with pytest.raises(LossError, match=r"nll: the part starts at -0.5.*use method=.gradients"):
        losses.Balancer()({"nll": torch.tensor(-0.5)})
