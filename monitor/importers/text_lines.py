"""Reads one line of a training's text log: metrics, and the position in the training.

There are no patterns for single frameworks. A metric is a name, a separator and a number. A position is one of a few
words with a whole number (`epoch 3/10`, `Iter [50/7330]`, `step=100`), a count in brackets, or a progress bar. A line
counts if it has a metric; configuration dumps and sentences are ignored.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from monitor.directions import rises
from monitor.importers.text_numbers import plain_numbers, plain_signs
from monitor.importers.text_positions import Line, position
from monitor.importers.text_words import (
    CAMEL,
    CLOCKS,
    FILLERS,
    FROM,
    TERMS,
    TOLD_AGAIN,
    is_loss,
    is_metric,
    is_side,
    set_of,
    subset,
)
from monitor.roles import Role, role_of

_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?i:nan|inf(?:inity)?)"
_WORD: Final = r"[A-Za-z_][\w./@\-]*(?:(?<=@)[\d.]+:[\d.]+|(?<=@[\d]\.[\d]):\d*\.\d+|(?<=@\.\d):\d*\.\d+)?(?:'s)?"
ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_TIME: Final = re.compile(
    r"(?P<date>\d{4}[-/]\d\d[-/]\d\d)[T ,]+(?P<clock>\d\d:\d\d:\d\d)(?P<part>[.,]\d+)?"
    r"|\b\d\d[/-]\d\d[ -]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?"
    r"|(?<![\w/.-])[\w/-]*(?:\.[\w/-]+)*\.(?:py|cpp|cc|cu|c|h|go|rs|lua)\b(?::\d+|\(\d+\))?"
    r"|(?<![\w/.-])[A-Za-z_][\w.]*:(?:[A-Za-z_<][\w.<>]*:\d+(?= +- )|\d+(?= +>> ))|\([A-Za-z_][\w.]*:\d+\)"
    r"|(?<![\w.])(?:\d+ days?, )?\d+:\d\d(?::\d\d)?(?:[.,]\d+)?(?![\w.])|\b[IWEF]\d{4}\b|\d{4}-\d\d-\d\d"
)
"""Dates, times, durations and source locations: their numbers are not metrics."""
_PAIR: Final = re.compile(
    rf"(?<![\w./@\-])(?P<name>{_WORD}(?:[ ]{_WORD}){{0,3}}) ?(?:\((?P<of>[\w \-]{{1,20}})\) ?)?['\"]?"
    rf"(?P<sep> ?(?:~ ?)?(?:[:=]|->|=>)+ ?| | ?\| ?)[\['\"(]{{0,3}} ?(?P<value>{_NUMBER})"
    r"(?P<unit>%|(?:/\s?\d+(?:\.\d+)?)|[A-Za-z]+(?:/[A-Za-z]+)?)?(?![\w.]*\w)"
)
_PRINTED: Final = re.compile(
    rf"\b(?:tensor|Array|DeviceArray|(?:np|numpy|jnp)\.\w+)\(\[?(?P<value>{_NUMBER})\]?(?:,(?:[^()]|\([^()]*\))*)?\)"
)
"""A number as printed by PyTorch, JAX and NumPy: `tensor(0.9, device='cuda:0')`."""
_ITEM: Final = re.compile(rf"\('(?P<name>[A-Za-z_][\w./ -]{{0,60}})', ?(?P<value>{_NUMBER})\)")
"""An item of an ordered dictionary: `OrderedDict([('loss', 0.9)])`."""
_BOTH: Final = re.compile(
    rf"(?:(?P<before>{_WORD}) ?\( ?)?(?<![\w/])(?P<one>[A-Za-z]+) ?/ ?(?P<other>[A-Za-z]+) ?\)?"
    rf"(?: (?P<after>{_WORD}))? ?[:=]? ?(?P<x>{_NUMBER}) ?/ ?(?P<y>{_NUMBER})(?![\w/])"
)
"""Two data sets and their two values: `train/val loss: 0.9 / 0.95`, `Loss (train/val): 0.9/0.95`."""
_NAMED_SETS: Final = re.compile(
    rf"(?<![\w/]){_WORD} ?[:=]? ?\(\s*[A-Za-z]+ ?[:=] ?(?:{_NUMBER})%?"
    rf"(?: ?[,;|] ?[A-Za-z]+ ?[:=] ?(?:{_NUMBER})%?)+\s*\)"
)
"""One metric of several data sets: `score=(train=0.94, test=0.92)`."""
_SUBSET: Final = re.compile(
    r"\b(?P<set>val|valid|validation|test|eval|dev) ?\((?P<name>[A-Za-z][\w-]*)\)(?= ?[:|])", re.IGNORECASE
)
"""One of several held-out sets: `val (clean): loss 0.5`."""
_LOSSES: Final = re.compile(r"\bloss(?:es)?:? ?\{(?P<inside>[^{}]*)\}", re.IGNORECASE)
"""Losses by component: `Losses {'ner': 12.5, 'tagger': 3.1}`."""
_KEY: Final = re.compile(r"['\"]?(?P<name>[A-Za-z_]\w*)['\"]?(?= ?[:=])")
_BOX: Final = re.compile(r"\|.*\|")
"""A row of a table."""
_MORE: Final = re.compile(r",? ?[-+]?(?:[\d.]|nan|inf)")
"""After a number in brackets, a sign that it starts a list."""
_BLANKS: Final = re.compile(r"\s+")
_AVERAGE: Final = re.compile(rf"\s*\(\s*(?P<value>{_NUMBER})\s*\)")
_IS: Final = re.compile(
    rf"(?P<name>loss|objective function|log-prob(?:ability)?|perplexity|accuracy|score(?= at ~))\b[^:=|;\d]{{0,40}}?"
    rf"(?:for minibatches [\d\-]+ )?\bis\s+(?P<value>{_NUMBER})(?![\w.]*\w)",
    re.IGNORECASE,
)
_OUTPUT: Final = re.compile(r"for '(?P<of>[\w-]+)'")
_WORTH: Final = re.compile(r"\d|(?i:nan|inf)\b")
"""Lines without any of these are skipped."""
_AGAIN: Final = "\x00"
"""Replaces a time stamp. After the first metric, it marks output of another process on the same line."""
_SPEED: Final = re.compile(r"(?:[\w.]+/)?(?:s|secs?|seconds?|ms|min|minutes|hours?)\.?", re.IGNORECASE)
"""The unit of the number before: `1000.0 samples/sec accuracy=0.65`, `30.1 s. Mean Reward: 1.2`."""
_SET: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_][A-Za-z0-9]+)*")
_PARTS: Final = re.compile(r"[^A-Za-z]+")
_DUMP: Final = re.compile(
    r"(?i)namespace\(|batch_?size\b|weight_?decay|num_?workers|optimi[sz]er['\"]?\s*[:=]|hidden_?(?:size|dim)|save_?dir|"
    r"patience"
)
_SUMMARY: Final = re.compile(r"train_runtime")
"""In Transformers' last line, whose `train_loss` is the mean over the training, not a point."""
_LISTED: Final = frozenset({"lr", "learning_rate", "lrs"})
"""Names whose value may be a list with one number per parameter group; the first is used."""
_AMOUNT: Final = re.compile(rf"(?P<value>{_NUMBER}) (?P<name>[A-Za-z]+(?: [A-Za-z]+)?)(?=,|$)")
_AMOUNTS: Final = re.compile(r"\s*(?P<at>\d+): ")
_AMOUNT_NAMES: Final = {"avg": "avg_loss", "avg loss": "avg_loss", "rate": "lr"}


