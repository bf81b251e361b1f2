"""Linear models and factorisations, trained by hand-written or scikit-learn's stochastic gradient descent."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn import metrics
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier
from torch import Tensor, nn
from torch.nn import functional

from .. import loops
from ..loops import Curves, Data, Plan


def partial_fit(
    kind: type,
    *,
    rounds: int,
    batch: int,
    drift: float = 0.0,
    drift_at: int = 0,
    outliers: tuple[int, ...] = (),
    every: int = 1,
    noise: float = 0.05,
    seed: int = 0,
    **params: Any,
) -> Curves:
    """`partial_fit` on a stream; from round `drift_at` on the true weights turn by `drift` (0: never, 1: opposite)."""
    rng = np.random.default_rng(seed)
    weights, turned = rng.standard_normal(15), rng.standard_normal(15)
    classify = kind is not SGDRegressor
    model = kind(random_state=seed, **params)
    curves = Curves("step")

    def draw(size: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        w = weights if not drift or step < drift_at else (1 - drift) * weights + drift * turned
        x = rng.standard_normal((size, 15))
        y = x @ w + noise * rng.standard_normal(size)
        return x, (y > 0).astype(int) if classify else y

    def loss(x: np.ndarray, y: np.ndarray) -> float:
        if not classify:
            with np.errstate(over="ignore", invalid="ignore"):
                return float(np.mean((model.predict(x) - y) ** 2))
        if kind is MLPClassifier or params.get("loss") == "log_loss":
            return float(metrics.log_loss(y, np.clip(model.predict_proba(x), 1e-12, 1), labels=[0, 1]))
        return float(metrics.hinge_loss(y, model.decision_function(x), labels=[0, 1]))

    for step in range(1, rounds + 1):
        x, y = draw(batch, step)
        if step in outliers:
            x = x * 50
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if step == 1:
                model.partial_fit(x, y, **({"classes": [0, 1]} if classify else {}))
            train = loss(x, y)
            if step > 1:
                model.partial_fit(x, y)
        curves.log(step, train=train, val=loss(*draw(400, step)) if step % every == 0 else None)
    return curves


LOG = {"loss": "log_loss", "learning_rate": "constant"}
STREAM: dict[str, Callable[[], Curves]] = {
    "log-loss": lambda: partial_fit(SGDClassifier, rounds=400, batch=20, eta0=0.003, every=10, **LOG),
    "hinge": lambda: partial_fit(SGDClassifier, rounds=300, batch=10, loss="hinge", noise=1.5, alpha=0.01),
    "hinge-constant": lambda: partial_fit(
        SGDClassifier, rounds=300, batch=4, loss="hinge", noise=2, learning_rate="constant", eta0=2.0
    ),
    "regression": lambda: partial_fit(SGDRegressor, rounds=500, batch=5, eta0=0.002, noise=1, every=25),
    "regression-small-noise": lambda: partial_fit(SGDRegressor, rounds=600, batch=10, noise=1e-3, eta0=0.01, every=10),
    "regression-too-fast": lambda: partial_fit(
        SGDRegressor, rounds=150, batch=5, learning_rate="constant", eta0=0.16, every=2
    ),
    "drift": lambda: partial_fit(
        SGDRegressor, rounds=600, batch=5, learning_rate="constant", eta0=0.003, drift=0.8, drift_at=350, every=10
    ),
    "half-drift": lambda: partial_fit(
        SGDClassifier, rounds=500, batch=10, eta0=0.002, drift=0.4, drift_at=250, every=10, **LOG
    ),
    "outliers": lambda: partial_fit(
        SGDRegressor, rounds=500, batch=10, learning_rate="constant", eta0=1e-3, outliers=(300,), every=10
    ),
    "outlier": lambda: partial_fit(
        SGDRegressor, rounds=500, batch=10, learning_rate="constant", eta0=1e-5, outliers=(300,), every=10
    ),
    "mlp": lambda: partial_fit(MLPClassifier, rounds=400, batch=50, hidden_layer_sizes=(16,), noise=1, every=20),
    "epsilon-rate": lambda: partial_fit(
        SGDRegressor, rounds=200, batch=10, learning_rate="constant", eta0=1e-7, every=5
    ),
}


def factorise(
    plan: Plan, *, rank: int = 4, model_rank: int = 8, noise: float = 0.3, known: float = 0.3, init: float = 0.3
) -> Curves:
    """Ratings of 120 users for 100 things: the squared error of the ratings that are known, and of those held back."""
    generator = torch.Generator().manual_seed(plan.seed)
    a, b = torch.randn(120, rank, generator=generator), torch.randn(100, rank, generator=generator)
    full = a @ b.T / rank**0.5 + noise * torch.randn(120, 100, generator=generator)
    order = torch.randperm(full.numel(), generator=generator)
    cut = int(known * len(order))
    rows = torch.stack([order // 100, order % 100], 1)
    net = nn.ModuleList([nn.Embedding(120, model_rank), nn.Embedding(100, model_rank)])
    for part in net:
        nn.init.normal_(part.weight, std=init)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return functional.mse_loss((model[0](x[:, 0]) * model[1](x[:, 1])).sum(1), y)

    y, val = full.flatten()[order], slice(cut, cut + 2000)
    return loops.fit(net, loss, Data(x=rows[:cut], y=y[:cut], x_val=rows[val], y_val=y[val]), plan)


FACTORS: dict[str, Callable[[], Curves]] = {
    "adam": lambda: factorise(Plan(epochs=60, lr=5e-3, batch=128)),
    "right-rank": lambda: factorise(Plan(epochs=80, lr=1e-2, batch=128), model_rank=4),
    "too-many-factors": lambda: factorise(Plan(epochs=200, lr=1e-2, batch=128), model_rank=40, known=0.15),
    "noisy-ratings": lambda: factorise(Plan(epochs=150, lr=1e-2, batch=64), noise=1.0, model_rank=16, known=0.2),
    "decay": lambda: factorise(Plan(epochs=120, lr=1e-2, batch=128, weight_decay=2e-3), model_rank=16),
    "sgd": lambda: factorise(Plan(epochs=100, lr=2.0, batch=64, optimizer="sgd", momentum=0)),
    "sgd-too-fast": lambda: factorise(Plan(steps=400, lr=12, batch=128, optimizer="sgd", momentum=0.9, eval_every=10)),
    "saddle": lambda: factorise(Plan(epochs=40, lr=0.05, batch=128, optimizer="sgd", momentum=0), init=1e-3),
    "steps-of-eight": lambda: factorise(Plan(steps=3000, lr=3e-3, batch=8, eval_every=100)),
    "range-test": lambda: factorise(
        Plan(steps=1000, lr=0.02, batch=128, optimizer="sgd", momentum=0, schedule=loops.ramp(1e5), eval_every=25)
    ),
    "cyclic": lambda: factorise(Plan(epochs=120, lr=0.6, batch=256, schedule=loops.triangle(10)), known=0.5),
}
