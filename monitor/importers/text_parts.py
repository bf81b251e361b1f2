"""Separates folds, seeds and trials in one text log: each is a training of its own, sequential or interleaved."""

from __future__ import annotations

import re
from typing import Final

from monitor.importers.text_headings import bare

PARTS: Final = ("fold", "seed", "trial", "repeat")
"""The kinds of parts; also names of columns in a table."""
_PART: Final = re.compile(
    rf"(?<![\w-])(?P<kind>{'|'.join(PARTS)})[ _:#=-]{{0,3}}(?P<nth>\d{{1,9}})(?![\w.]*\w)(?: ?(?:/|of) ?\d+)?",
    re.IGNORECASE,
)
_WORDS: Final = frozenset({
    "training", "train", "on", "start", "starting", "started", "starts", "begin", "beginning", "begins", "running",
    "run", "cross", "validation", "cv", "k", "kfold", "for", "the", "now", "current", "with", "using", "outer", "inner",
    "new", "random", "of", "processing", "model", "number", "id", "no",
})  # fmt: skip
"""Words that a heading may have besides the part."""
_LONGEST: Final = 100  # characters; longer lines are prose

Part = tuple[str, str]
"""The kind and number of a part, such as `("fold", "1")`."""


def announced(text: str) -> Part | None:
    """The part that a line without metrics starts; None if it starts none.

    >>> announced("===== Fold 2/5 ====="), announced("Training on fold 3..."), announced("Seed: 42")
    (('fold', '2'), ('fold', '3'), ('seed', '42'))
    >>> announced("Trial 3 finished with value 0.5"), announced("saved fold 1"), announced("5 folds")
    (None, None, None)
    """
    found = _PART.search(text)
    if found is None or len(text) > _LONGEST:
        return None
    message = bare(text)
    found = _PART.search(message)
    if found is None:
        return None
    rest = f"{message[: found.start()]} {message[found.end() :]}"
    if re.search(r"\d", rest) or not {word.lower() for word in re.findall(r"[A-Za-z]+", rest)} <= _WORDS:
        return None
    return found["kind"].lower(), found["nth"]


def named(text: str) -> Part | None:
    """The part that a line with metrics names.

    >>> named("[fold 2] epoch 1 loss 0.5"), named("Epoch 1 loss 0.5")
    (('fold', '2'), None)
    """
    found = _PART.search(text)
    return None if found is None else (found["kind"].lower(), found["nth"])