def read_line(text: str) -> Line:
    """Read a line without control codes.

    >>> line = read_line("[2024-03-01 10:00:00,123][main][INFO] - Epoch 3/10 | train loss 0.41 | val loss: 0.52")
    >>> line.epoch, line.epochs, line.cells
    (3.0, 10, {'train_loss': 0.41, 'val_loss': 0.52})
    >>> read_line("Namespace(batch_size=32, lr=0.1, loss_weight=0.5)").counts
    False
    """
    line = Line()
    text = _BLANKS.sub(" ", plain_signs(text))
    if not _WORTH.search(text):
        return line
    for sign, pattern, plainly in _REWRITES:
        if sign in text:
            text = pattern.sub(plainly, text)
    text = _TIME.sub(lambda found: _stamp(found, line), text)
    text, caption = position(text, line)
    text = plain_numbers(text)
    if text.count("/") > 1:
        text = _BOTH.sub(_each, text)
    _metrics(_BLANKS.sub(" ", text), caption, line)
    if not line.counts:
        _amounts(text, line)
    elif line.led is not None and line.step is line.n is None and not any(map(_is_held_out, line.cells)):
        line.step, line.led = line.led, None  # a batch number, not the index of a summary per epoch
    return line


def _is_held_out(name: str) -> bool:
    return any(set_of(part) not in (None, "train") for part in re.split(r"[_/.\-]", name))


