"""The vocabulary of text logs: words for data sets, for metrics, and for what is not a curve."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Final, Literal

from monitor.directions import rises
from monitor.roles import Role, role_of, role_of_set

Set = Literal["train", "val", "test", "holdout"]

_SETS: Final[dict[str, Set]] = {"test": "test", "testing": "test", "holdout": "holdout", "heldout": "holdout"}
TERMS: Final = frozenset({
    "objective", "entropy", "xent", "avgloss", "avgxent", "cost", "ppl", "reward", "gnorm", "grad", "norm", "lr",
})  # fmt: skip
SIDE: Final = frozenset({
    "time", "eta", "elapsed", "remaining", "sec", "secs", "seconds", "ms", "duration", "runtime", "dur", "mem",
    "memory", "date", "gb", "mb", "wall", "speed", "throughput", "second", "tps", "wps", "ups", "fps", "mfu",
    "pid", "rank", "mpirank", "seed", "gpu", "device", "size", "samples", "world", "port", "params", "parameters",
    "workers",
    "version", "v_num", "data", "batches", "hours", "hour", "minutes", "min", "dt", "took", "num", "norm_fn",
    "total", "line", "s", "ips",
})  # fmt: skip
"""Last words of names that are system measurements or settings, not curves."""
TOLD_AGAIN: Final = frozenset({
    "best", "lowest", "highest", "previous", "prev", "improved", "old", "decreased", "increased",
})  # fmt: skip
CONFIG: Final = frozenset({
    "weight", "weights", "scale", "type", "coef", "coeff", "coefficient", "lambda", "alpha", "beta", "gamma", "eps",
    "epsilon", "margin", "ratio", "fn", "func", "function", "name", "smoothing", "patience", "threshold", "delta",
    "every", "freq", "interval", "window", "clip", "target",
    "goal", "max", "decay", "factor", "warmup", "k", "layers", "reduction", "num", "start", "begin", "id",
}) | TOLD_AGAIN  # fmt: skip
"""Words that turn a metric into a setting or a repeated value: `loss_weight`, `best val loss`."""
_NUMBERED: Final = re.compile(r"([a-z]+)\d{1,2}")
"""One of several sets without a sign before its number, as fairseq names them."""
CLOCKS: Final = frozenset({"time", "eta", "elapsed", "remaining", "timestamp"})
CAMEL: Final = re.compile(r"(?<=[a-z]{2})(?=[A-Z][a-z])")
FROM: Final = frozenset({"from", "to", "than", "below", "above", "under", "over", "best", "was"})
"""Words before a number that is not the metric's current value: `improved from 0.5 to 0.4`."""
FILLERS: Final = frozenset({
    "with", "at", "and", "the", "for", "of", "a", "an", "in", "on", "is", "avg", "average", "mean", "running",
    "current", "final", "epoch", "step", "set", "iter", "iteration", "info", "finished", "done", "after", "has",
    "got", "overall", "summary", "phase", "batch", "total_", "end", "debug", "results", "result", "metrics",
    "dataset", "subset", "now", "log", "print", "from", "to", "by", "my",
})  # fmt: skip


@functools.lru_cache(maxsize=4096)
def set_of(word: str) -> Set | None:
    """The data set that a word names.

    `valid` and `eval` mean validation; `test` and `holdout` may be that or another set.

    >>> set_of("Training"), set_of("valid"), set_of("Test"), set_of("loss")
    ('train', 'val', 'test', None)
    """
    low = word.lower().removesuffix("'s")
    if low in _SETS:
        return _SETS[low]
    role = role_of_set(low) if low.isalpha() else None
    return "train" if role is Role.TRAIN else "val" if role is Role.VAL else None


@functools.lru_cache(maxsize=4096)
def subset(word: str) -> str | None:
    """The name of one of several held-out sets: a word made of a set and a name, without a metric.

    >>> subset("dev-clean"), subset("valid_0"), subset("val_loss"), subset("test-set"), subset("train-clean")
    ('dev-clean', 'valid_0', None, None, None)
    >>> subset("valid1"), subset("train2"), subset("test")
    ('valid1', None, None)
    """
    first, *others = re.split(r"[-_]", word.lower())
    numbered = _NUMBERED.fullmatch(first) if not others else None
    if numbered is not None and set_of(numbered[1]) not in (None, "train"):
        return first
    if not others or set_of(first) in (None, "train") or set_of(word) is not None or is_metric("_".join(others)):
        return None
    known = (SIDE | CONFIG | FILLERS | TERMS | {"mode", "loader", "dataloader"}) - {"a"}
    return (
        word.lower()
        if known.isdisjoint(others) and not any(set_of(each) or is_metric(each) for each in others)
        else None
    )


def is_side(words: Sequence[str]) -> bool:
    """True for the words of a system measurement or a setting; the total of a loss is neither."""
    return words[-1] in SIDE and not (words[-1] == "total" and "loss" in words)


@functools.lru_cache(maxsize=4096)
def is_metric(name: str) -> bool:
    """True for the name of a metric that measures a training and is not a setting."""
    words = [word for word in re.split(r"[^a-z0-9]+", CAMEL.sub("_", name).lower()) if word]
    if not words or is_side(words) or not CONFIG.isdisjoint(words):
        return False
    return rises(name) is not None or role_of(name) in (Role.TRAIN, Role.VAL) or words[-1] in ("objective", "loss")


@functools.lru_cache(maxsize=4096)
def is_loss(name: str) -> bool:
    """True for a metric that is minimised, by its name."""
    return is_metric(name) and (rises(name) is False or role_of(name) in (Role.TRAIN, Role.VAL))
