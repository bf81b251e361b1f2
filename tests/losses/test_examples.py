"""Which examples make the loss: wrong labels are found in a real training, and what is stored stays small."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import monitor
from monitor.cli import app
from monitor.limits import silent, valid
from monitor.losses.examples import MOST, ExampleLosses, gradient_sizes
from monitor.reader.api import Api
from monitor.roles import Role, read
from monitor.run.start import Run
from monitor.settings import Settings

functional = torch.nn.functional


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train_on_digits(run: Run, flipped: float, *, epochs: int = 10, by_batch: bool = False) -> set[str]:
    """Train a small network on scikit-learn's digits, some labels of which were replaced; the ids of these."""
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(0)
    x, y = load_digits(return_X_y=True)
    wrong = rng.random(len(y)) < flipped
    labels = torch.tensor(np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y))
    images, ids = torch.tensor(x / 16).float(), np.array([f"digit-{i}" for i in range(len(y))])
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer, step = torch.optim.Adam(net.parameters(), lr=0.01), 0
    for _ in range(epochs):
        for rows in torch.randperm(len(y)).split(64):
            losses = functional.cross_entropy(net(images[rows]), labels[rows], reduction="none")
            run.log({"loss": losses.mean()}, step)
            if by_batch:
                run.log_example_losses(ids[rows], losses, step)
            optimizer.zero_grad()
            losses.mean().backward()
            optimizer.step()
            step += 1
        if not by_batch:
            with torch.no_grad():
                losses = functional.cross_entropy(net(images), labels, reduction="none")
            run.log_example_losses(ids, losses, step)
    return set(ids[wrong])


@pytest.mark.parametrize("by_batch", [False, True], ids=["after each epoch", "in each batch"])
def test_wrong_labels_are_suspected_in_a_real_training(tmp_path: Path, by_batch: bool) -> None:
    settings = Settings(dir=tmp_path)
    with monitor.init("digits", settings=settings, loss="cross_entropy(classes=10)") as run:
        planted = train_on_digits(run, 0.05, by_batch=by_batch)
    with Api(settings=settings) as api:
        seen = api.snapshot(run.id)
        explained = api.explain(run.id)
    found = seen.examples["summaries"][-1]
    suspects = set(found["suspects"])
    assert len(suspects & planted) > 0.8 * len(planted)
    assert len(suspects & planted) > 0.8 * len(suspects)
    assert found["suspect_count"] == len(suspects)
    assert found["suspect_share"] > 0.3
    assert any("stand apart" in said and "look for wrong labels" in said for said in seen.of_examples())
    assert "look for wrong labels" in explained["text"]
    assert {series.key for series in seen.series} >= {"examples/train/top_share", "examples/train/suspects"}


def test_nobody_is_suspected_where_the_labels_are_right(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path)
    with monitor.init("digits", settings=settings) as run:
        train_on_digits(run, 0.0)
    with Api(settings=settings) as api:
        found = api.snapshot(run.id).examples["summaries"]
    assert [each["suspect_count"] for each in found] == [0]


def test_a_summary_is_stored_once_a_pass_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path)
    with monitor.init("passes", settings=settings) as run:
        for step in range(230 * 4):
            rows = range(step % 4 * 25, step % 4 * 25 + 25)
            run.log_example_losses(rows, np.linspace(0.5, 1.0, 25), step, split="val")
    with Api(settings=settings) as api:
        view = api.run(run.id)
        stored = [event.data for event in view.events() if event.kind == "examples"]
        logged = view.history("examples/val/top_share")
    assert len(stored) == 200
    assert stored[-1]["n"] == 100
    assert 225 <= len(logged.values) <= 235
    assert len(json.dumps(stored[-1])) < 2000


def test_what_cannot_be_used_is_counted_and_raises_nothing(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path)
    with monitor.init("hostile", settings=settings) as run:
        run.log_example_losses(["a"], [1.0, 2.0])
        run.log_example_losses(object(), None, slices={"scene": ["x"]})
        run.log_example_losses(["a", "b"], [float("nan"), 1.0], 3)
        run.log({"loss": 1.0})
    with Api(settings=settings) as api:
        seen = api.snapshot(run.id)
    assert seen.info.warnings["dropped"] == 2
    assert seen.examples["summaries"][0]["not_finite"] == 1


