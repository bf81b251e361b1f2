"""Finds the position of a log line in the training: epoch, step, progress bar."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from monitor.importers.text_words import Set, set_of

_WHOLE: Final = r"\d{1,3}(?:[,_]\d{3})+|\d+(?:\.\d+)?[kKM](?!\w)|\d+"
_MULTIPLES: Final = {"k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
"""The meaning of the suffixes in `2.5k`, `1M` and `0.5B`."""
_UNITS: Final = r"(?!\.?\d*\s*(?:s|sec|seconds|ms|min)\b)(?![\w%]|\.\d)"
"""What may not follow the number of a position: a unit of time, a percent sign, a fraction."""
_EPOCH: Final = re.compile(
    r"(?<![A-Za-z_])(?:(?P<before>train|val|valid|test|eval)[_ ])?(?:epochs?|ep)(?:\((?P<set>\w+)\))?(?:_idx|_num)?"
    r"['\"]?\s*(?:no\.?|\.{1,3}|\#\s?[:=]?|:|=)?\s*['\"]?[\[(]?\s*(?P<at>\d+(?:\.\d+|,\d\d?(?!\d))?)(?:\s*(?:/|of)\s*(?P<of>\d+))?\s*[\])]?"
    rf"{_UNITS}"
    r"(?:[\s,:|]*\[\s*(?P<n>\d+)\s*/\s*(?P<total>\d+)(?:\s*\(\s*\d+(?:\.\d+)?\s*%\))?\s*\])?",
    re.IGNORECASE,
)
_ORDINAL: Final = re.compile(r"(?<![\w.])(?P<at>\d+)(?:(?:st|nd|rd|th)[ -]?)?epoch\b", re.IGNORECASE)
"""`1epoch`, `2nd epoch`."""
_STEP: Final = re.compile(
    rf"(?<![A-Za-z_])(?P<name>global[_ ]?steps?|num_updates|(?:(?:num|total|current|env)_)?(?:time)?steps?(?:_total)?|"
    rf"iterations?|iters?|it|updates?|up(?=\.)|(?:mini)?batch(?:es|_idx)?|rounds?|episodes?|generations?)['\"]?\s*(?:no\.?|(?<!it)\.{{1,3}}|\#\s?[:=]?|:|=)?\s*['\"]?[\[(]?\s*"
    rf"(?P<at>{_WHOLE})(?:\s*(?:/|of)\s*(?P<of>{_WHOLE}))?(?!\.?\d*\s*it/s\b){_UNITS}",
    re.IGNORECASE,
)
_OF_ALL: Final = re.compile(
    r"global[_ ]?steps?|num_updates|(?:num_|total_)?timesteps(?:_total)?|env_steps", re.IGNORECASE
)
"""Names of steps counted across the whole training; preferred over others on the line."""
_COARSE: Final = re.compile(r"rounds?|episodes?|generations?", re.IGNORECASE)
"""Counts used only if the line has no finer one."""
_RANGE: Final = re.compile(
    r"minibatch(?:es)?\s+\d+-(?P<last>\d+)|(?<![\w.])\d+-(?P<at>\d+) ?(?:mini)?batch(?:es)?\b", re.IGNORECASE
)
"""`minibatches 0-99`, counted from 0; `1-200batch`, counted from 1."""
_AMOUNT: Final = r"\d{1,3}(?:[,_]\d{3})+|\d+(?:\.\d+)? ?[kKMB](?!\w)|\d+(?![\w.])"
_THINGS: Final = r"(?:tokens|samples|images|examples|sequences)"
_SEEN: Final = re.compile(
    rf"(?<![A-Za-z_/])(?:(?:num|total|trained|consumed|processed|seen)[_ ])?{_THINGS}"
    rf"(?:[_ ](?:seen|processed|trained|so far))?['\"]?\s*[:=]?\s*(?P<at>{_AMOUNT})"
    rf"|(?<![\w.])(?P<before>{_AMOUNT}) {_THINGS}\b(?! ?/| per\b)",
    re.IGNORECASE,
)
"""The amount of data seen, used if nothing else counts: `tokens: 65536`, `1.5B tokens`."""
_CAPTION: Final = re.compile(
    r"(?P<set>train(?:ing)?|val(?:id(?:ation)?)?|eval(?:uation)?|test(?:ing)?)\s*:?\s*(?P<epoch>\d+)?\s*"
    r"\[\s*(?P<n>\d+)\s*/\s*(?P<total>\d+)[^\]]*\]",
    re.IGNORECASE,
)
_EPOCH_AND_BATCH: Final = re.compile(
    r"\[ ?(?P<epoch>\d+) ?/ ?(?P<epochs>\d+) ?(?:\] ?\[|,) ?(?P<n>\d+) ?/ ?(?P<total>\d+) ?\]"
)
"""`[0/5][100/1583] Loss_D: 1.7`, `[1/10, 20/100] Loss = 1.7`."""
_BAR: Final = re.compile(r"(?<![\w./])(?P<n>\d+)(?P<it>it)?\s*/\s*(?P<total>\d+)(?(it)it)(?![\w./])")
_BAR_MARK: Final = re.compile(r"%\||it/s|s/it|/step\b|\[[=>.\-#\s]{5,}\]|[━╸╺█▏▎▍▌▋▊▉]|\bETA\b")
_DRAWN: Final = re.compile(r"%\|")
_COUNTED: Final = re.compile(r"\s*(?:batches|steps|iters|iterations)\b", re.IGNORECASE)
_OF_EPOCHS: Final = re.compile(r"epochs?\s*:?\s*(?:\d+%\|?[^|]*\|?)?\s*$", re.IGNORECASE)
_HELD_OUT: Final = re.compile(r"\b(?:val|eval|test|dev)[a-z]*\b", re.IGNORECASE)
"""Before `Epoch: 100%|###| 20/20`, marks the bar of an evaluation instead of the epochs."""
_LED: Final = re.compile(r"\s*(?P<number>\d{1,7}): +(?=\S)")
"""A number at the start of a line whose position is given in words: `0: step 10 loss 2.3`."""
_GLOG: Final = re.compile(r"^ ?~[^~]{0,40}~[^~]{0,20}~ \] ")
"""The rest of the absl and glog prefix `I0501 12:00:00.123456 140 train.py:88] ` without its times."""
_LEADING: Final = re.compile(
    r"^\s*(?:\[\s*(?P<at>\d+)\s*\]:?(?!\s*\[(?!(?:train|val|eval|test|dev)[a-z]*\]))|(?P<plain>\d+):|"
    r"\[\s*(?P<epoch>\d+)\s*,\s*(?P<batch>\d+)\s*\])\s+(?=\[?[A-Za-z])"
)
"""`[10]  train-rmse:0.5` of XGBoost and LightGBM, `10:  learn: 0.5` of CatBoost, `[3,  2000] loss: 0.5`."""


@dataclass(slots=True)
class Line:
    """The content of one line, or of one state of a bar.

    Attributes:
        cells: metrics by name, in the line's order; names of held-out sets include the set.
        counts: True if there is a metric, so that the line is a point of the curves.
        epoch, epochs: the epoch, perhaps fractional, and the total.
        step, steps: the step, if named by a word, and the total.
        n, total: the position of a bar, or of a count in brackets.
        firm: True if it has a loss or a position; otherwise it may be anything, such as a final report.
        of: the data set that its last part is about.
        held_out: True if it is about a data set that is not trained on.
        best: the best value so far of a metric named only by its set, as CatBoost prints it.
        bar: True if it is a state of a progress bar.
        led: a leading number on a line with a position in words: a process or a batch.
        seen: the number of tokens, samples or the like that it mentions.
        time_ms: its time stamp in ms since the Unix epoch; 0 if there is none.
        text, number: where it stands in the log.
    """

    cells: dict[str, float] = field(default_factory=dict)
    counts: bool = False
    firm: bool = False
    of: str | None = None
    epoch: float | None = None
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    n: int | None = None
    total: int | None = None
    held_out: bool = False
    best: float | None = None
    bar: bool = False
    led: int | None = None
    seen: int | None = None
    time_ms: int = 0
    text: str = ""
    number: int = 0

    @property
    def placed(self) -> bool:
        """True if it has a position in the training."""
        return not self.epoch is self.step is self.n is None


def position(text: str, line: Line) -> tuple[str, Set | None]:
    """Extract the position of a line. Returns the remaining text, and the data set named in a caption."""
    caption: Set | None = None
    found = _EPOCH_AND_BATCH.search(text)
    if found is not None:
        line.epoch, line.epochs = float(found["epoch"]), int(found["epochs"])
        line.n, line.total = int(found["n"]), int(found["total"])
        return _without(found, text), None
    found = _CAPTION.search(text)
    if found is not None and (caption := set_of(found["set"])):
        line.epoch = float(found["epoch"]) if found["epoch"] else None
        line.n, line.total = int(found["n"]), int(found["total"])
        text = _without(found, text)
    text, of = _epoch(text, line)
    caption = caption or of
    text = _step(text, line)
    if not line.step is line.epoch is None:
        found = _LED.match(text)
        line.led = int(found["number"]) if found is not None else None
        return _bar(text if found is None else text[found.end() :], line), caption
    found = _LEADING.match(_GLOG.sub("", text))
    if found is not None:
        line.step = int(found["at"] or found["plain"] or found["batch"])
        line.epoch = float(found["epoch"]) if found["epoch"] else None
        text = _GLOG.sub("", text)[found.end() :]
    elif (found := _SEEN.search(text)) is not None:
        line.seen = _int(found["at"] or found["before"])
    return _bar(text, line), caption


def _epoch(text: str, line: Line) -> tuple[str, Set | None]:
    """Extract the epoch, and a count of batches after it."""
    found = _EPOCH.search(text)
    if found is None:
        found = _ORDINAL.search(text)
        if found is None:
            return text, None
        line.epoch = float(found["at"])
        return _without(found, text), None
    line.epoch, line.epochs = float(found["at"].replace(",", ".")), _int(found["of"])
    if found["n"]:
        line.n, line.total = int(found["n"]), int(found["total"])
        line.bar = _DRAWN.search(text) is not None
    return _without(found, text), set_of(found["set"] or found["before"] or "")


def _step(text: str, line: Line) -> str:
    """Extract the step; if there are several, that of the whole training."""
    found = _RANGE.search(text)
    if found is not None:
        line.step = int(found["at"] or found["last"]) + (found["at"] is None)
        return _without(found, text)
    all_of = list(_STEP.finditer(text))
    if not all_of:
        return text
    whole = next((each for each in all_of if _OF_ALL.fullmatch(each["name"])), None)
    chosen = whole or next((each for each in all_of if not _COARSE.fullmatch(each["name"])), all_of[0])
    line.step, line.steps = _int(chosen["at"]), _int(chosen["of"])
    for each in reversed(all_of if whole else [chosen]):
        text = _without(each, text)
    return text


def _without(found: re.Match[str], text: str) -> str:
    return f"{text[: found.start()]} ~ {text[found.end() :]}"


def _int(text: str | None) -> int | None:
    if text is None:
        return None
    plain = re.sub(r"[,_ ]", "", text)
    return int(plain) if plain[-1].isdecimal() else round(float(plain[:-1]) * _MULTIPLES[plain[-1].lower()])


def _bar(text: str, line: Line) -> str:
    """Extract a bar, such as `50/500 [00:10<01:30, 5.0it/s`."""
    found = _BAR.search(text)
    if found is None or line.n is not None or int(found["n"]) > int(found["total"]):
        return text
    marked = _BAR_MARK.search(text) is not None
    head, tail = text[: found.start()], text[found.end() :]
    bracket = head.rstrip().endswith(("[", "(")) or _COUNTED.match(tail) or (not head.strip() and tail[:1] == ":")
    named = re.search(r"[A-Za-z)]\s*[:=]?\s*$", head)
    if not marked and not bracket and (line.epoch is None or named):
        return text
    n, total = int(found["n"]), int(found["total"])
    if line.epoch is None and _OF_EPOCHS.search(head) and not _HELD_OUT.search(head):
        line.epoch, line.epochs, line.bar = float(n), total, marked
    elif (
        re.search(r"\] *\{['\"]", tail) and line.step is None
    ):  # the bar of a whole training, and what was printed next to it
        line.step, line.steps = n, total
    else:
        line.n, line.total, line.bar = n, total, marked
    if marked:
        head = re.sub(r"\d+%\|?[^|]*\|?\s*$", "", head)
    return f"{head} ~ {tail}"
