from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from monitor.integrations.loop import until_stopped  # noqa: E402  # after the library that may be missing
from monitor.integrations.pytorch import TorchLoop, grad_norm  # noqa: E402
from monitor.run.start import Run  # noqa: E402
from monitor.shipping.sinks import MemorySink  # noqa: E402


def test_logs_loss_gradient_and_rate_of_a_real_loop(run: Run, sink: MemorySink, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD([{"params": [model.weight], "lr": 0.1}, {"params": [model.bias], "lr": 0.01}], lr=0.1)
    x = torch.randn(64, 3)
    y = x.sum(1, keepdim=True)
    loop = TorchLoop(run, model, optimizer, grad_norm_every=5)
    losses, norms = [], []
    for _ in range(20):
        loss = (model(x) - y).square().mean()
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item())
        assert not loop.step(loss, accuracy=0.5)
        optimizer.step()
        optimizer.zero_grad()
    assert not loop.validate(torch.tensor(0.25))
    loop.save(tmp_path / "model.pt")
    run.flush()
    assert sink.points(run.id, "train/loss") == list(enumerate(losses))
    assert sink.points(run.id, "lr/group1") == [(step, 0.01) for step in range(20)]
    assert sink.points(run.id, "val/loss") == [(19, 0.25)]
    got = sink.points(run.id, "grad_norm")
    assert [step for step, _ in got] == [0, 5, 10, 15]
    assert [value for _, value in got] == pytest.approx([norms[i] for i in (0, 5, 10, 15)], rel=1e-6)
    assert sink.events(run.id, "checkpoint")[0].data["step"] == 19
    assert torch.load(tmp_path / "model.pt")["step"] == 20
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    fresh = torch.nn.Linear(3, 1)
    groups = [{"params": [fresh.weight]}, {"params": [fresh.bias]}]
    again = TorchLoop(run, fresh, torch.optim.SGD(groups, lr=0.5), config={"width": 3})
    again.load(tmp_path / "model.pt")
    run.finish()
    assert again.steps == 20
    assert all(torch.equal(weights[name], value) for name, value in fresh.state_dict().items())


def test_a_model_without_gradients_has_no_norm() -> None:
    assert grad_norm(torch.nn.Linear(1, 1).parameters()) is None


def test_a_loop_ends_where_the_run_says_so(run: Run, stop: Callable[[], None]) -> None:
    seen = []
    for step in until_stopped(range(1000), run, wait_s=60):
        run.log({"loss": 1.0}, step=step)
        seen.append(step)
        if step == 5:
            stop()
    assert seen == list(range(len(seen)))
    assert 6 <= len(seen) < 20
    run.finish()


def test_goes_on_counting_where_the_run_has_logged(run: Run, sink: MemorySink) -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    for _ in range(2):
        loop = TorchLoop(run, optimizer=optimizer)
        for _ in range(3):
            loop.step(1.0)
    run.finish()
    assert [step for step, _ in sink.points(run.id, "train/loss")] == list(range(6))
    (first, _) = (event.data["config"] for event in sink.events(run.id, "config"))
    assert first["optimizer"]["name"] == "Adam"
    assert first["optimizer"]["lr"] == 0.5