def test_the_share_of_the_gradient_is_that_of_autograd() -> None:
    rng = np.random.default_rng(1)
    logits = torch.tensor(rng.normal(0, 3, (40, 5)), requires_grad=True)
    labels = torch.tensor(rng.integers(0, 5, 40))
    losses = functional.cross_entropy(logits, labels, reduction="none")
    losses.sum().backward()
    sizes = gradient_sizes(losses.detach().numpy(), {"kind": "cross_entropy"})
    assert logits.grad is not None
    exact = -logits.grad[torch.arange(40), labels]
    assert sizes is not None
    np.testing.assert_allclose(sizes, exact.numpy(), rtol=1e-9)
    errors = torch.tensor(rng.normal(0, 3, 40), requires_grad=True)
    errors.square().sum().backward()
    sizes = gradient_sizes(errors.detach().square().numpy(), {"kind": "mse"})
    assert sizes is not None
    assert errors.grad is not None
    np.testing.assert_allclose(2 * sizes, errors.grad.abs().numpy(), rtol=1e-9)
    assert gradient_sizes(np.ones(3), {"kind": "cross_entropy", "label_smoothing": 0.1}) is None
    assert gradient_sizes(np.ones(3), {"kind": "focal"}) is None


def test_an_outlier_that_makes_much_of_the_gradient_is_named(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path)
    with monitor.init("outlier", settings=settings, loss="mse") as run:
        run.log_example_losses(range(100), [1e4, *[1.0] * 99], 5)
    with Api(settings=settings) as api:
        said = " ".join(api.snapshot(run.id).of_examples())
    assert "the largest 1% hold 99% of the loss; the largest is 0 with 10,000 (median 1)" in said
    assert "One example makes 50% of the gradient at the output." in said  # 100 of 100 + 99


def test_a_slice_that_overfits_is_told_while_the_mean_still_improves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, rng = Settings(dir=tmp_path), np.random.default_rng(0)
    scene = np.array(["day"] * 95 + ["night"] * 5)
    with monitor.init("driving", settings=settings) as run:
        for step in range(3000):
            run.log({"loss": 0.1 + 2 * np.exp(-step / 600) + 0.02 * rng.normal()}, step)
            if step % 30 == 0:
                day = 0.2 + 2 * np.exp(-step / 800)
                night = 0.8 + 2 * np.exp(-step / 300) + 0.6 * max(0, step - 900) / 2000
                losses = np.where(scene == "day", day, night) + 0.01 * rng.normal(size=100)
                run.log_example_losses(range(100), losses, step, split="val", slices={"scene": scene})
                run.log({"val/loss": losses.mean()}, step)
    with Api(settings=settings) as api:
        seen, explained = api.snapshot(run.id), api.explain(run.id)
        findings = [each.rule for each in seen.findings if each.state == "firing"]
    assert "overfitting" not in findings
    worst, other = seen.examples["slices"]
    assert (worst["slice"], worst["verdict"]) == ("scene=night", "overfitting")
    assert (other["slice"], other["verdict"]) == ("scene=day", None)
    assert 700 < worst["since_step"] < 1200
    said = " ".join(seen.of_examples())
    assert "Worst of 2 slices: scene=night" in said
    assert "scene=night overfits:" in said
    assert "while val/loss still improved until step" in said
    assert "scene=night overfits:" in explained["text"]
    monkeypatch.setenv("MONITOR_DIR", str(tmp_path))
    shown = CliRunner().invoke(app, ["runs", "show", run.id])
    assert "scene=night overfits:" in shown.output


def test_the_receiver_changes_nothing_of_a_summary_and_bounds_a_foreign_one() -> None:
    told: list[tuple[object, ...]] = []
    found = ExampleLosses({"kind": "mse"}).add([f"row-{i}" for i in range(100)], [9.0, *[1.0] * 99])
    event = {"split": "val", "step": 3, **(found or {})}
    kept = valid("examples", event, lambda *note: told.append(note))
    assert kept == event == valid("examples", kept, lambda *note: told.append(note))
    assert not told
    large = valid("examples", {**event, "suspects": ["x" * 999] * 999, "top": [["y" * 999, 1.0]] * 99}, silent)
    assert large is not None
    assert len(json.dumps(large)) < 20_000
    assert valid("examples", {**event, "mean": "much"}, silent) is None


@pytest.mark.parametrize("slices", [("split=test", "split=train"), ("scene=day", "scene=night"), ("fold=0", "fold=1")])
def test_a_slice_is_never_judged_for_the_whole(slices: tuple[str, str]) -> None:
    names = [f"val/loss{{{name}}}" for name in slices]
    judged = read([*names, "loss", "val/loss"]).judged
    assert judged == {Role.TRAIN: "loss", Role.VAL: "val/loss"}


def test_examples_beyond_those_that_are_followed_are_counted() -> None:
    seen = ExampleLosses()
    seen.add(range(MOST), np.ones(MOST))
    found = seen.add(range(MOST, 2 * MOST + 5), np.ones(MOST + 5)) or seen.summary()
    assert (found["n"], found["beyond"]) == (MOST, MOST + 5)
