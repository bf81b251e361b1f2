"""Hand-written PyTorch loops: loss, gradient norm and learning rates.

Logging does not wait for the GPU: the loss and the norm are read once they are computed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch

from monitor.distributed import agreed
from monitor.integrations import _losses
from monitor.integrations._owned import next_step
from monitor.run.start import Run


class TorchLoop:
    """Logs the steps of a loop. Steps of a resumed run continue after its last one.

    Args:
        run: where to log.
        model: its gradients are measured; None: no gradient norm.
        optimizer: its learning rates are logged; None: no learning rates.
        grad_norm_every: steps between measurements of the gradient norm, >= 1; each reads every gradient once.
        all_ranks: True if every rank of a distributed training has a loop and calls `step`: all get the same answer,
            every ten steps. False: only the rank that logs gets it, and has to tell the others.
        config: hyperparameters to add to the run's; the optimizer's settings are added automatically.
        loss: the loss, such as `torch.nn.CrossEntropyLoss()`, if it was not given to `init`; None: the model's
            `criterion` or `loss_fn`, if it has one. The number of classes is the model's `num_classes`, or the width of
            its last layer.

    Example:
        >>> from monitor.run.start import init
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> loop = TorchLoop(init("docs", mode="disabled"), model, optimizer)
        >>> for _ in range(3):
        ...     loss = model(torch.ones(4, 2)).square().mean()
        ...     loss.backward()
        ...     optimizer.step()
        ...     if loop.step(loss):
        ...         break
        ...     optimizer.zero_grad()
        >>> loop.steps
        3
    """

    def __init__(
        self,
        run: Run,
        model: torch.nn.Module | None = None,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        grad_norm_every: int = 10,
        loss: object = None,
        config: object = None,
        all_ranks: bool = False,
    ) -> None:
        self.run = run
        if config is not None:
            run.update_config(config)
        if loss is not None:
            _losses.tell(run, lambda: _losses.of_torch(loss, model))
        if model is not None:
            _losses.tell(run, lambda: _losses.of_torch_model(model))
        self.steps = next_step(run)
        if optimizer is not None:
            run.update_config({"optimizer": _losses.optimizer_config(optimizer)})
        self._model, self._optimizer = model, optimizer
        self._every = max(1, grad_norm_every)
        self._all_ranks = all_ranks

    def step(self, loss: torch.Tensor | float, **more: torch.Tensor | float) -> bool:
        """Log a training step. Call it before `zero_grad`.

        Args:
            loss: the training loss, a 0-d tensor on any device.

        Returns:
            True if the loop should stop.
        """
        row: dict[str, object] = {"train/loss": _detached(loss), **{k: _detached(v) for k, v in more.items()}}
        row |= _losses.learning_rates(self._optimizer)
        if self._model is not None and self.steps % self._every == 0:
            norm = grad_norm(self._model.parameters())
            if norm is not None:
                row["grad_norm"] = norm
        self.run.log(row, step=self.steps)
        self.steps += 1
        stop = self.run.should_stop()
        return agreed(stop, self.steps) if self._all_ranks else stop

    def validate(self, loss: torch.Tensor | float, *, wait_s: float = 0.0, **more: torch.Tensor | float) -> bool:
        """Log a validation loss at the last logged step.

        Args:
            wait_s: seconds to wait for a diagnosis that includes it, at most.

        Returns:
            True if the loop should stop.
        """
        row = {"val/loss": _detached(loss), **{k: _detached(v) for k, v in more.items()}}
        self.run.log(row, step=max(0, self.steps - 1))
        stop = self.run.should_stop(wait_s)
        return stop and not self._all_ranks  # only one rank may validate; the next `step` tells all of them

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the state of the model and the optimizer, and record the checkpoint."""
        state = {
            "model": self._model.state_dict() if self._model is not None else None,
            "optimizer": self._optimizer.state_dict() if self._optimizer is not None else None,
            "step": self.steps,
        }
        torch.save(state, path)
        self.run.checkpoint(max(0, self.steps - 1), path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Resume from a file written by `save`: model, optimizer and step."""
        state = torch.load(path, map_location="cpu", weights_only=True)  # a pickle could run any code
        if self._model is not None and state["model"] is not None:
            self._model.load_state_dict(state["model"])
        if self._optimizer is not None and state["optimizer"] is not None:
            self._optimizer.load_state_dict(state["optimizer"])
        self.steps = int(state["step"])


def grad_norm(parameters: Iterable[torch.nn.Parameter]) -> torch.Tensor | None:
    """The 2-norm of all gradients as a 0-d tensor on their device; None if there are no gradients."""
    grads = [p.grad.detach() for p in parameters if p.grad is not None]
    if not grads:
        return None
    # One kernel for all gradients if they share a device; nothing here waits for it.
    first = grads[0].device
    norms = torch._foreach_norm(grads) if all(g.device == first for g in grads) else [g.norm() for g in grads]
    return torch.stack([norm.to(first) for norm in norms]).norm()


def _detached(value: torch.Tensor | float) -> object:
    return value.detach() if isinstance(value, torch.Tensor) else value
