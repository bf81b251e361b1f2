"""Interprets the words of one name, without looking at the run's other names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal

from monitor.directions import rises
from monitor.roles import words as w
from monitor.roles.words import words_of

Group = Literal["train", "val", "test", ""]


class What(StrEnum):
    """The kind of quantity that a name stands for."""

    LOSS = "loss"
    ERROR = "error"
    """An error measure, such as `val_rmse`; used as the loss if nothing is called a loss."""
    BARE = "bare"
    """A data set without a quantity, such as a column `train`; or a loss part named by a letter, such as `L_rec`."""
    METRIC = "metric"
    GRAD_NORM = "grad_norm"
    LR = "lr"
    SYSTEM = "system"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """One interpreted name.

    Attributes:
        key: the name as written.
        what: the kind of quantity.
        group: the data set it was measured on; "" if the name does not say.
        index: the number of the data set, if several are numbered.
        words: all words.
        rest: words that are neither a data set, a quantity nor an average: a part, another data set, a class.
        total: True if the name says that it is the total.
        averaged: how it was averaged, where that matters: "step", "epoch", "smooth" or "".
        derived: True if derived from a quantity, such as the best so far.
        leaf: True if its last component says that it is a loss, and not just a folder before it.
        rising: True if higher is better; None if the name does not say.
    """

    key: str
    what: What
    group: Group = ""
    index: int = 0
    words: frozenset[str] = frozenset()
    rest: tuple[str, ...] = ()
    total: bool = False
    averaged: Literal["step", "epoch", "smooth", ""] = ""
    derived: bool = False
    leaf: bool = True
    rising: bool | None = None


_FILLERS: Final = w.SETS | w.AVERAGED | w.PLACES | w.INDEX
_SMOOTH: Final = frozenset(
    {"avg", "average", "averaged", "running", "moving", "smoothed", "smooth", "smoothing", "ema"}
)
_GRAD: Final = frozenset({"norm", "total", "global", "overall", "l2", "mean", "avg", "all", "model", "before", "after"})
_LETTER: Final = re.compile(r"(?:^|[/_. ])[lL]_[A-Za-z]")
"""The letter of a loss before its subject, as in papers: `L_rec`, `train_L_vae`, `l_pix`."""
_SLICED: Final = re.compile(r"\{[^{}]+\}$")
"""A slice, such as `val/loss{split=test}`: never the total, whatever its words."""
_OF_METRICS: Final = (
    frozenset(w.GOALS) | w.EPISODES | w.ERROR_WORDS | w.FACTORS | {"score", "balanced", "top", "k", "weighted"}
)


@lru_cache(maxsize=8192)
def name_of(key: str) -> Name:
    """Interpret one name.

    >>> name = name_of("val/loss_epoch/dataloader_idx_1")
    >>> str(name.what), name.group, name.index, name.rest
    ('loss', 'val', 1, ())
    """
    if key.strip().lower().startswith("system/"):
        return Name(key=key, what=What.SYSTEM)
    index, words = _numbered(words_of(key))
    known = frozenset(words)
    what = _what(known, key)
    return Name(
        key=key,
        what=what,
        group=_group(known),
        index=index,
        words=known,
        rest=_rest(words, what) or ((key,) if _SLICED.search(key) else ()),
        total=bool(known & w.TOTAL),
        averaged=_averaged(known),
        derived=bool(known & w.DERIVED) or (what is not What.METRIC and bool(known & w.FACTORS)),
        leaf=not w.LOSS.isdisjoint(words_of(key.rpartition("/")[2])),
        rising=False if what in (What.LOSS, What.ERROR, What.BARE) else rises(key),
    )


def group_of(name: str) -> Group:
    """The data set group of any name; "" if the name does not say."""
    return _group(frozenset(words_of(name)))


def _group(words: frozenset[str]) -> Group:
    """The group of a set of words. Held-out words win, so that `train/val_loss` is a validation loss."""
    for found, known in (("val", w.HELD_OUT), ("test", w.TESTED), ("train", w.TRAINED)):
        if words & known:
            return found  # type: ignore[return-value]  # three literals
    return ""


def _numbered(words: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """The number after a data set or after `idx`, and the remaining words."""
    for at, word in enumerate(words[1:], start=1):
        if word.isdecimal() and (words[at - 1] in w.SETS or words[at - 1] in w.INDEX):
            return min(int(word[:6]), 10**6), (*words[:at], *words[at + 1 :])
    return 0, words


def _what(words: frozenset[str], key: str) -> What:
    if "learningrate" in words or ("lr" in words and not words & w.LOSS):
        return What.LR
    if words & w.GRADIENT:
        plain = words - w.GRADIENT - w.SETS - w.AVERAGED - w.PLACES - _GRAD
        normed = "norm" in words or "gradnorm" in words
        return What.GRAD_NORM if normed and all(word.isdecimal() for word in plain) else What.OTHER
    losses = words & w.LOSS
    if losses and (words & w.PERPLEXITY or (rises(key.rpartition(" - ")[2]) is True and " - " in key)):
        return _without_loss(words - w.LOSS, key.rpartition(" - ")[2])
    if losses and (losses - w.PLACES or not (words - _FILLERS)):
        return What.LOSS
    return _without_loss(words, key)


def _without_loss(words: frozenset[str], key: str) -> What:
    """The kind of a name without a word for loss."""
    measured = words - _FILLERS - w.TOTAL - w.OF_SETS
    rising = rises(key)
    if words & w.ERRORS and rising is not True:
        return What.ERROR
    if words & w.SETS and measured <= w.LETTERS:
        return What.LOSS if measured else What.BARE
    if rising is None and _LETTER.search(key):
        return What.BARE
    return What.OTHER if rising is None else What.METRIC


def _rest(words: tuple[str, ...], what: What) -> tuple[str, ...]:
    plain = _FILLERS | w.TOTAL | w.LOSS | w.LETTERS
    if not w.SETS.isdisjoint(words):
        plain |= w.OF_SETS
    if what is What.ERROR:
        plain |= w.ERRORS | w.ERROR_WORDS
    elif what is What.METRIC:
        plain |= _OF_METRICS
    # A value loss (reinforcement learning) differs from the value of the loss.
    if what is What.LOSS and words[-1] == "value":
        words = words[:-1]
    return tuple(sorted({word for word in words if word not in plain}))


def _averaged(words: frozenset[str]) -> Literal["step", "epoch", "smooth", ""]:
    if words & _SMOOTH:
        return "smooth"
    if words & {"epoch", "epochs"}:
        return "epoch"
    return "step" if words & {"step", "steps", "iter", "batch", "minibatch"} else ""


class Role(StrEnum):
    """What a series means to the engine."""

    TRAIN = "train"
    VAL = "val"
    GRAD_NORM = "grad_norm"
    LR = "lr"
    PART = "part"
    """A term of a composite loss, `loss/<name>`."""
    GOAL = "goal"
    """The metric to improve, such as an accuracy; one per run."""
    SYSTEM = "system"
    """A measurement of the machine, `system/<name>`."""
    UNMAPPED = "unmapped"
    """Stored and plotted, not diagnosed."""


JUDGED_PARTS: Final = 8
"""Parts of a composite loss that are diagnosed, at most: the first ones logged."""
