"""scikit-learn: models that learn incrementally with `partial_fit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.integrations import _losses
from monitor.integrations._owned import next_step
from monitor.losses import LossSpec
from monitor.run.start import Run


class PartialFit(Protocol):
    """A model that learns incrementally."""

    def partial_fit(self, X: ArrayLike, y: ArrayLike, **options: object) -> object:  # noqa: N803  # sklearn's name
        """Learn from one batch."""


_M = TypeVar("_M", bound=PartialFit)
Score = Callable[[_M, NDArray[np.float64], NDArray[np.float64]], float]


def fit(
    model: _M,
    X: ArrayLike,  # noqa: N803  # scikit-learn's name
    y: ArrayLike,
    run: Run,
    loss: Score[_M],
    *,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    classes: Sequence[object] | None = None,
    epochs: int = 100,
    batch_size: int = 256,
    seed: int = 0,
    wait_s: float = 1.0,
) -> _M:
    """Train until the epochs are over or the run should stop.

    The training loss of a batch is computed before the model learns from it, except for the first batch.

    Args:
        model: an estimator with `partial_fit`.
        X: samples, (n, d); sparse matrices stay sparse.
        y: targets, (n,).
        run: where to log.
        loss: called with the model, samples and targets; lower is better, such as
            `lambda m, X, y: log_loss(y, m.predict_proba(X), labels=m.classes_)`.
        validation: held-out samples and targets.
        classes: all classes, for a classifier.
        epochs: passes over the samples, at most.
        batch_size: samples per step, >= 1.
        seed: for the order of the samples.
        wait_s: seconds to wait for the diagnosis at the end of an epoch, at most.

    Returns:
        The model.
    """
    samples, targets = _samples(X), np.asarray(y)
    rng = np.random.default_rng(seed)
    begun = step = next_step(run)
    parameters: Mapping[str, object] = getattr(model, "get_params", dict)()
    run.update_config({"model": {"name": type(model).__name__, **parameters}, "batch_size": batch_size, "seed": seed})
    _losses.tell(run, lambda: _loss(model, targets if classes is None else np.asarray(classes)))
    options: dict[str, object] = {} if classes is None else {"classes": np.asarray(classes)}
    for epoch in range(epochs):
        order = rng.permutation(len(targets))
        for start in range(0, len(order), batch_size):
            part = order[start : start + batch_size]
            if step == begun:  # an unfitted model cannot predict
                model.partial_fit(samples[part], targets[part], **options)
            run.log({"train/loss": loss(model, samples[part], targets[part])}, step=step, epoch=epoch)
            if step > begun:
                model.partial_fit(samples[part], targets[part], **options)
            step += 1
        if validation is not None:
            held_x, held_y = _samples(validation[0]), np.asarray(validation[1])
            run.log({"val/loss": loss(model, held_x, held_y)}, step=step - 1, epoch=epoch + 1)
        if run.should_stop(wait_s):
            break
    return model


def _samples(given: ArrayLike) -> NDArray[np.float64]:
    """Samples that can be indexed by rows: an array, or a sparse matrix in CSR form."""
    rows = getattr(given, "tocsr", None)
    return np.asarray(given) if rows is None else rows()


def _loss(model: object, targets: NDArray[Any]) -> LossSpec | None:
    """The loss named by a model; the kind of `log_loss` depends on the number of classes."""
    name = getattr(model, "loss", None)
    if name != "log_loss":
        return _losses.named(name)
    classes = len(np.unique(targets))
    return _losses.named("binary_logloss") if classes == 2 else _losses.named("multi_logloss", classes)
