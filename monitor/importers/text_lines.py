"""One line of a training's text log: the names and numbers in it, and where in the training it stands.

There is no pattern for each framework. A metric is a name, a separator and a number; a position is one of a few words
and a whole number (`epoch 3/10`, `Iter [50/7330]`, `step=100`), a count in brackets, or a bar. A line counts where it
holds a metric: what configuration dumps and sentences hold beside it is left alone.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from monitor.directions import rises
from monitor.roles import Role, role_of, role_of_set

Set = Literal["train", "val", "test"]

_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?i:nan|inf(?:inity)?)"
_WHOLE: Final = r"\d{1,3}(?:,\d{3})+|\d+"
_WORD: Final = r"[A-Za-z_][\w./@\-]*(?:(?<=@)[\d.]+:[\d.]+|(?<=@[\d]\.[\d]):\d*\.\d+|(?<=@\.\d):\d*\.\d+)?(?:'s)?"
ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_TIME: Final = re.compile(
    r"(?P<date>\d{4}[-/]\d\d[-/]\d\d)[T ,]+(?P<clock>\d\d:\d\d:\d\d)(?P<part>[.,]\d+)?"
    r"|\b\d\d[/-]\d\d[ -]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?"
    r"|(?<![\w/.-])[\w/-]*(?:\.[\w/-]+)*\.(?:py|cpp|cc|cu|c|h|go|rs|lua)(?::\d+|\(\d+\))?"
    r"|(?<![\w.])(?:\d+ days?, )?\d+:\d\d(?::\d\d)?(?:[.,]\d+)?(?![\w.])|\b[IWEF]\d{4}\b|\d{4}-\d\d-\d\d"
)
"""Dates, times of day, durations and places in source code: none of their numbers is a metric."""
_EPOCH: Final = re.compile(
    r"(?<![A-Za-z_])(?:(?P<before>train|val|valid|test)[_ ])?(?:epochs?|ep)(?:\((?P<set>\w+)\))?(?:_idx|_num)?['\"]?\s*"
    r"(?:no\.?|\#|:|=)?\s*[\[(]?\s*(?P<at>\d+(?:\.\d+)?)(?:\s*(?:/|of)\s*(?P<of>\d+))?\s*[\])]?"
    r"(?!\.?\d*\s*(?:s|sec|seconds|ms|min)\b)(?![\w%]|\.\d)"
    r"(?:[\s,:|]*\[\s*(?P<n>\d+)\s*/\s*(?P<total>\d+)(?:\s*\(\s*\d+(?:\.\d+)?\s*%\))?\s*\])?",
    re.IGNORECASE,
)
_STEP: Final = re.compile(
    rf"(?<![A-Za-z_])(?P<name>global[_ ]?steps?|num_updates|(?:num_|total_|current_)?(?:time)?steps?|iterations?|"
    rf"iters?|it|updates?|(?:mini)?batch(?:es|_idx)?)['\"]?\s*(?:no\.?|\#|:|=)?\s*[\[(]?\s*"
    rf"(?P<at>{_WHOLE})(?:\s*(?:/|of)\s*(?P<of>{_WHOLE}))?(?!\.?\d*\s*(?:s|sec|seconds|ms|it/s)\b)(?![\w%]|\.\d)",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(r"minibatch(?:es)?\s+(?P<first>\d+)-(?P<at>\d+)", re.IGNORECASE)
_CAPTION: Final = re.compile(
    r"(?P<set>train(?:ing)?|val(?:id(?:ation)?)?|eval(?:uation)?|test(?:ing)?)\s*:?\s*(?P<epoch>\d+)?\s*"
    r"\[\s*(?P<n>\d+)\s*/\s*(?P<total>\d+)[^\]]*\]",
    re.IGNORECASE,
)
_EPOCH_AND_BATCH: Final = re.compile(
    r"\[ ?(?P<epoch>\d+) ?/ ?(?P<epochs>\d+) ?(?:\] ?\[|,) ?(?P<n>\d+) ?/ ?(?P<total>\d+) ?\]"
)
"""`[0/5][100/1583] Loss_D: 1.7`, `[1/10, 20/100] Loss = 1.7`."""
_BAR: Final = re.compile(r"(?<![\w./])(?P<n>\d+)\s*/\s*(?P<total>\d+)(?![\w./])")
_BAR_MARK: Final = re.compile(r"%\||it/s|s/it|/step\b|\[[=>.\-#\s]{5,}\]|[━╸╺█▏▎▍▌▋▊▉]|\bETA\b")
_COUNTED: Final = re.compile(r"\s*(?:batches|steps|iters|iterations)\b", re.IGNORECASE)
_OF_EPOCHS: Final = re.compile(r"epochs?\s*:?\s*(?:\d+%\|?[^|]*\|?)?\s*$", re.IGNORECASE)
_LEADING: Final = re.compile(
    r"^\s*(?:\[(?P<at>\d+)\](?!\s*\[)|(?P<plain>\d+):|\[\s*(?P<epoch>\d+)\s*,\s*(?P<batch>\d+)\s*\])\s+(?=[A-Za-z])"
)
"""`[10]  train-rmse:0.5` of XGBoost and LightGBM, `10:  learn: 0.5` of CatBoost, `[3,  2000] loss: 0.5`."""
_PAIR: Final = re.compile(
    rf"(?<![\w./@\-])(?P<name>{_WORD}(?:[ ]{_WORD}){{0,3}}) ?(?:\([\w \-]{{1,20}}\) ?)?['\"]?"
    rf"(?P<sep> ?(?:[:=]|->|=>)+ ?| | ?\| ?)[\['\"(]{{0,3}} ?(?P<value>{_NUMBER})"
    r"(?P<unit>%|(?:/\s?\d+(?:\.\d+)?)|[A-Za-z]+(?:/[A-Za-z]+)?)?(?![\w.]*\w)"
)
_BLANKS: Final = re.compile(r"\s+")
_AVERAGE: Final = re.compile(rf"\s*\(\s*(?P<value>{_NUMBER})\s*\)")
_IS: Final = re.compile(
    rf"(?P<name>loss|objective function|log-prob(?:ability)?|perplexity|accuracy)\b[^:=|;\d]{{0,40}}?"
    rf"(?:for minibatches [\d\-]+ )?\bis\s+(?P<value>{_NUMBER})(?![\w.]*\w)",
    re.IGNORECASE,
)
_WORTH: Final = re.compile(r"\d|(?i:nan|inf)\b")
"""What a line must have to be looked at."""
_AGAIN: Final = "\x00"
"""Stands for a time stamp: behind the first metric it begins what another process wrote into the line."""
_SET: Final = re.compile(r"[A-Za-z]+")
_SETS: Final[dict[str, Set]] = {"test": "test", "testing": "test"}
_TERMS: Final = frozenset({
    "objective", "entropy", "xent", "avgloss", "avgxent", "cost", "ppl", "reward", "gnorm", "grad", "norm", "lr",
})  # fmt: skip
_SIDE: Final = frozenset({
    "time", "eta", "elapsed", "remaining", "sec", "secs", "seconds", "ms", "duration", "runtime", "dur", "mem",
    "memory", "date", "gb", "mb", "wall", "speed", "throughput", "second", "tps", "wps", "ups", "fps", "mfu",
    "pid", "rank", "seed", "gpu", "device", "size", "samples", "world", "port", "params", "parameters", "workers",
    "version", "v_num", "data", "batches", "hours", "hour", "minutes", "min", "dt", "took", "num", "norm_fn",
    "total", "line",
})  # fmt: skip
"""Last words of names that are measurements of the machine or settings: such numbers are no curves."""
_CONFIG: Final = frozenset({
    "weight", "weights", "scale", "type", "coef", "coeff", "coefficient", "lambda", "alpha", "beta", "gamma", "eps",
    "epsilon", "margin", "ratio", "fn", "func", "function", "name", "smoothing", "patience", "threshold", "delta",
    "every", "freq", "interval", "window", "clip", "best", "lowest", "highest", "previous", "prev", "improved", "old",
    "target", "goal", "max", "decay", "factor", "warmup", "k", "layers", "reduction", "num", "start", "begin", "id",
})  # fmt: skip
"""Words that make a setting, or something told again, of what would be a metric: `loss_weight`, `best val loss`."""
_DUMP: Final = re.compile(
    r"(?i)namespace\(|batch_?size\b|weight_?decay|num_?workers|optimi[sz]er['\"]?\s*[:=]|hidden_?(?:size|dim)|save_?dir|"
    r"patience"
)
_SUMMARY: Final = re.compile(r"train_runtime")
"""Of Transformers' last line, whose `train_loss` is a mean over the training, not a point."""
_TOLD_AGAIN: Final = frozenset({"best", "lowest", "highest", "previous", "prev", "improved", "old"})
_CLOCKS: Final = frozenset({"time", "eta", "elapsed", "remaining", "timestamp"})
_CAMEL: Final = re.compile(r"(?<=[a-z]{2})(?=[A-Z][a-z])")
_FROM: Final = frozenset({"from", "to", "than", "below", "above", "under", "over", "best", "was"})
"""Words before a number that is not the metric's own value now: `improved from 0.5 to 0.4`."""
_FILLERS: Final = frozenset({
    "with", "at", "and", "the", "for", "of", "a", "an", "in", "on", "is", "avg", "average", "mean", "running",
    "current", "final", "epoch", "step", "set", "iter", "iteration", "info", "finished", "done", "after", "has",
    "got", "overall", "summary", "phase", "batch", "total_", "end", "debug", "results", "result", "metrics",
    "dataset", "subset", "now", "log", "print", "from", "to", "by", "my",
})  # fmt: skip


