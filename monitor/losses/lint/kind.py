"""Guesses how a loss function is meant to be called: from its parameter names, what it uses, and which calls work."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from monitor.losses.lint.arguments import needed, signature
from monitor.losses.lint.free import FREE
from monitor.losses.profiles.kinds import TORCH_KINDS
from monitor.losses.profiles.subject import LossFunction, is_torch
from monitor.losses.specs.torch_modules import torch_name

_TWO = ("classification", "regression", "binary", "probability", "paired", "multilabel", "distribution", "boxes")
_BY_COUNT = {
    2: frozenset({*_TWO, "count", "log_probs", "margin"}),
    3: frozenset({"masked_classes", "masked", "triplet", "pairwise", "gaussian", "ranking"}),
    4: frozenset({"sequence"}),
}
"""Kinds by number of arguments; kinds that are not in `_TWO` are tried only if names suggest them."""
_OTHERS = r"\breal|fake|chosen|rejected|advantage|reward|\bold_|\bref_|critic|discriminator|generator"
_OTHERS += r"|relevance|list_?(mle|net|wise)|\b(event|duration|censor|surviv|hazard)"
"""Games, preferences, lists and survival: a single prediction has no right answer."""
_HINTS: tuple[tuple[str, str], ...] = (
    ("masked_classes", r"mask|valid"),
    ("masked", r"mask|valid"),
    ("triplet", r"anchor|negative"),
    ("gaussian", r"\bvar|variance|sigma|log_?(var|b|std|scale)\b|\bstd"),
    ("pairwise", r"\b(left|right|embeddings?_?[ab12]|emb[12]|z[12]|x[12]|input[12]|output[12])\b.*\b(label|same|y)\b"),
    ("ranking", r"\b(first second|x1 x2|input1 input2)\b|rank"),
    ("boxes", r"box|\b[gdc]iou"),
    (
        "paired",
        r"(emb|feat|proj)\w* \w*(emb|feat|proj)|\b(z1 z2|za zb|z_a z_b|z_i z_j|queries? keys?|image_\w* text_\w*)\b",
    ),
    ("count", r"log_?rate|log_?lambda|counts?\b|poisson"),
    ("sequence", r"input_lengths"),
    ("log_probs", r"log_?prob"),
    ("distribution", r"kl_?div|kl_loss|distill|soft_?targets?|teacher"),
    ("multilabel", r"multi_?label"),
    ("margin", r"hinge|svm|exponential_loss|squared_hinge"),
    ("probability", r"\bprobs?\b|\bprobabilit"),
    ("binary", r"binary|(?<![a-z])bce|\blogit\b|with_logits|sigmoid|dice|tversky|jaccard|softplus"),
    ("classification", r"logits?\b|class|labels?\b|cross_entropy|softmax|nll_loss"),
    ("regression", r"mse|mae|huber|quantile|pinball|regress|cosh|charbonnier|y_true|cauchy"),
)
"""Kinds by the usual names of their parameters, functions and helpers; the most reliable first."""


_SURER = frozenset({"log_probs", "count", "boxes", "paired", "distribution", "multilabel"})


def probable_kinds(fn: LossFunction) -> tuple[str, ...]:
    """The possible kinds of a function, most likely first: the ones that its own names suggest.

    A torch loss has only its own kind.

    Example:
        >>> probable_kinds(lambda anchor, positive, negative: 0.0)[0]
        'triplet'
    """
    known = TORCH_KINDS.get(torch_name(fn) or "") or getattr(fn, "loss_kind", None)
    if known is not None:
        return (known,)
    count = len(needed(fn))
    usual = _TWO if count in (0, 2) else ()
    name = getattr(fn, "__name__", type(fn).__name__)
    own = f"{_parameters(fn)} {name}".lower().replace("_loss", "")
    used = " ".join(_used(fn)).lower()
    if re.search(_OTHERS, own):
        return (FREE, *usual)
    fitting = [(kind, at) for kind, at in _HINTS if kind in _BY_COUNT.get(count or 2, ())]
    said = [kind for kind, pattern in fitting if re.search(pattern, own)]
    if usual and not set(said) & _SURER:  # it is certain if it fits: see `_over_classes`
        said = ["classification", *said]
    others = [kind for kind, pattern in fitting if re.search(pattern, used)]
    return tuple(dict.fromkeys([*said, *others, *usual, FREE]))


def usual_backend(fn: LossFunction) -> str:
    """The backend to try first: many functions that are meant for tensors accept arrays as well."""
    if is_torch(fn):
        return "torch"
    inner = getattr(fn, "func", fn)
    scope = getattr(inner, "__globals__", {})
    modules = {getattr(scope.get(name), "__name__", "").split(".")[0] for name in _used(fn)}
    if "numpy" in modules and "torch" not in modules:
        return "numpy"
    return "torch" if "torch" in sys.modules else "auto"


def _parameters(fn: LossFunction) -> str:
    found = signature(fn)
    return "" if found is None else " ".join(found.parameters)


def _used(fn: LossFunction) -> Iterator[str]:
    """The names that the function's code uses."""
    inner = getattr(fn, "func", fn)
    inner = getattr(type(inner), "forward", None) or inner
    code = getattr(inner, "__code__", None)
    if code is not None:
        yield from code.co_names
        for constant in code.co_consts:
            yield from getattr(constant, "co_names", ())
