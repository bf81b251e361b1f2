"""Calls a loss according to its parameter names: in its own order, and by keyword if required."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Final

from monitor.losses.profiles.subject import LossFunction, is_torch

_PREDICTION: Final = r"^(p|x|u|mu|z)$|pred|hat|out(put)?s?$|logit|score|mean|loc|recon|inputs?$|prob|rate|student"
_TARGET: Final = r"^(y|t|gt)$|target|true|truth|label|obs|actual|events?$|outcome|class(es)?$|counts?$|teacher"
_ROLES: Final = {
    "gaussian": (_PREDICTION, _TARGET, r"var|sigma|std|scale|log_b"),
    "masked": (_PREDICTION, _TARGET, r"mask|valid"),
    "masked_classes": (_PREDICTION, _TARGET, r"mask|valid"),
}
_TWO: Final = (_PREDICTION, _TARGET)
_OWN_ORDER: Final = r"y_?true"
"""scikit-learn's and Keras' name for the target, which they take first."""


class Called:
    """A loss that is called with (prediction, target, ...), whatever the order of its own parameters.

    Args:
        order: for each of its parameters, the index of the given argument.
        names: its keyword-only parameters; they come last.
    """

    def __init__(self, fn: LossFunction, order: Sequence[int], names: Sequence[str] = ()) -> None:
        self.fn, self.order, self.names = fn, tuple(order), tuple(names)
        self.loss_backend = "torch" if is_torch(fn) else ""

    def __call__(self, *given: object) -> object:
        """Call the loss with arguments in the kind's order."""
        found = [given[place] for place in self.order]
        own = len(found) - len(self.names)
        return self.fn(*found[:own], **dict(zip(self.names, found[own:], strict=True)))

    def state_dict(self) -> object:
        """The loss's own weights, if it has any."""
        state = getattr(self.fn, "state_dict", None)
        return state() if state is not None else {}

    def to(self, dtype: object) -> Called:
        """Cast the loss's own weights."""
        self.fn.to(dtype)  # type: ignore[attr-defined]  # only asked of what has weights
        return self


def signature(fn: LossFunction) -> inspect.Signature | None:
    """The signature of a function, or of a module's forward."""
    try:
        return inspect.signature(getattr(fn, "forward", fn))
    except (TypeError, ValueError):
        return None


def needed(fn: LossFunction) -> list[str]:
    """The required parameters; two if unknown."""
    found = signature(fn)
    if found is None:
        return ["", ""]
    items = [item for item in found.parameters.values() if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]
    names = [item.name for item in items if item.default is item.empty]
    return names if items else ["", ""]


def in_order(fn: LossFunction, kind: str) -> tuple[LossFunction, bool]:
    """The loss with arguments in the kind's order, and whether its own order is target first.

    The order of scikit-learn and Keras, (y_true, y_pred), is a convention and not reported.
    """
    names = needed(fn)
    found = signature(fn)
    own = {} if found is None else found.parameters
    keywords = [name for name in names if name in own and own[name].kind is inspect.Parameter.KEYWORD_ONLY]
    order = _order(names, _ROLES.get(kind, _TWO))
    usual = list(range(len(names)))
    if order == usual and not keywords:
        return fn, False
    turned = len(names) == 2 and order != usual and not keywords and not re.search(_OWN_ORDER, names[0].lower())
    return Called(fn, order, keywords), turned


def _order(names: Sequence[str], roles: Sequence[str]) -> list[int]:
    """The argument for each parameter; the given order if the names do not tell."""
    usual = list(range(len(names)))
    if len(names) != len(roles):
        return usual
    fits = [[k for k, role in enumerate(roles) if re.search(role, name.lower())] for name in names]
    if all(len(item) == 1 for item in fits) and sorted(item[0] for item in fits) == usual:
        return [item[0] for item in fits]
    return usual