@dataclass(slots=True)
class Line:
    """What one line, or one state of a bar, says.

    Attributes:
        cells: metrics by name, in the line's order; the names of held-out sets say so.
        counts: True where a metric is among them, so that the line is a point of the curves.
        epoch, epochs: the epoch, perhaps fractional, and of how many.
        step, steps: the step by a word for it, and of how many.
        n, total: how far a bar, or a count in brackets, is.
        firm: it holds a loss, or says where it stands; else it may be anything, such as a final report.
        of: the set that its last part is about.
        held_out: the line is about a set that is not trained on.
        bar: it is a state of a progress bar.
        time_ms: its time stamp, milliseconds since the epoch; 0 without one.
    """

    cells: dict[str, float] = field(default_factory=dict)
    counts: bool = False
    firm: bool = False
    of: Set | None = None
    epoch: float | None = None
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    n: int | None = None
    total: int | None = None
    held_out: bool = False
    bar: bool = False
    time_ms: int = 0

    @property
    def placed(self) -> bool:
        """True where it says where in the training it stands."""
        return not self.epoch is self.step is self.n is None


def read_line(text: str) -> Line:
    """Read a line without control codes.

    >>> line = read_line("[2024-03-01 10:00:00,123][main][INFO] - Epoch 3/10 | train loss 0.41 | val loss: 0.52")
    >>> line.epoch, line.epochs, line.cells
    (3.0, 10, {'train_loss': 0.41, 'val_loss': 0.52})
    >>> read_line("Namespace(batch_size=32, lr=0.1, loss_weight=0.5)").counts
    False
    """
    line = Line()
    text = _BLANKS.sub(" ", text)
    if not _WORTH.search(text):
        return line
    text = _TIME.sub(lambda found: _stamp(found, line), text)
    text, caption = _position(text, line)
    _metrics(text, caption, line)
    return line


