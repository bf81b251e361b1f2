"""Reads tables that a training prints as it goes: a header and one row per epoch, or a box of names and numbers."""

from __future__ import annotations

import re
from typing import Final

from monitor.importers.names import counts
from monitor.importers.text_positions import Line
from monitor.importers.text_words import Set, is_metric, set_of

_EDGES: Final = ("|", "│", "┃")
_BAR: Final = re.compile(r"\d+%\|(?:[^|]*\|\s*(?P<n>\d+)/(?P<total>\d+))?.*")
"""A progress bar after a row."""
_COMMAS: Final = re.compile(r"\s*,\s*")
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?%?|[-+]?(?:nan|inf)", re.IGNORECASE)
_COUNT: Final = re.compile(r"(\d+)(?:/(\d+))?")
_POSITIONS: Final = ("epoch", "epochs", "ep", "step", "steps", "iter", "iteration", "round")
_SIDE: Final = frozenset(
    {"time", "dur", "gpu_mem", "instances", "size", "img_size", "labels", "images", "class", "eta"}
)
_BOX: Final = re.compile(r"^\s*[|│┃](\s+[\w][\w ./@\-]*?)\s*[|│┃]\s*(\S*)\s*[|│┃]\s*$")
_RULE: Final = re.compile(r"^\s*[-+=─━┌┐└┘├┤┴┬]{6,}[-+=─━┌┐└┘├┤┴┬\s]*$")
_WIDE: Final = 4
"""Columns from which a row of plain words that starts with a position is a header."""
_MEAN_OF_CLASSES: Final = "all"


class Tables:
    """Remembers the headers that rows belong to, the last of each kind. Must see every line in order.

    Headers for epochs and for classes are kept separately: one may come from standard output and the other from
    standard error, in any order.
    """

    def __init__(self) -> None:
        self._epochs: list[list[str]] = []
        self._classes: list[str] = []
        self._sets: list[Set] = []
        self._box: dict[str, float] = {}
        self._section = ""

    def take(self, text: str) -> tuple[bool, Line | None]:
        """True if a line is part of a table, and the point that it completes, if any."""
        box = _BOX.match(text)
        if box is not None:
            self._fill(box[1], box[2])
            return True, None
        if _RULE.match(text):
            return True, self._boxed() if self._box else None
        beside = self._of_sets(text) if text.count("|") else None
        if beside is not None:
            return beside
        bar = _BAR.search(text)
        plain = text if bar is None else text[: bar.start()]
        cells = _cells(plain)
        headers = [
            _losses(_counts([_name(cell) for cell in each])) for each in (cells, _columns(plain)) if _is_header(each)
        ]
        if headers and headers[0][0] == "class":
            self._classes = headers[0]
        elif headers:
            self._epochs = headers
        if headers:
            return True, None
        row = self._row(cells) if cells else None
        if row is not None and bar is not None and bar["n"]:
            row.n, row.total, row.bar = int(bar["n"]), int(bar["total"]), True
        return row is not None, row

    def _of_sets(self, text: str) -> tuple[bool, Line | None] | None:
        """Read a table with a row per metric and a column per data set, as AllenNLP prints; None for anything else."""
        first, *cells = [cell.strip() for cell in text.split("|")]
        sets = [set_of(cell.split()[-1]) for cell in (first, *cells) if cell]
        if len(sets) > 1 and None not in sets and len(cells) == len(sets) - 1:
            self._sets = [each for each in sets if each is not None]
            return True, None
        if not self._sets:
            return None
        name = first.split()[-1] if first else ""
        if len(cells) != len(self._sets) or not is_metric(name):
            return None
        pairs = zip(self._sets, cells, strict=True)
        line = Line(
            counts=True, cells={f"{of}_{name}": float(c.rstrip("%")) for of, c in pairs if _NUMBER.fullmatch(c)}
        )
        return True, line if line.cells else None

    def _row(self, cells: list[str]) -> Line | None:
        line = Line(counts=True)
        count = _COUNT.fullmatch(cells[0])
        names = self._classes if count is None else self._of_epochs(len(cells))
        if not names or len(cells) < len(names):
            return None
        if count is not None:
            at, of = int(count[1]), int(count[2]) if count[2] else None
            if names[0].startswith("ep"):
                line.epoch, line.epochs = float(at), of
            else:
                line.step, line.steps = at, of
        elif cells[0].lower() == _MEAN_OF_CLASSES:
            line.held_out = True
        else:
            return None
        for name, cell in zip(names[1:], cells[1:], strict=False):
            if name in _POSITIONS and cell.isdecimal():
                line.step = int(cell)
            elif name not in _SIDE and _NUMBER.fullmatch(cell):
                line.cells[f"val_{name}" if line.held_out else name] = float(cell.rstrip("%"))
        return line if line.cells else None

    def _of_epochs(self, many: int) -> list[str]:
        """The columns of an epoch row; names may contain blanks, so the header that has as many columns is used."""
        return next((names for names in self._epochs if len(names) == many), self._epochs[0] if self._epochs else [])

    def _fill(self, name: str, cell: str) -> None:
        plain = name.strip()
        if plain.endswith("/") and not cell:
            self._section = plain
            return
        if _NUMBER.fullmatch(cell):
            self._box[f"{self._section}{plain}".replace(" ", "_")] = float(cell.rstrip("%"))

    def _boxed(self) -> Line | None:
        found, self._box, self._section = self._box, {}, ""
        line = Line(counts=any(map(is_metric, found)))
        for name, value in found.items():
            last = name.rpartition("/")[2].lower()
            if counts(name) or last == "iteration":
                if last.startswith("ep"):
                    line.epoch = value
                elif line.step is None or value > line.step:  # environment steps are preferred over update steps
                    line.step = int(value)
            elif not name.startswith("time/") and last not in _SIDE:
                line.cells[name] = value
        return line if line.counts else None


