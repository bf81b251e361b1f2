"""Measures time and memory of a call, with its gradient in torch, relative to the squared error of the same size."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np

from monitor.losses.profiles.layout import Evidence, Fixed
from monitor.losses.profiles.subject import LossFunction, Subject, differentiable

Clock = Callable[[], float]

BATCH = 2048
REPEATS = 7  # the shortest counts, as other load can only lengthen a timing


def cost(subject: Subject, rng: np.random.Generator, clock: Clock) -> tuple[float, Evidence]:
    """The cost of a call relative to plain MSE, forward and (in torch) backward, for 2048 examples in float32.

    Uses the shortest of seven timings, each of enough calls to last about a millisecond, alternating with MSE. Memory
    is what torch keeps for the backward pass, or numpy's peak allocation.

    Args:
        rng: source of the batch.
        clock: seconds, monotonic; `time.perf_counter`.
    """

    def fn(*inputs: object) -> object:
        return subject.call(inputs, "float32")

    z, fixed = rng.normal(0, 1, (BATCH, subject.kind.width)), subject.kind.targets(rng, BATCH)
    inputs = subject.inputs(z, fixed, "float32")
    run, plain = _runners(subject, fn, inputs)
    times = _times(run, plain, clock)
    memory, plain_memory = _memory(subject, fn, inputs), _memory(subject, _mse(subject), _pair(subject, inputs))
    evidence: Evidence = {
        "microseconds": 1e6 * times[0],
        "mse_microseconds": 1e6 * times[1],
        "bytes": memory,
        "mse_bytes": plain_memory,
        "relative_memory": round(memory / plain_memory, 3) if plain_memory else None,
        "batch": BATCH,
        "counts": "forward and backward" if subject.backend == "torch" else "forward",
    }
    return round(times[0] / times[1], 3), evidence


def _times(run: Callable[[], object], plain: Callable[[], object], clock: Clock) -> tuple[float, float]:
    best = [float("inf"), float("inf")]
    calls = [1, 1]
    for index, item in enumerate((run, plain)):
        item()
        start = clock()
        item()
        calls[index] = max(1, min(200, int(1e-3 / max(clock() - start, 1e-7))))
    for _ in range(REPEATS):
        for index, item in enumerate((run, plain)):
            start = clock()
            for _ in range(calls[index]):
                item()
            best[index] = min(best[index], (clock() - start) / calls[index])
    return best[0], max(best[1], 1e-9)


def _mse(subject: Subject) -> LossFunction:
    """Plain mean squared error on the same backend."""
    if subject.backend == "torch":
        import torch

        mse: LossFunction = torch.nn.functional.mse_loss
        return mse

    def plain(prediction: Fixed, target: Fixed) -> object:
        return np.mean((np.asarray(prediction) - np.asarray(target)) ** 2)

    return plain


def _pair(subject: Subject, inputs: tuple[object, ...]) -> tuple[object, object]:
    """The first argument, and a target of the same shape."""
    first = inputs[0]
    if subject.backend == "torch":
        import torch

        return first, torch.zeros_like(first)
    return first, np.zeros_like(np.asarray(first))


def _runners(
    subject: Subject, fn: LossFunction, inputs: tuple[object, ...]
) -> tuple[Callable[[], object], Callable[[], object]]:
    pair, mse = _pair(subject, inputs), _mse(subject)
    if subject.backend == "numpy":
        return (lambda: fn(*inputs)), (lambda: mse(*pair))
    first = inputs[0].detach().requires_grad_(True)  # type: ignore[attr-defined]  # a torch tensor

    if not differentiable(fn(first, *inputs[1:])):
        return (lambda: fn(*inputs)), (lambda: mse(*pair))

    def run() -> None:
        first.grad = None
        fn(first, *inputs[1:]).backward()  # type: ignore[attr-defined]  # a torch tensor

    def plain() -> None:
        first.grad = None
        mse(first, pair[1]).backward()  # type: ignore[attr-defined]  # a torch tensor

    return run, plain


def _memory(subject: Subject, fn: LossFunction, inputs: tuple[object, ...]) -> int:
    """Bytes kept for the backward pass (torch), or the peak of one call (numpy)."""
    if subject.backend == "torch":
        import torch

        seen: dict[int, int] = {}

        def pack(tensor: object) -> object:
            storage = tensor.untyped_storage()  # type: ignore[attr-defined]  # a torch tensor
            seen[storage.data_ptr()] = storage.nbytes()
            return tensor

        first = inputs[0].detach().clone().requires_grad_(True)  # type: ignore[attr-defined]  # a torch tensor
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            fn(first, *inputs[1:])
        return sum(seen.values())
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    fn(*inputs)
    peak = tracemalloc.get_traced_memory()[1] - before
    if not running:
        tracemalloc.stop()
    return max(0, peak)
