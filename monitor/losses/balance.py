"""Balances the weights of a loss's parts during training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

from monitor.domain.formats import number
from monitor.errors import LossError

if TYPE_CHECKING:
    from torch import Tensor

Method = Literal["uncertainty", "average", "gradients"]

_KEPT: Final = 0.5
"""Share of the old level that is kept when a window is read."""
_MOVED: Final = 1.05
"""A weight must change by this factor before new weights apply, to keep the number of changes in a run small."""


class Logs(Protocol):
    """What a balancer needs of a `Run`."""

    def log(
        self, data: Mapping[str, object], step: int | None = None, *, weights: Mapping[str, object] | None = None
    ) -> None:
        """Log metrics, and the weights of the parts."""


class Balancer:
    """Weights the parts of a loss so that no part dominates because of its scale.

    A call takes the parts and returns the total for `backward()`. The weights are constants in it, add up to the number
    of parts, and are updated every `every` steps from the means since the last update. They are not parameters of any
    optimizer, and the total is exactly the weighted sum. With `run`, each call logs the total as `loss`, the parts as
    `loss/<part>`, and the weights when they change.

    - `uncertainty`: 1 / level of the part, which is where the learned variances of Kendall et al. converge.
    - `average`: dynamic weight average: parts whose loss falls more slowly get more weight. Each part is measured
      relative to its first value; the original does not do so, and cannot balance scales.
    - `gradients`: as in GradNorm, the parts get gradients of equal size at the shared parameters, larger ones if they
      lag behind. Solved directly, without a second optimizer.

    A part that has fallen by the factor `bound` counts as learned: its weight stops growing. A part that is not finite
    updates no weights.

    Args:
        method: see above.
        run: the run that logs the loss, its parts and the weights; None: nothing is logged.
        shared: parameters that all parts depend on, such as those of the last shared layer. With them, each part's
            gradient norm (`gradients/norm/<part>`) and the cosine of each pair (`gradients/cosine/<a>-<b>`; negative:
            they conflict) are measured and logged every `every` steps. Required for `gradients`.
        every: steps between updates, >= 1. For `average`, use the steps of an epoch.
        temperature: for `average`, > 0; a high one gives equal weights.
        restore: for `gradients`, >= 0: how strongly lagging parts are preferred; 0 makes the norms equal.
        bound: > 1.

    Raises:
        LossError: an argument is invalid, or a part that must be positive does not start positive.

    Example:
        >>> import torch
        >>> balance = Balancer("uncertainty")
        >>> total = balance({"rating": torch.tensor(200.0), "ranking": torch.tensor(2.0)})
        >>> round(balance.weights["ranking"] / balance.weights["rating"]), round(float(total), 2)
        (100, 7.92)

    Source:
        Kendall, Gal, Cipolla, Multi-task learning using uncertainty to weigh losses (CVPR 2018); Liu, Johns, Davison,
        End-to-end multi-task learning with attention (CVPR 2019), for the dynamic weight average; Chen et al., GradNorm
        (ICML 2018).
    """

    def __init__(
        self,
        method: Method = "uncertainty",
        *,
        run: Logs | None = None,
        shared: Iterable[Tensor] | None = None,
        every: int = 20,
        temperature: float = 2.0,
        restore: float = 0.5,
        bound: float = 10.0,
    ) -> None:
        self.method = method
        self.run = run
        self.shared = [] if shared is None else [tensor for tensor in shared if tensor.requires_grad]
        self.every, self.temperature, self.restore, self.bound = every, temperature, restore, bound
        _check(self)
        self.weights: dict[str, float] = {}
        self._calls = 0
        self._first: dict[str, float] = {}
        self._level: dict[str, float] = {}
        self._rate: dict[str, float] = {}
        self._norm: dict[str, float] = {}
        self._first_norm: dict[str, float] = {}
        self._window: dict[str, tuple[Tensor, int]] = {}

    def __call__(self, parts: Mapping[str, Tensor], step: int | None = None) -> Tensor:
        """The weighted sum of the parts; logged with them.

        Args:
            parts: the mean of each part, a one-element tensor; a part may be missing in some calls.
            step: as in `Run.log`.
        """
        for name, value in parts.items():  # summed on the device: reading each value would wait for it
            seen, n = self._window.get(name, (0.0, 0))
            self._window[name] = seen + value.detach().float(), n + 1
        new = [name for name in parts if name not in self._first]
        measured: dict[str, float] = {}
        if new or self._calls % self.every == 0:
            if self.shared:
                measured = self._gradients(parts)
            self._renew()
        self._calls += 1
        total = sum(self.weights.get(name, 1.0) * value for name, value in parts.items())
        if self.run is not None:
            logged = {f"loss/{name}": value.detach() for name, value in parts.items()}
            self.run.log({"loss": total.detach(), **logged, **measured}, step, weights=self.weights)
        return total

    def state_dict(self) -> dict[str, object]:
        """The state for a checkpoint, so that a resumed training continues with the same weights."""
        return {name: dict(getattr(self, name)) for name in _KEPT_STATE} | {"calls": self._calls}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Restore a state from `state_dict`."""
        for name in _KEPT_STATE:
            setattr(self, name, dict(state[name]))  # type: ignore[call-overload]
        self._calls = int(state["calls"])  # type: ignore[call-overload]
        self._window = {}

    def _renew(self) -> None:
        """Read the means since the last update, one transfer per part; apply new weights if they changed enough."""
        means = {name: float(total) / n for name, (total, n) in self._window.items()}
        self._window = {}
        for name, mean in means.items():
            if not math.isfinite(mean):
                continue
            if name not in self._first:
                self._first[name] = self._level[name] = _start(name, mean, self.method)
                continue
            before, self._level[name] = self._level[name], _KEPT * self._level[name] + (1 - _KEPT) * mean
            self._rate[name] = mean / before if before > 0 else 1.0
        raw = self._raw()
        scale = sum(raw.values())
        found = {name: weight * len(raw) / scale for name, weight in raw.items()}
        moved = found.keys() != self.weights.keys() or any(
            max(weight / self.weights[name], self.weights[name] / weight) > _MOVED for name, weight in found.items()
        )
        if moved:
            self.weights = found

    def _raw(self) -> dict[str, float]:
        """The weights before scaling."""
        if self.method == "uncertainty":  # bounded, so that a solved part does not get an ever larger weight
            return {name: 1 / max(self._level[name], first / self.bound) for name, first in self._first.items()}
        if self.method == "average":
            found = {name: self._rate.get(name, 1.0) / self.temperature for name in self._first}
            top = max(found.values(), default=0.0)  # against overflow; it cancels out in the scaling
            return {name: math.exp(rate - top) / self._first[name] for name, rate in found.items()}
        behind = {name: max(self._level[name] / first, 1 / self.bound) if first > 0 else 1.0
                  for name, first in self._first.items()}  # fmt: skip
        return {
            name: behind[name] ** self.restore / max(norm, self._first_norm[name] / self.bound)
            for name, norm in self._norm.items()
            if name in behind and self._first_norm[name] > 0
        }

    def _gradients(self, parts: Mapping[str, Tensor]) -> dict[str, float]:
        """Each part's gradient norm at the shared parameters, and the cosine of each pair, by series name."""
        import torch

        flat: dict[str, Tensor] = {}
        for name, value in parts.items():
            # The caller's own `backward()` still needs the graph.
            found = torch.autograd.grad(value, self.shared, retain_graph=True, allow_unused=True)
            each = zip(self.shared, found, strict=True)
            flat[name] = torch.cat([(torch.zeros_like(p) if g is None else g).float().flatten() for p, g in each])
        norms = {name: float(vector.norm()) for name, vector in flat.items()}
        for name, norm in norms.items():
            if math.isfinite(norm):
                self._first_norm[name] = self._first_norm.get(name) or norm
                before = self._norm.get(name)
                self._norm[name] = norm if before is None else _KEPT * before + (1 - _KEPT) * norm
        measured = {f"gradients/norm/{name}": norm for name, norm in norms.items()}
        for a, b in combinations(flat, 2):
            if norms[a] and norms[b]:
                measured[f"gradients/cosine/{a}-{b}"] = float(flat[a] @ flat[b]) / (norms[a] * norms[b])
        return measured


_KEPT_STATE: Final = ("weights", "_first", "_level", "_rate", "_norm", "_first_norm")


def _start(name: str, value: float, method: Method) -> float:
    """A part's first value, which is its unit of measurement.

    Raises:
        LossError: it is not positive, and the method divides by it.
    """
    if value <= 0 and method != "gradients":
        raise LossError(
            name, f'the part starts at {number(value)}, and "{method}" needs parts above 0', 'use method="gradients"'
        )
    return value


def _check(made: Balancer) -> None:
    if made.method not in get_args(Method):
        raise LossError("Balancer", f"method is {made.method!r}", f"use one of {', '.join(get_args(Method))}")
    for name, low, over in (("every", 1, False), ("temperature", 0, True), ("restore", 0, False), ("bound", 1, True)):
        value = getattr(made, name)
        if not math.isfinite(value) or value < low or (over and value == low):
            raise LossError("Balancer", f"{name} is {value!r}", f"take {'above' if over else 'at least'} {low}")
    if made.method == "gradients" and not made.shared:
        raise LossError("Balancer", '"gradients" needs shared=', "pass the parameters of the last shared layer")