def _stamp(found: re.Match[str], line: Line) -> str:
    if found["date"] and not line.time_ms:
        try:
            text = f"{found['date'].replace('/', '-')}T{found['clock']}{(found['part'] or '').replace(',', '.')[:7]}"
            line.time_ms = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
        except ValueError:
            pass
    return f" {_AGAIN} " if found["date"] else " ~ "


def _each(found: re.Match[str]) -> str:
    """Separate two data sets and their values."""
    name = found["after"] or found["before"]
    if name is None or set_of(found["one"]) is None or set_of(found["other"]) is None:
        return found[0]
    return f"{found['one']} {name}: {found['x']} {found['other']} {name}: {found['y']}"


def _as_loss(found: re.Match[str]) -> str:
    return found["name"] if is_metric(found["name"]) else f"{found['name']}_loss"


def _by_sets(found: re.Match[str]) -> str:
    """Separate the values of one metric by data set."""
    metric, _, inside = found[0].partition("(")
    names = [key["name"] for key in _KEY.finditer(inside)]
    if not all(map(set_of, names)):
        return found[0]
    return _KEY.sub(rf"\g<name>_{metric.strip(' :=')}", inside.rstrip(" )"))


_REWRITES: Final[tuple[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    ("(", _PRINTED, r"\g<value>"),
    ("(", _SUBSET, r"\g<set>-\g<name>"),
    ("('", _ITEM, r"'\g<name>': \g<value>"),
    ("(", _NAMED_SETS, _by_sets),
    ("{", _LOSSES, lambda found: _KEY.sub(_as_loss, found["inside"])),
)
"""Notations that are written as pairs of a name and a number: a sign that they have, the pattern, the replacement."""


def _metrics(text: str, caption: str | None, line: Line) -> None:
    sticky, at = caption, 0
    bare: dict[str, str] = {}
    dump = _DUMP.search(text) is not None
    names = _sentences(text)
    metric = line.firm = bool(names)
    for found in () if names else _PAIR.finditer(text):
        if names and _AGAIN in text[at : found.start()]:
            break
        for word in _SET.findall(text[at : found.start()]):
            sticky = subset(word) or next(filter(None, map(set_of, reversed(_PARTS.split(word)))), sticky)
        at = found.end()
        words = found["name"].split(" ")
        own = [set_of(word.strip(".-")) for word in words]
        sticky = set_of(found["of"]) if found["of"] and set_of(found["of"]) else sticky
        sticky = next((each for each in reversed(own) if each), sticky)
        sticky = next(filter(None, map(subset, words[:-1])), sticky)
        listed = "[" in text[found.end("sep") : found.start("value")] and _MORE.match(text, at) is not None
        value = None if listed and words[-1].lower() not in _LISTED else _value(found, words[-1])
        spaced = found["sep"].isspace()
        if all(own) and (("|" in found["sep"] and _BOX.fullmatch(text.strip())) or (spaced and not line.placed)):
            continue  # a data set and a number alone, as in a table of layers or a tree of settings: `val 2.0`
        name = _name(tuple(words), sticky, spaced=spaced)
        if bare and words[-1].lower() == "best" and value is not None:
            line.best = value
        if value is None or name is None:
            continue
        if all(own):
            bare[name] = str(sticky)
        average = _AVERAGE.match(text, at) if sticky not in (None, "train") and line.total else None
        value = float(average["value"]) if average else value
        floating = not found["value"].lstrip("+-").isdecimal() or found["unit"] is not None
        metric = metric or (is_metric(name) and (floating or line.placed or sticky is not None))
        line.firm = line.firm or is_loss(name)
        names.append((name, value))
    if any(is_loss(name) and name not in bare for name, _ in names):  # then a data set alone is another quantity
        names = [(bare.get(name, name), value) for name, value in names]
    if not line.bar and line.epoch is not None and line.step is not None:  # a row of training numbers
        metric = metric or sum(not value.is_integer() for _, value in names) > 1
    line.held_out = sticky not in (None, "train") and not any(
        name.startswith("train") or (is_loss(name) and name not in bare and not _is_held_out(name)) for name, _ in names
    )
    line.counts = metric and not (dump and not line.placed) and not _SUMMARY.search(text)
    if line.counts:
        for name, value in names:
            if line.bar or name not in line.cells:  # if states of a bar ran together, the last one counts
                line.cells[name] = value
        line.firm = line.firm or line.placed or (sticky is not None and len(line.cells) > 1)
        line.of = sticky


def _sentences(text: str) -> list[tuple[str, float]]:
    """Metrics in sentences: `Average objective function for 'output' is -2.3`, `Score at iteration 10 is 0.5`."""
    found = []
    for match in _IS.finditer(text):
        before = text[: match.start()].lower()
        if "overall" not in before and TOLD_AGAIN.isdisjoint(before.split()[-3:]):
            name = match["name"].lower().replace(" ", "_")
            of = _OUTPUT.search(match[0])
            if of is not None and of["of"].endswith("-xent"):
                continue  # regularises Kaldi's chain models; it is not their objective
            name = f"{name}_{of['of']}" if of is not None and of["of"] != "output" else name
            found.append(("loss" if name == "score" else name, float(match["value"])))  # DL4J calls its loss a score
    return found


def _amounts(text: str, line: Line) -> None:
    """Read numbers that precede their names, as Darknet prints: `1: 9.5, 9.1 avg loss, 0.001 rate, 3.1 seconds`."""
    found = _AMOUNTS.match(text)
    names = {each["name"].strip().lower(): float(each["value"]) for each in _AMOUNT.finditer(text)} if found else {}
    if found is not None and not names.keys().isdisjoint(("avg", "avg loss")) and len(names) > 2:
        line.step, line.counts, line.firm = int(found["at"]), True, True
        line.cells = {_AMOUNT_NAMES[name]: value for name, value in names.items() if name in _AMOUNT_NAMES}


def move(line: Line, which: str) -> None:
    """Assign a line's metrics to a data set that another line named."""
    line.cells = {_of_set(name, which): value for name, value in line.cells.items()}
    line.held_out, line.of = True, which


@functools.lru_cache(maxsize=4096)
def _of_set(name: str, which: str | None) -> str:
    """A metric's name with its data set added, unless it has one."""
    if which is None or role_of(name) in (Role.LR, Role.GRAD_NORM):
        return name
    return name if any(set_of(part) for part in re.split(r"[_/.\-]", name)) else f"{which}_{name}"


@functools.lru_cache(maxsize=4096)  # a log has few names and many lines
def _name(words: tuple[str, ...], sticky: str | None, *, spaced: bool) -> str | None:
    """The name of a series; None if the words name nothing to keep.

    Args:
        words: the words before the separator.
        sticky: the data set that this part of the line is about.
        spaced: True if only a blank separates name and number; then the name must be a known one.
    """
    kept = [word.removesuffix("'s").strip(".-/") for word in words if set_of(word.strip(".:-")) is None]
    while kept and (kept[0].lower().strip("-.") in FILLERS or _SPEED.fullmatch(kept[0])):
        kept.pop(0)
    if spaced:
        kept = _known(kept)
        if not kept and set_of(words[-1]) is None:
            return None
    while len(kept) > 1 and kept[-1].lower() in FILLERS:
        kept.pop()
    name = CAMEL.sub("_", re.sub(r"[^\w/@.:\-]+", "_", "_".join(kept)).strip("_.-/:")).lower()
    if not name:
        return f"{sticky}_loss" if sticky is not None and set_of(words[-1]) else None
    parts = re.split(r"[_/.\-]", name)
    if is_side(parts) or (parts[-1] in ("epoch", "step", "epochs", "steps") and not is_metric(name)):
        return None
    if not CLOCKS.isdisjoint(parts) or not TOLD_AGAIN.isdisjoint(parts):
        return None
    return _of_set(name, sticky)


def _known(words: list[str]) -> list[str]:
    """The end of a phrase that names a metric, with up to two qualifying words; empty if it names none."""
    if len(words) > 1 and words[-1].lower() in ("is", "of"):
        words = words[:-1]
    if not words or not FROM.isdisjoint(word.lower() for word in words[-2:]):
        return []
    for i in range(len(words) - 1, max(-1, len(words) - 4), -1):
        if words[i].lower() in FILLERS:
            return words[i + 1 :] if _is_term(words[i + 1 :]) else []
    kept = words[-3:]
    return kept if _is_term(kept) else []


def _is_term(words: list[str]) -> bool:
    """True for a metric, the learning rate or the gradient norm."""
    name = "_".join(words)
    if not words:
        return False
    return words[-1].lower() in TERMS or is_metric(name) or role_of(name) in (Role.LR, Role.GRAD_NORM)


def _value(found: re.Match[str], last: str) -> float | None:
    """The number of a pair; None if its unit is time or memory. A ratio such as `98/100` is divided."""
    value, unit = float(found["value"]), found["unit"]
    if unit is None or unit == "%":
        return value
    if unit.startswith("/"):
        of = float(unit[1:])
        return value / of if of and is_metric(last) and rises(last) else None
    return None
