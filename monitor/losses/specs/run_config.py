"""Reads from a run's configuration how many terms its loss may have been summed over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "batch_size": (
        "batchsize", "trainbatchsize", "perdevicetrainbatchsize", "perdevicebatchsize", "microbatchsize",
        "trainmicrobatchsizepergpu", "batch", "bs", "minibatchsize",
    ),
    "accumulation": (
        "gradientaccumulationsteps", "accumulategradbatches", "accumulationsteps", "gradaccumsteps", "accumsteps",
        "gradaccum", "gradientaccumulation", "gradaccumulationsteps",
    ),
    "tokens": (
        "seqlen", "seqlength", "sequencelength", "sequencelen", "blocksize", "contextlength", "contextsize",
        "maxseqlen", "maxseqlength", "maxlength", "nctx",
    ),
}  # fmt: skip
"""Names of keys without case and separators, most reliable first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Numbers of terms; None if the configuration does not say.

    Attributes:
        batch_size: examples per batch.
        accumulation: batches per optimiser step.
        tokens: tokens per example.
    """

    batch_size: int | None = None
    accumulation: int | None = None
    tokens: int | None = None


def terms_of(config: Mapping[str, object]) -> Terms:
    """The numbers in a run's configuration, found by common key names, also in nested tables.

    Example:
        >>> terms_of({"train": {"batch-size": 64}, "gradient_accumulation_steps": 4, "block_size": "long"})
        Terms(batch_size=64, accumulation=4, tokens=None)
    """
    numbers: dict[str, int] = {}
    for key, value in _leaves(config, 4):
        if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 1e9 and value == int(value):
            numbers.setdefault(re.sub(r"[^a-z0-9]", "", key.lower()), int(value))
    found = {name: next((numbers[key] for key in keys if key in numbers), None) for name, keys in _KEYS.items()}
    return Terms(batch_size=found["batch_size"], accumulation=found["accumulation"], tokens=found["tokens"])


def _leaves(config: Mapping[str, object], depth: int) -> Iterator[tuple[str, object]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            if depth:
                yield from _leaves(value, depth - 1)
        else:
            yield str(key), value