def _columns(text: str) -> list[str]:
    """The cells of a header whose names contain blanks: separated by tabs, or by at least two blanks."""
    return [cell.strip() for cell in re.split(r"\t" if "\t" in text.strip() else r"\s{2,}", text.strip())]


def _counts(names: list[str]) -> list[str]:
    """Expand spaCy's column names `E` and `#`."""
    return ["epoch", "step", *names[2:]] if names[:2] == ["e", "#"] else names


def _cells(text: str) -> list[str]:
    """The cells of a row: between bars if it has them at both ends, else between commas or blanks."""
    plain = text.strip()
    if plain[:1] in _EDGES and plain[-1:] in _EDGES:
        return [cell.strip() for cell in re.split(r"[|│┃]", plain[1:-1])]
    return _COMMAS.split(plain) if "," in plain else plain.split()


def _name(cell: str) -> str:
    """A column's name; of Ultralytics' `Box(P` it is `P`, of `mAP50-95):` the part before the bracket."""
    return re.sub(r"^\w+\((?=\w+$)", "", cell).strip("(): ").replace(" ", "_").lower()


def _losses(names: list[str]) -> list[str]:
    """Full names for the columns between YOLO's memory and label columns, which are terms of the loss."""
    end = next((at for at, name in enumerate(names) if name in ("labels", "instances", "targets")), 0)
    if "gpu_mem" not in names[:end]:
        return names
    begin = names.index("gpu_mem") + 1
    return [f"{name}_loss" if begin <= at < end and "loss" not in name else name for at, name in enumerate(names)]


def _is_header(cells: list[str]) -> bool:
    """True for a row of names that starts with a position, or with YOLO's `class`."""
    if len(cells) < 2:
        return False
    first, second = _name(cells[0]), _name(cells[1])
    if first == "class":
        return second == "images"
    if first not in _POSITIONS and (first, second) != ("e", "#"):
        return False
    words = [word.strip(".,:;()[]") for cell in cells for word in cell.split()]
    if not all(cells) or any(map(_NUMBER.fullmatch, words)):
        return False  # a sentence, such as `Epoch 1: finished saving model to m.keras`
    names = _counts([_name(cell) for cell in cells])
    known = len(names) >= _WIDE or any(map(is_metric, names))
    return known and all(re.fullmatch(r"[\w./@:\-]+", name) for name in names)
