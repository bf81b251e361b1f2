"""How a loss function is meant to be called, from its parameters' names, what it uses, and which calls it accepts."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Sequence

from monitor.losses.profiles.kinds import TORCH_KINDS
from monitor.losses.profiles.subject import LossFunction, is_torch
from monitor.losses.specs.torch_modules import torch_name

_THREE = ("triplet", "pairwise", "gaussian", "ranking")
_TWO = ("classification", "regression", "binary", "probability", "paired", "multilabel", "distribution", "boxes")
_HINTS: tuple[tuple[str, str], ...] = (
    ("triplet", r"anchor|negative"),
    ("gaussian", r"\bvar|variance|sigma|log_?var|\bstd"),
    ("pairwise", r"\b(left|right|embeddings?_?[ab12]|emb[12]|z[12]|x[12]|input[12]|output[12])\b.*\b(label|same|y)\b"),
    ("boxes", r"box|\b[gdc]iou"),
    ("paired", r"\b(z1 z2|za zb|z_a z_b|z_i z_j|queries? keys?|emb_a emb_b|image_\w* text_\w*)\b"),
    ("count", r"log_?rate|log_?lambda|counts?\b|poisson"),
    ("sequence", r"input_lengths"),
    ("log_probs", r"log_?prob"),
    ("distribution", r"kl_?div|kl_loss|distill|soft_?targets?|teacher"),
    ("multilabel", r"multi_?label"),
    ("margin", r"hinge|svm|exponential_loss|squared_hinge"),
    ("probability", r"\bprobs?\b|\bprobabilit"),
    ("binary", r"binary|\bbce|\blogit\b|with_logits|sigmoid|dice|tversky|jaccard|softplus"),
    ("classification", r"logits?\b|class|labels?\b|cross_entropy|softmax|nll_loss"),
    ("regression", r"mse|mae|huber|quantile|pinball|regress|cosh|charbonnier|y_true|cauchy"),
)
"""Kinds by what their parameters, names and helpers are usually called; the first ones are the surest."""


def probable_kinds(fn: LossFunction) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The kinds that a function's own names say it is of, and the others that it may be of; the likeliest first.

    A torch loss has just its own.

    Example:
        >>> probable_kinds(lambda anchor, positive, negative: 0.0)[0]
        ('triplet',)
    """
    known = TORCH_KINDS.get(torch_name(fn) or "") or getattr(fn, "loss_kind", None)
    if known is not None:
        return (known,), ()
    needed = _needed(fn)
    usual: Sequence[str] = {3: _THREE, 4: ("sequence",)}.get(needed, _TWO)
    name = getattr(fn, "__name__", type(fn).__name__)
    own = f"{_parameters(fn)} {name}".lower().replace("_loss", "")
    used = " ".join(_used(fn)).lower()
    fitting = [(kind, at) for kind, at in _HINTS if needed not in (2, 3) or (kind in _THREE) == (needed == 3)]
    said = tuple(kind for kind, pattern in fitting if re.search(pattern, own))
    others = [kind for kind, pattern in fitting if kind not in said and re.search(pattern, used)]
    others = ["classification", *others] if needed == 2 else others  # it is sure where it fits: see `_over_classes`
    return said, tuple(kind for kind in dict.fromkeys([*others, *usual]) if kind not in said)


def usual_backend(fn: LossFunction) -> str:
    """The backend to try first: arrays would do for many functions that are meant for tensors."""
    if is_torch(fn):
        return "torch"
    inner = getattr(fn, "func", fn)
    scope = getattr(inner, "__globals__", {})
    modules = {getattr(scope.get(name), "__name__", "").split(".")[0] for name in _used(fn)}
    if "numpy" in modules and "torch" not in modules:
        return "numpy"
    return "torch" if "torch" in sys.modules else "auto"


def _signature(fn: LossFunction) -> inspect.Signature | None:
    try:
        return inspect.signature(getattr(fn, "forward", fn))
    except (TypeError, ValueError):
        return None


def _needed(fn: LossFunction) -> int:
    """How many arguments it cannot do without."""
    found = _signature(fn)
    if found is None:
        return 2
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(item.kind in kinds and item.default is item.empty for item in found.parameters.values())


def _parameters(fn: LossFunction) -> str:
    found = _signature(fn)
    return "" if found is None else " ".join(found.parameters)


def _used(fn: LossFunction) -> Iterator[str]:
    """What the function's code calls by name."""
    inner = getattr(fn, "func", fn)
    inner = getattr(type(inner), "forward", None) or inner
    code = getattr(inner, "__code__", None)
    if code is not None:
        yield from code.co_names
        for constant in code.co_consts:
            yield from getattr(constant, "co_names", ())
