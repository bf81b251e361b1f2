"""Recognises lines of a text log that are about other lines: headings of data sets, and output that is not training."""

from __future__ import annotations

import re
from typing import Final

from monitor.importers.text_positions import Line
from monitor.importers.text_words import Set, set_of

_PREFIX: Final = re.compile(
    r"^.{0,80}?\b(?:INFO|DEBUG|WARNING|WARN|NOTICE|SUCCESS|info|debug|warning)\b[\]\s:|,-]*"
    r"(?:[\w.]+(?:[:/][\w.<>]+)*[\s]*[-|:\]]+\s*)?"
)
"""What a logger writes before its message: time, level and its own name."""
_CLOCK: Final = re.compile(r"\d{4}-\d\d-\d\d[T -]?|\d+:\d\d(?::\d\d)?[\w.,]*|\([^()]*\d{4}[^()]*\)")
_PLACED: Final = re.compile(
    r"(?:epochs?|steps?|iter(?:ation)?s?|dataloader|batch)\s*[:=#]?\s*\d+(?:\s*/\s*\d+)?|\[\s*\d+\s*/\s*\d+\s*\]",
    re.IGNORECASE,
)
_BAR: Final = re.compile(r":?\s*\d+%\|.*")
_MAY_NAME_A_SET: Final = re.compile(r"train|val|eval|test|dev|hold", re.IGNORECASE)
_WORDS: Final = frozenset({
    "running", "run", "starting", "start", "started", "begin", "beginning", "begins", "phase", "set", "mode", "results",
    "result", "metrics", "metric", "performance", "stats", "statistics", "scores", "on", "the", "for", "of", "at", "in",
    "epoch", "step", "iteration", "stage", "loop", "model", "dataset", "data", "split", "summary", "report", "after",
    "with", "by", "now", "error", "errors", "dataloader", "batch", "progress", "bar", "sanity", "check", "all", "full",
    "subset", "s",
})  # fmt: skip
"""Words that a heading may have besides the data set's name."""
_FRAMED: Final = re.compile(r"\s*[*=#~-]{3,}(?: .*)? [*=#~-]{3,}\s*")
"""A heading between stars or lines, which may say what is measured: `***** Evaluating perplexity *****`."""
_LONGEST: Final = 120  # characters; longer lines are prose
_HEADER_WORDS: Final = frozenset({
    "start", "starting", "begin", "beginning", "training", "train", "running", "end", "of", "info", "the", "debug",
    "root", "learning", "now", "at", "time", "current", "n",
})  # fmt: skip
"""Words that may come before the number of a starting epoch or step."""
_BEGINS: Final = re.compile(
    r"(?:global[_ ]?)?(?:step|iteration|iter|update)\s*#?\s*\d|\w+\W{0,4}\d+\s*/\s*\d", re.IGNORECASE
)
_COUNT_WORD: Final = re.compile(r"\b(?:global[_ ]?step|step|iteration|iter|update|batch|epoch)s?\b", re.IGNORECASE)
_COMMAND: Final = re.compile(
    r"^\W{0,9}(?:[A-Z_]{1,40}=\S{1,200} ){0,9}(?:\S{0,200}/)?"
    r"(?:python[\d.]*|torchrun|accelerate|deepspeed|srun|mpirun|bash|uv|poetry)\s.*(?:\.py|\.sh|\s-m\s)"
)
_FINDER: Final = re.compile(
    r"\bfind(?:ing|er)?\b.{0,24}\b(?:lr|learning rate)\b|\b(?:lr|learning[ _-]rate)[ _-]?(?:find\w*|range|search)\b",
    re.IGNORECASE,
)
_FAREWELL: Final = re.compile(r"^wandb: ")
"""Summary lines that a tracker prints at the end."""
_TRACEBACK: Final = re.compile(r"^\W*(?:\[?rank\s?\d+\]?:\s*)?Traceback \(most recent call last\)")
_WARNS: Final = re.compile(r"\.py:\d+: \w*Warning:")
_RANK: Final = re.compile(r"^\[?rank\s?\d+\]?:\s?")