@functools.lru_cache(maxsize=4096)
def set_of(word: str) -> Set | None:
    """The set that a word names: `valid` and `eval` are the validation set, `test` may be it or a later test.

    >>> set_of("Training"), set_of("valid"), set_of("Test"), set_of("loss")
    ('train', 'val', 'test', None)
    """
    low = word.lower().removesuffix("'s")
    if low in _SETS:
        return _SETS[low]
    role = role_of_set(low) if low.isalpha() else None
    return "train" if role is Role.TRAIN else "val" if role is Role.VAL else None


@functools.lru_cache(maxsize=4096)
def is_metric(name: str) -> bool:
    """True for the name of something that a training is judged by, and that is no setting."""
    words = [word for word in re.split(r"[^a-z0-9]+", _CAMEL.sub("_", name).lower()) if word]
    if not words or words[-1] in _SIDE or not _CONFIG.isdisjoint(words):
        return False
    return rises(name) is not None or role_of(name) in (Role.TRAIN, Role.VAL) or words[-1] in ("objective", "loss")


@functools.lru_cache(maxsize=4096)
def is_loss(name: str) -> bool:
    """True for a metric that a training minimises, by its name."""
    return is_metric(name) and (rises(name) is False or role_of(name) in (Role.TRAIN, Role.VAL))


