from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
nnx = pytest.importorskip("flax.nnx")

from monitor.integrations.jax import JaxLoop  # noqa: E402  # after the libraries that may be missing
from monitor.run.start import Run  # noqa: E402
from monitor.shipping.sinks import MemorySink  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_logs_a_real_loop_of_flax_and_goes_on_counting(run: Run, sink: MemorySink, tmp_path: Path) -> None:
    model = nnx.Linear(4, 1, rngs=nnx.Rngs(0))
    schedule = optax.linear_schedule(0.1, 0.01, 10)
    optimizer = nnx.Optimizer(model, optax.adam(schedule), wrt=nnx.Param)
    x = jax.random.normal(jax.random.key(0), (64, 4))
    y = x.sum(1, keepdims=True)

    @nnx.jit
    def step(model: nnx.Linear, optimizer: nnx.Optimizer) -> tuple[jax.Array, object]:
        loss, grads = nnx.value_and_grad(lambda m: ((m(x) - y) ** 2).mean())(model)
        optimizer.update(model, grads)
        return loss, grads

    losses, norms = [], []
    for part in range(2):
        loop = JaxLoop(run, learning_rate=schedule, grad_norm_every=2, loss="mse", config={"width": 4})
        for _ in range(5):
            loss, grads = step(model, optimizer)
            losses.append(float(loss))
            norms.append(float(optax.global_norm(grads)))
            assert not loop.step(loss, grads=grads, accuracy=0.5)
        assert not loop.validate(loss)
        path = tmp_path / f"{part}.msgpack"
        path.write_bytes(b"x")
        loop.saved(path)
        assert loop.steps == 5 * part + 5
    (tmp_path / "1.msgpack").unlink()
    loop.saved()
    run.finish()
    assert sink.points(run.id, "train/loss") == list(enumerate(losses))
    assert [step for step, _ in sink.points(run.id, "grad_norm")] == [0, 2, 4, 6, 8]
    assert [v for _, v in sink.points(run.id, "grad_norm")] == pytest.approx([norms[i] for i in (0, 2, 4, 5 + 1, 8)])
    assert [v for _, v in sink.points(run.id, "lr")] == pytest.approx([float(schedule(i)) for i in range(10)])
    assert [step for step, _ in sink.points(run.id, "val/loss")] == [4, 9]
    assert sink.events(run.id, "loss")[0].data["loss"]["kind"] == "mse"  # type: ignore[index]
    told = [(event.data.get("step"), Path(str(event.data["path"])).name, event.data.get("deleted", False))
            for event in sink.events(run.id, "checkpoint")]  # fmt: skip
    assert told == [(4, "0.msgpack", False), (9, "1.msgpack", False), (None, "1.msgpack", True)]


def test_ends_where_the_run_says_so(run: Run, stop: Callable[[], None]) -> None:
    loop = JaxLoop(run)
    stop()
    while not loop.step(jax.numpy.float32(1.0)) and not loop.validate(1.0, wait_s=60):
        assert loop.steps < 100
    run.finish()
