"""Parses loss specifications written as text, for the command line and settings files."""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from monitor.errors import LossError
from monitor.losses.specs.composite import Composite
from monitor.losses.specs.spec import REGISTRY, LossSpec, make
from monitor.losses.specs.torch_modules import FUNCTIONS, READERS, from_torch

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "barron": ("charbonnier",),
    "binary_cross_entropy": ("bce", "logistic", "log_loss"),
    "bpr": ("bayesian_personalised_ranking", "bayesian_personalized_ranking"),
    "cauchy": ("lorentzian",),
    "ciou": ("complete_box_iou",),
    "cross_entropy": ("ce", "nll", "softmax_cross_entropy", "xent"),
    "diou": ("distance_box_iou",),
    "generalised_cross_entropy": ("gce", "generalized_cross_entropy"),
    "giou": ("generalized_box_iou",),
    "hinge": ("svm",),
    "info_nce": ("ntxent",),
    "iou": ("jaccard",),
    "kl_divergence": ("kl", "kld"),
    "language_model": ("lm",),
    "mae": ("l1", "mean_absolute_error"),
    "mse": ("l2", "mean_squared_error"),
    "quantile": ("pinball",),
    "rmse": ("root_mean_squared_error",),
}
"""Other names of each kind, besides torch's."""
MOST: Final = 10_000
"""Characters of a specification, at most: Python's own parser has no limit."""
SHOWN: Final = 100


def _plain(name: str) -> str:
    """A name without case, underscores, hyphens, a trailing "loss" and the path before its last dot."""
    short = re.sub(r"[^a-z0-9]", "", name.rsplit(".", 1)[-1].lower())
    return short.removesuffix("loss") or short


def _names() -> dict[str, str]:
    """The kind of every spelling, normalised by `_plain`."""
    names = {_plain(torch): kind for torch, (kind, _) in READERS.items()}
    names |= {_plain(function): READERS[cls][0] for function, cls in FUNCTIONS.items()}
    names |= {_plain(alias): kind for kind, aliases in _ALIASES.items() for alias in aliases}
    return names | {_plain(kind): kind for kind in REGISTRY}


def kind_of(name: str) -> str:
    """The kind that a spelling means: `CrossEntropyLoss`, `cross-entropy`, `torch.nn.CrossEntropyLoss`, `ce` ...

    Raises:
        LossError: unknown name; suggests the nearest.

    Example:
        >>> kind_of("torch.nn.SmoothL1Loss"), kind_of("CE"), kind_of("KL-divergence")
        ('smooth_l1', 'cross_entropy', 'kl_divergence')
    """
    names = _names()
    kind = names.get(_plain(name))
    if kind is None:
        near = nearest_kind(name)
        fix = f"did you mean {near!r}?" if near else f"known: {', '.join(sorted(REGISTRY))}"
        raise LossError(name, "no loss of this name is known", fix)
    return kind


def nearest_kind(name: str) -> str | None:
    """The kind with the spelling nearest to an unknown name; None if none is near.

    Example:
        >>> nearest_kind("cross_entorpy"), nearest_kind("perceptual")
        ('cross_entropy', None)
    """
    names = _names()
    near = difflib.get_close_matches(_plain(name), names, 1, 0.7)
    return names[near[0]] if near else None


def parse(text: str) -> LossSpec:
    """Parse `cross_entropy(classes=10)`, `huber(0.5)`, `mse`, or `composite(data=mse(1.0), l2=0.01 * custom(floor=0))`.

    Nothing is evaluated: only names, literals, and a weight before a part are accepted.

    Args:
        text: one specification; the first parameter may be given without its name.

    Raises:
        LossError: what could not be read, and what was expected.

    Example:
        >>> parse("cross_entropy(classes=10, label_smoothing=0.1)").classes
        10
        >>> parse("composite(data=mse(1.0), l2=0.5*custom(chance_level=2, floor=0))").chance_level
        2.0
    """
    if len(text) > MOST:
        raise LossError(repr(text[:40]), f"it is longer than {MOST:,} characters", "write it in Python")
    try:
        with warnings.catch_warnings():  # Python warns about odd literals
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval").body
        return _read(tree, text)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        if isinstance(error, LossError):
            raise
        raise LossError(_short(text), "it cannot be read", "write it as cross_entropy(classes=10)") from error


def _short(text: str) -> str:
    """A text for an error message, in one line."""
    return repr(text) if len(text) <= SHOWN else f"{text[:SHOWN]!r}..."


def _read(node: ast.expr, text: str) -> LossSpec:
    if isinstance(node, (ast.Name, ast.Attribute)):
        return make(kind_of(ast.unparse(node)), {})
    if isinstance(node, ast.Call):
        kind = kind_of(ast.unparse(node.func))
        return _composite(node, text) if kind == "composite" else make(kind, _arguments(node, kind, text))
    raise LossError(_short(text), f"{ast.unparse(node)!r} is not a loss", "write it as cross_entropy(classes=10)")


def _arguments(call: ast.Call, kind: str, text: str) -> dict[str, object]:
    """Positional arguments in the order of the specification's fields, then named ones."""
    names = [item.name for item in fields(REGISTRY[kind]) if not item.kw_only]
    if len(call.args) > len(names):
        raise LossError(_short(text), f"{kind} takes {len(names)} unnamed parameters", "name the others")
    found: dict[str, object] = {}
    for name, value in zip(names, call.args, strict=False):
        found[name] = _literal(value, text)
    for keyword in call.keywords:
        if keyword.arg is None:
            raise LossError(_short(text), "** cannot be used here", "name every parameter")
        found[keyword.arg] = _literal(keyword.value, text)
    return found


def _literal(node: ast.expr, text: str) -> object:
    try:
        value: object = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise LossError(
            _short(text), f"{ast.unparse(node)!r} is not a number, word or list", "write a literal"
        ) from error
    return tuple(value) if isinstance(value, list) else value


def _composite(call: ast.Call, text: str) -> Composite:
    """Read `composite(name=part, other=0.1 * part)`."""
    parts: dict[str, LossSpec] = {}
    weights: dict[str, float] = {}
    if call.args:
        raise LossError(_short(text), "a part has no name", "write composite(data=mse(), l2=custom(floor=0))")
    for keyword in call.keywords:
        name, node = str(keyword.arg), keyword.value
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            weight = _literal(node.left, text)
            if isinstance(weight, bool) or not isinstance(weight, (int, float)):
                raise LossError(_short(text), f"the weight of {name} is {weight!r}", "write a number before the *")
            weights[name], node = float(weight), node.right
        parts[name] = _read(node, text)
    return Composite(parts, weights=weights)


def spec_of(loss: object, **known: object) -> LossSpec:
    """The specification of a loss given in any form.

    Args:
        loss: a specification, its dictionary, text for `parse`, or a torch loss.
        known: parameters that a torch loss does not hold; see `from_torch`.

    Raises:
        LossError: it is none of these, or invalid.

    Example:
        >>> spec_of("mse(2.0)") == spec_of({"kind": "mse", "params": {"target_variance": 2.0}})
        True
    """
    if isinstance(loss, LossSpec):
        return loss
    if isinstance(loss, str):
        return parse(loss)
    if isinstance(loss, Mapping):
        return LossSpec.from_dict(loss)
    return from_torch(loss, **known)
