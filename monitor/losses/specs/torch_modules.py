"""Recognises torch's losses and reads their settings, without importing torch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import SimpleNamespace

from monitor.errors import LossError
from monitor.losses.specs.spec import LossSpec, make

Params = dict[str, object]
_TORCH_MODULES = ("torch.nn.modules.loss", "torch.nn.modules.adaptive", "torch.nn.functional", "torch._C._nn")


def from_torch(module: object, **known: object) -> LossSpec:
    """The specification of a torch loss, with its reduction, margins, weights and smoothing.

    A subclass is recognised if it keeps the loss's `forward`; one with its own `forward` is not.

    Args:
        module: an instance or class of torch.nn's losses, a function of torch.nn.functional, or a partial of one.
        known: parameters that the module does not hold, such as `classes=10`, `priors=...`, `target_variance=1.0`.

    Returns:
        The specification; for anything else a `Custom` with the callable's name and unknown levels.

    Raises:
        LossError: not a callable, or a parameter in `known` that the loss does not have.

    Example:
        >>> import torch
        >>> spec = from_torch(torch.nn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum"), classes=10)
        >>> spec.kind, spec.reduction, round(spec.chance_level, 3)
        ('cross_entropy', 'sum', 2.303)
    """
    if not callable(module):
        raise LossError(type(module).__name__, "it cannot be called", "give a torch.nn loss, or a function")
    if isinstance(module, type) and _own_name(module) is not None:
        cls: type = module
        try:
            module = cls()
        except TypeError as error:
            raise LossError(cls.__name__, str(error), "give an instance instead of the class") from error
    name, settings = _recognise(module)
    if name is None or _weighted(name, settings):
        label = str(getattr(module, "__name__", type(module).__name__))
        floor = {} if name is None else {"floor": 0.0}
        return make("custom", {"name": label, "reduction": _reduction(settings), **known, **floor})
    kind, read = READERS[name]
    return make(kind, {"reduction": _reduction(settings), **read(settings), **known})


def torch_name(module: object) -> str | None:
    """The class name of a torch loss, such as "HuberLoss"; None for anything else."""
    return _recognise(module)[0]


def _recognise(module: object) -> tuple[str | None, object]:
    """The torch class name, and an object with the settings as attributes."""
    settings: Mapping[str, object] = {}
    while isinstance(module, functools.partial):
        settings = {**module.keywords, **settings}
        module = module.func
    own = _own_name(type(module))
    if own is not None:
        return own, module
    label = getattr(module, "__name__", "")
    if getattr(module, "__module__", "") in _TORCH_MODULES and label in FUNCTIONS:
        return FUNCTIONS[label], SimpleNamespace(**settings)
    return None, module


def _own_name(cls: type) -> str | None:
    """The first torch loss among a class's ancestors whose `forward` it still uses."""
    for base in cls.__mro__:
        if base.__module__ in _TORCH_MODULES and base.__name__ in READERS:
            same = getattr(cls, "forward", None) is getattr(base, "forward", None)
            return base.__name__ if same else None
    return None


def _reduction(settings: object) -> str:
    value = getattr(settings, "reduction", "mean")
    return value if value in ("mean", "sum", "none", "batchmean") else "mean"


def _weighted(name: str, settings: object) -> bool:
    """True for element weights, whose effect on the level depends on the batch."""
    return name in ("BCELoss", "BCEWithLogitsLoss", "MultiMarginLoss", "MultiLabelSoftMarginLoss") and (
        getattr(settings, "weight", None) is not None
    )


def _numbers(value: object) -> tuple[float, ...] | None:
    """A tensor or sequence as floats; None stays None."""
    if value is None:
        return None
    listed = value.tolist() if hasattr(value, "tolist") else value
    return tuple(float(item) for item in listed) if isinstance(listed, (list, tuple)) else (float(str(listed)),)


def _pick(**attributes: object) -> Callable[[object], Params]:
    """A reader of attributes with defaults."""
    return lambda settings: {name: getattr(settings, name, default) for name, default in attributes.items()}


def _cross_entropy(settings: object) -> Params:
    found: Params = {
        "class_weights": _numbers(getattr(settings, "weight", None)),
        "label_smoothing": float(getattr(settings, "label_smoothing", 0.0)),
    }
    ignored = getattr(settings, "ignore_index", None)
    found["ignore_index"] = ignored if isinstance(ignored, int) and ignored != -100 else None
    return found


def _adaptive_softmax(settings: object) -> Params:
    return {"classes": getattr(settings, "n_classes", None)}


def _linear_cross_entropy(settings: object) -> Params:
    return {**_cross_entropy(settings), "classes": getattr(settings, "num_classes", None)}


def _binary(settings: object) -> Params:
    found = _numbers(getattr(settings, "pos_weight", None))
    if found is None:
        return {}
    return {"pos_weight": found[0] if len(set(found)) == 1 else found}


def _divergence(settings: object) -> Params:
    return {"per_element": getattr(settings, "reduction", "mean") == "mean"}


def _hinge_embedding(settings: object) -> Params:
    return {"margin": float(getattr(settings, "margin", 1.0)), "p": 1}


READERS: dict[str, tuple[str, Callable[[object], Params]]] = {
    "AdaptiveLogSoftmaxWithLoss": ("cross_entropy", _adaptive_softmax),
    "BCELoss": ("binary_cross_entropy", _pick()),
    "BCEWithLogitsLoss": ("binary_cross_entropy", _binary),
    "CTCLoss": ("ctc", _pick()),
    "CosineEmbeddingLoss": ("cosine_embedding", _pick(margin=0.0)),
    "CrossEntropyLoss": ("cross_entropy", _cross_entropy),
    "GaussianNLLLoss": ("gaussian_nll", _pick(full=False, eps=1e-6)),
    "HingeEmbeddingLoss": ("contrastive", _hinge_embedding),
    "HuberLoss": ("huber", _pick(delta=1.0)),
    "KLDivLoss": ("kl_divergence", _divergence),
    "L1Loss": ("mae", _pick()),
    "LinearCrossEntropyLoss": ("cross_entropy", _linear_cross_entropy),
    "MSELoss": ("mse", _pick()),
    "MarginRankingLoss": ("margin_ranking", _pick(margin=0.0)),
    "MultiLabelMarginLoss": ("multilabel_margin", _pick()),
    "MultiLabelSoftMarginLoss": ("binary_cross_entropy", _pick()),
    "MultiMarginLoss": ("multi_margin", _pick(margin=1.0, p=1)),
    "NLLLoss": ("cross_entropy", _cross_entropy),
    "PoissonNLLLoss": ("poisson_nll", _pick(log_input=True, full=False)),
    "SmoothL1Loss": ("smooth_l1", _pick(beta=1.0)),
    "SoftMarginLoss": ("binary_cross_entropy", _pick()),
    "TripletMarginLoss": ("triplet", _pick(margin=1.0)),
    "TripletMarginWithDistanceLoss": ("triplet", _pick(margin=1.0)),
}

FUNCTIONS: dict[str, str] = {
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "cosine_embedding_loss": "CosineEmbeddingLoss",
    "cross_entropy": "CrossEntropyLoss",
    "ctc_loss": "CTCLoss",
    "gaussian_nll_loss": "GaussianNLLLoss",
    "hinge_embedding_loss": "HingeEmbeddingLoss",
    "huber_loss": "HuberLoss",
    "kl_div": "KLDivLoss",
    "l1_loss": "L1Loss",
    "margin_ranking_loss": "MarginRankingLoss",
    "mse_loss": "MSELoss",
    "multi_margin_loss": "MultiMarginLoss",
    "multilabel_margin_loss": "MultiLabelMarginLoss",
    "multilabel_soft_margin_loss": "MultiLabelSoftMarginLoss",
    "nll_loss": "NLLLoss",
    "poisson_nll_loss": "PoissonNLLLoss",
    "smooth_l1_loss": "SmoothL1Loss",
    "soft_margin_loss": "SoftMarginLoss",
    "triplet_margin_loss": "TripletMarginLoss",
    "triplet_margin_with_distance_loss": "TripletMarginWithDistanceLoss",
}
