"""The losses to choose from, and their measured profiles, cached for all users."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import TYPE_CHECKING, Final

import streamlit as st

from monitor import losses
from monitor.errors import LossError
from monitor.losses import Advice, LossProfile, LossSpec
from monitor.losses.comparison.candidates import CHOICES, Choice
from monitor.losses.profiles.kinds import CLASSES, TORCH_KINDS

if TYPE_CHECKING:
    from monitor.losses.profiles.subject import LossFunction

TASKS: Final = tuple(CHOICES)
"""What `monitor.losses.advise` gives advice for."""
MOST_CLASSES: Final = 20
"""A specification of more classes is measured with the usual few: its shape is the same, its cost is not."""


def has_torch() -> bool:
    """True where torch is installed; it is loaded with the first loss of its own that is measured."""
    return importlib.util.find_spec("torch") is not None


def names() -> tuple[str, ...]:
    """The losses to choose from: torch's own where it is installed, and those that need only numpy."""
    ours = tuple(sorted(numpy_losses()))
    return (*sorted(TORCH_KINDS), *ours) if has_torch() else ours


def numpy_losses() -> dict[str, Choice]:
    """The losses that need no torch, by name; of a name that several tasks share, the first."""
    found: dict[str, Choice] = {}
    for choices in CHOICES.values():
        for choice in choices:
            if choice.fn is not None and "{" not in choice.name:
                found.setdefault(choice.name, choice)
    return found


@st.cache_data(show_spinner="Measuring…", max_entries=128)
def named(name: str) -> tuple[LossProfile, LossSpec | None]:
    """The profile of one of `names`, and its specification where there is one.

    Raises:
        LossError: no such loss, or one that cannot be measured.
    """
    choice = numpy_losses().get(name)
    if choice is not None and choice.fn is not None:
        return losses.profile(choice.fn, choice.kind, name=name, backend="numpy"), _parsed(name)
    fn = _torch_loss(name)
    return losses.profile(fn, name=f"torch.nn.{name}"), losses.from_torch(fn)


@st.cache_data(show_spinner="Measuring…", max_entries=128)
def specified(written: str) -> tuple[LossProfile | None, str]:
    """The profile of what a specification describes, and a sentence on what was measured.

    Args:
        written: a specification that `monitor.losses.parse` reads.
    """
    spec = losses.parse(written)
    if not has_torch():
        return None, "A specification is measured through torch, which is not installed here."
    from monitor.losses.comparison.functions import torch_function

    with contextlib.suppress(LossError):
        fn = torch_function(spec)
        classes = getattr(spec, "classes", None)
        fits = isinstance(classes, int) and classes <= MOST_CLASSES
        many = classes if fits and isinstance(classes, int) else CLASSES
        return losses.profile(fn, name=written.strip(), classes=many), f"Measured with {written.strip()}."
    for name in sorted(TORCH_KINDS):
        if name in _catalogue() and losses.from_torch(_torch_loss(name)).kind == spec.kind:
            return named(name)[0], f"Measured with torch.nn.{name} in its usual settings, not with these parameters."
    return None, f"No function of the kind {spec.kind} is known here to be measured."


@st.cache_data(show_spinner="Measuring the candidates…", max_entries=64)
def advised(task: str, classes: int | None, imbalance: float, outliers: bool, noise: float, half: bool) -> Advice:
    """What `monitor.losses.advise` says."""
    return losses.advise(task, classes, imbalance=imbalance, outliers=outliers, label_noise=noise, half_precision=half)


def _parsed(name: str) -> LossSpec | None:
    try:
        return losses.parse(name)
    except LossError:
        return None


@st.cache_resource(show_spinner=False)
def _catalogue() -> dict[str, LossFunction]:
    from monitor.losses.profiles.torch_catalogue import torch_losses

    return torch_losses()


def _torch_loss(name: str) -> LossFunction:
    found = _catalogue().get(name) if has_torch() else None
    if found is None:
        raise LossError(name, "it is not among the losses that are installed here", "choose one from the list")
    return found