def _stamp(found: re.Match[str], line: Line) -> str:
    if found["date"] and not line.time_ms:
        try:
            text = f"{found['date'].replace('/', '-')}T{found['clock']}{(found['part'] or '').replace(',', '.')[:7]}"
            line.time_ms = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
        except ValueError:
            pass
    return f" {_AGAIN} " if found["date"] else " ~ "


def _position(text: str, line: Line) -> tuple[str, Set | None]:
    """Take out what says where the line stands; the rest of the text, and the set that a caption named."""
    caption: Set | None = None
    found = _EPOCH_AND_BATCH.search(text)
    if found is not None:
        line.epoch, line.epochs = float(found["epoch"]), int(found["epochs"])
        line.n, line.total = int(found["n"]), int(found["total"])
        return f"{text[: found.start()]} ~ {text[found.end() :]}", None
    found = _CAPTION.search(text)
    if found is not None and (caption := set_of(found["set"])):
        line.epoch = float(found["epoch"]) if found["epoch"] else None
        line.n, line.total = int(found["n"]), int(found["total"])
        text = f"{text[: found.start()]} ~ {text[found.end() :]}"
    found = _EPOCH.search(text)
    if found is not None:
        line.epoch, line.epochs = float(found["at"]), _int(found["of"])
        if found["n"]:
            line.n, line.total = int(found["n"]), int(found["total"])
        caption = caption or set_of(found["set"] or found["before"] or "")
        text = f"{text[: found.start()]} ~ {text[found.end() :]}"
    found = _RANGE.search(text) or _STEP.search(text)
    if found is not None:
        groups = found.groupdict()
        line.step, line.steps = _int(found["at"]), _int(groups.get("of"))
        if groups.get("first"):
            line.step = (line.step or 0) + 1
        text = f"{text[: found.start()]} ~ {text[found.end() :]}"
    found = _LEADING.match(text) if line.step is line.epoch is None else None
    if found is not None:
        line.step = int(found["at"] or found["plain"] or found["batch"])
        line.epoch = float(found["epoch"]) if found["epoch"] else None
        text = text[found.end() :]
    return _bar(text, line), caption


def _bar(text: str, line: Line) -> str:
    """Take out a bar and what it counts, such as `50/500 [00:10<01:30, 5.0it/s`."""
    found = _BAR.search(text)
    if found is None or line.n is not None or int(found["n"]) > int(found["total"]):
        return text
    marked = _BAR_MARK.search(text) is not None
    head, tail = text[: found.start()], text[found.end() :]
    bracket = head.rstrip().endswith(("[", "(")) or _COUNTED.match(tail)
    named = re.search(r"[A-Za-z)]\s*[:=]?\s*$", head)
    if not marked and not bracket and (line.epoch is None or named):
        return text
    n, total = int(found["n"]), int(found["total"])
    if line.epoch is None and _OF_EPOCHS.search(head):
        line.epoch, line.epochs = float(n), total
    elif (
        re.search(r"\] *\{['\"]", tail) and line.step is None
    ):  # the bar of a whole training, and what was printed beside it
        line.step, line.steps = n, total
    else:
        line.n, line.total, line.bar = n, total, marked
    if marked:
        head = re.sub(r"\d+%\|?[^|]*\|?\s*$", "", head)
    return f"{head} ~ {tail}"


