"""JAX training loops, with or without Flax and Optax: loss, gradient norm and learning rate.

Logging does not wait for devices: values are read once they are computed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from monitor.integrations._owned import Checkpoints, next_step
from monitor.run.device import COPIERS, DeviceCopy
from monitor.run.start import Run


class JaxLoop:
    """Logs the steps of a loop. Steps of a resumed run continue after its last one.

    Args:
        run: where to log.
        learning_rate: a number, or a schedule (step to number) such as Optax's; None: not logged.
        grad_norm_every: steps between measurements of the gradient norm, >= 1.
        loss: the loss, such as `"cross_entropy(classes=10)"`, if it was not given to `init`.
        config: hyperparameters to add to the run's; anything that `init` accepts.

    Example:
        >>> from monitor.run.start import init
        >>> loop = JaxLoop(init("docs", mode="disabled"), learning_rate=lambda step: 0.1 / (1 + step))
        >>> loss, grads = jax.value_and_grad(lambda w: (w**2).sum())(jnp.ones(3))
        >>> loop.step(loss, grads=grads, accuracy=0.5), loop.steps
        (False, 1)
    """

    def __init__(
        self,
        run: Run,
        *,
        learning_rate: float | Callable[[int], Any] | None = None,
        grad_norm_every: int = 10,
        loss: object = None,
        config: object = None,
    ) -> None:
        self.run = run
        if loss is not None and not run.loss_known:
            run.update_loss(loss)
        if config is not None:
            run.update_config(config)
        self.steps = next_step(run)
        self._rate, self._every = learning_rate, max(1, grad_norm_every)
        self._checkpoints = Checkpoints()

    def step(self, loss: Any, *, grads: Any = None, **more: Any) -> bool:
        """Log a training step.

        Args:
            loss: the training loss, a 0-d array on any device.
            grads: a tree of gradients, whose norm is logged every `grad_norm_every` steps.
            **more: further metrics; mappings may be nested.

        Returns:
            True if the loop should stop.
        """
        row: dict[str, object] = {"train/loss": loss, **more}
        if self._rate is not None:
            row["lr"] = self._rate(self.steps) if callable(self._rate) else self._rate
        if grads is not None and self.steps % self._every == 0:
            row["grad_norm"] = _norm(grads)
        self.run.log(row, step=self.steps)
        self.steps += 1
        return self.run.should_stop()

    def validate(self, loss: Any, *, wait_s: float = 0.0, **more: Any) -> bool:
        """Log a validation loss at the last logged step.

        Args:
            wait_s: seconds to wait for a diagnosis that includes it, at most.

        Returns:
            True if the loop should stop.
        """
        self.run.log({"val/loss": loss, **more}, step=max(0, self.steps - 1))
        return self.run.should_stop(wait_s)

    def saved(self, *paths: str | os.PathLike[str]) -> None:
        """Record checkpoints that the loop wrote, for example with Orbax, and forget those it deleted."""
        self._checkpoints.saved(self.run, max(0, self.steps - 1), *paths)


@jax.jit  # type: ignore[untyped-decorator]  # jax is seen as untyped
def _norm(grads: Any) -> Any:
    return jnp.sqrt(sum(jnp.vdot(x, x).real for x in jax.tree.leaves(grads)))


class _Copy:
    """A 0-d JAX array that may still be computing."""

    def __init__(self, array: Any) -> None:
        self._array = array
        array.copy_to_host_async()

    def ready(self) -> bool:
        """True once it is computed."""
        return bool(self._array.is_ready())

    def value(self) -> float:
        """The number; waits for it if necessary."""
        return float(self._array)


def _copy(value: object) -> DeviceCopy | None:
    if not isinstance(value, jax.Array) or isinstance(value, jax.core.Tracer) or value.size != 1:
        return None
    return _Copy(value)


COPIERS.append(_copy)