class Headings:
    """Remembers which data set the lines are about, from the last heading. Must see every line in order."""

    def __init__(self) -> None:
        self._set: Set | None = None
        self._at: tuple[int | None, float | None] = (None, None)
        self._may_be_bar = False
        self._bar: int | None = None

    def take(self, text: str, at: tuple[int | None, float | None]) -> bool:
        """True if a line without metrics is the heading of a data set.

        Args:
            at: the current step and epoch of the log.
        """
        found = heading(text)
        if found is None:
            return False
        self._set, self._at = (None if found == "train" else found), at
        self._may_be_bar, self._bar = _BAR.search(text) is None, None
        return True

    def end(self) -> None:
        """Forget the heading: an epoch starts."""
        self._set = None

    def set_of(self, line: Line) -> Set | None:
        """The data set of a point according to its heading; None if the point is further on or names a set itself."""
        if self._set is None:
            return None
        step, epoch = self._at
        on = (line.step is not None and (step is None or line.step > step)) or (
            line.epoch is not None and (epoch is None or line.epoch > epoch)
        )
        if on or (line.bar and not self._is_its_bar(line)) or line.of == "train":
            self._set = None
        return None if line.of is not None else self._set

    def _is_its_bar(self, line: Line) -> bool:
        """True for the first bar below a heading that is not a bar: it shows what the heading announced."""
        if not self._may_be_bar or line.epoch is not None or line.step is not None:
            return False
        self._bar = line.total if self._bar is None else self._bar
        return line.total == self._bar


class Echo:
    """Recognises echoed source code and commands, and learning rate searches: they are not points of a curve."""

    def __init__(self) -> None:
        self._traceback = self._warned = False

    def take(self, text: str) -> bool:
        """True if a line is not part of the training. Must see every line in order."""
        plain = _RANK.sub("", text)
        indented = plain[:1] in (" ", "\t")
        if self._warned and indented:
            self._warned = False
            return True
        self._warned = _WARNS.search(text) is not None
        if _TRACEBACK.match(text):
            self._traceback = True
            return True
        if self._traceback:
            self._traceback = indented or not plain.strip()
            return True  # the line with the error ends the traceback
        known = (_COMMAND.match(text), _FAREWELL.match(text), _FINDER.search(text))
        return self._warned or any(found is not None for found in known)


def bare(text: str) -> str:
    """A line without the logger's prefix.

    >>> bare("2024-05-01 12:00:00,123 - INFO - trainer - Epoch 0/9"), bare("INFO:tensorflow:Step 100")
    ('Epoch 0/9', 'Step 100')
    """
    return _PREFIX.sub("", text, count=1)


def heading(text: str) -> Set | None:
    """The data set that a line announces; None if it has other content.

    >>> [heading(text) for text in ("=> Validation", "evaluate:dev", "***** Running training *****", "Valid:")]
    ['val', 'val', 'train', 'val']
    >>> heading("Loading validation images"), heading("Validation: 0.5"), heading("Evaluating: 100%|###| 9/9")
    (None, None, 'val')
    """
    if (len(text) > _LONGEST and "%|" not in text) or not _MAY_NAME_A_SET.search(text):
        return None
    plain = _PLACED.sub(" ", _CLOCK.sub(" ", _BAR.sub(" ", bare(text))))
    if re.search(r"\d", plain) or len(plain) > _LONGEST:
        return None
    words = re.findall(r"[A-Za-z]+", plain)
    sets = {set_of(word) for word in words}
    found = sets - {None}
    if not found or ("train" in found and len(found) > 1):
        return None
    framed = _FRAMED.fullmatch(plain) is not None and set_of(words[0]) is not None
    if not framed and any(set_of(word) is None and word.lower() not in _WORDS for word in words):
        return None
    return "train" if found == {"train"} else "test" if found == {"test"} else "val"


def begins(line: Line, text: str) -> bool:
    """True if a line without metrics announces an epoch or step: `Epoch 3`, `Learning iteration 7/99`."""
    if line.epoch is None and line.step is None:
        return False
    message = bare(text)
    first = _COUNT_WORD.search(message)
    if first is None or "improve" in text:
        return False
    before = re.findall(r"[a-z]+", message[: first.start()].lower())
    if not set(before) <= _HEADER_WORDS:
        return False
    return line.epoch is not None or _BEGINS.match(message[first.start() :]) is not None