def _metrics(text: str, caption: Set | None, line: Line) -> None:
    sticky, metric = caption, False
    at = 0
    names: list[tuple[str, float]] = []
    dump = _DUMP.search(text) is not None
    for found in _IS.finditer(text):
        if "overall" in text[: found.start()].lower():
            continue
        names.append((found["name"].lower().replace(" ", "_"), float(found["value"])))
        metric = line.firm = True
    for found in () if names else _PAIR.finditer(text):
        if names and _AGAIN in text[at : found.start()]:
            break
        for word in _SET.findall(text[at : found.start()]):
            sticky = set_of(word) or sticky
        at = found.end()
        words = found["name"].split(" ")
        own = [set_of(word.strip(".-")) for word in words]
        sticky = next((each for each in reversed(own) if each), sticky)
        value = _value(found, words[-1])
        spaced = found["sep"].isspace()
        if spaced and not line.placed and all(own):
            continue  # a set and a number alone, as in a tree of settings: `val 2.0`
        name = _name(words, sticky, spaced=spaced)
        if value is None or name is None:
            continue
        average = _AVERAGE.match(text, at) if sticky in ("val", "test") and line.total else None
        value = float(average["value"]) if average else value
        floating = not found["value"].lstrip("+-").isdigit() or found["unit"] is not None
        metric = metric or (is_metric(name) and (floating or line.placed or sticky is not None))
        line.firm = line.firm or is_loss(name)
        names.append((name, value))
    line.held_out = sticky in ("val", "test") and all(not name.startswith("train") for name, _ in names)
    line.counts = metric and not (dump and not line.placed) and not _SUMMARY.search(text)
    if line.counts:
        for name, value in names:
            if line.bar or name not in line.cells:  # where the states of a bar ran together, the last one stands
                line.cells[name] = value
        line.firm = line.firm or line.placed or (sticky is not None and len(line.cells) > 1)
        line.of = sticky


def _name(words: list[str], sticky: Set | None, *, spaced: bool) -> str | None:
    """The series' name; None where the words name nothing that is kept.

    Args:
        words: those before the separator.
        sticky: the set that this part of the line is about.
        spaced: only a blank stands between name and number, so that the name must be a known one.
    """
    kept = [word.removesuffix("'s").strip(".-/") for word in words if set_of(word.strip(".:-")) is None]
    while kept and kept[0].lower().strip("-.") in _FILLERS:
        kept.pop(0)
    if spaced:
        kept = _known(kept)
        if not kept and set_of(words[-1]) is None:
            return None
    while len(kept) > 1 and kept[-1].lower() in _FILLERS:
        kept.pop()
    name = _CAMEL.sub("_", re.sub(r"[^\w/@.:\-]+", "_", "_".join(kept)).strip("_.-/:")).lower()
    if not name:
        return f"{sticky}_loss" if sticky is not None and set_of(words[-1]) else None
    parts = re.split(r"[_/.\-]", name)
    if parts[-1] in _SIDE or parts[-1] in ("epoch", "step", "epochs", "steps"):
        return None
    if not _CLOCKS.isdisjoint(parts) or not _TOLD_AGAIN.isdisjoint(parts):
        return None
    apart = sticky is None or role_of(name) in (Role.LR, Role.GRAD_NORM) or any(set_of(part) for part in parts)
    return name if apart else f"{sticky}_{name}"


def _known(words: list[str]) -> list[str]:
    """The end of a phrase that names a metric, with up to two words that say which; none where it names nothing."""
    if len(words) > 1 and words[-1].lower() in ("is", "of"):
        words = words[:-1]
    if not words or not _FROM.isdisjoint(word.lower() for word in words[-2:]):
        return []
    for i in range(len(words) - 1, max(-1, len(words) - 4), -1):
        if words[i].lower() in _FILLERS:
            return words[i + 1 :] if _is_term(words[i + 1 :]) else []
    kept = words[-3:]
    return kept if _is_term(kept) else []


def _is_term(words: list[str]) -> bool:
    """True for a metric, the learning rate or the gradient's norm."""
    name = "_".join(words)
    if not words:
        return False
    return words[-1].lower() in _TERMS or is_metric(name) or role_of(name) in (Role.LR, Role.GRAD_NORM)


def _value(found: re.Match[str], last: str) -> float | None:
    """The number of a pair; None for one with a unit of time or memory. A share, `98/100`, is taken as such."""
    value, unit = float(found["value"]), found["unit"]
    if unit is None or unit == "%":
        return value
    if unit.startswith("/"):
        of = float(unit[1:])
        return value / of if of and is_metric(last) and rises(last) else None
    return None


def _int(text: str | None) -> int | None:
    return None if text is None else int(text.replace(",", ""))
