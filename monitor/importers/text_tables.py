"""Tables that a training prints as it goes: a header and a row for each epoch, or a box of names and numbers."""

from __future__ import annotations

import re
from typing import Final

from monitor.importers.text_lines import Line, is_metric

_EDGES: Final = ("|", "│", "┃")
_BAR: Final = re.compile(r"\d+%\|(?:[^|]*\|\s*(?P<n>\d+)/(?P<total>\d+))?.*")
"""A progress bar behind a row."""
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?%?|[-+]?(?:nan|inf)", re.IGNORECASE)
_COUNT: Final = re.compile(r"(\d+)(?:/(\d+))?")
_POSITIONS: Final = ("epoch", "epochs", "ep", "step", "steps", "iter", "iteration", "round")
_SIDE: Final = frozenset(
    {"time", "dur", "gpu_mem", "instances", "size", "img_size", "labels", "images", "class", "eta"}
)
_BOX: Final = re.compile(r"^\s*[|│┃](\s+[\w][\w ./@\-]*?)\s*[|│┃]\s*(\S*)\s*[|│┃]\s*$")
_RULE: Final = re.compile(r"^\s*[-+=─━┌┐└┘├┤┴┬]{6,}[-+=─━┌┐└┘├┤┴┬\s]*$")
_WIDE: Final = 4
"""Columns from which on a row of plain words that begins with a position is a header."""
_MEAN_OF_CLASSES: Final = "all"


class Tables:
    """Remembers the headers that rows belong to, the last of each kind; fed line by line.

    The header of the epochs and that of the classes are apart, since standard output and standard error, each with one
    of them, come in any order in a file.
    """

    def __init__(self) -> None:
        self._epochs: list[str] = []
        self._classes: list[str] = []
        self._box: dict[str, float] = {}
        self._section = ""

    def take(self, text: str) -> tuple[bool, Line | None]:
        """Whether a line is part of a table, and the point that is complete with it."""
        box = _BOX.match(text)
        if box is not None:
            self._fill(box[1], box[2])
            return True, None
        if _RULE.match(text):
            return True, self._boxed() if self._box else None
        bar = _BAR.search(text)
        cells = _cells(text if bar is None else text[: bar.start()])
        if _is_header(cells):
            names = _losses([_name(cell) for cell in cells])
            if names[0] == "class":
                self._classes = names
            else:
                self._epochs = names
            return True, None
        row = self._row(cells) if cells else None
        if row is not None and bar is not None and bar["n"]:
            row.n, row.total, row.bar = int(bar["n"]), int(bar["total"]), True
        return row is not None, row

    def _row(self, cells: list[str]) -> Line | None:
        line = Line(counts=True)
        count = _COUNT.fullmatch(cells[0])
        names = self._classes if count is None else self._epochs
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
            if name not in _SIDE and _NUMBER.fullmatch(cell):
                line.cells[f"val_{name}" if line.held_out else name] = float(cell.rstrip("%"))
        return line if line.cells else None

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
            if last in ("total_timesteps", "timesteps", "step", "steps", "epoch", "iteration"):
                if last == "epoch":
                    line.epoch = value
                elif line.step is None or "timesteps" in last:
                    line.step = int(value)
            elif not name.startswith("time/") and last not in _SIDE:
                line.cells[name] = value
        return line if line.counts else None


def _cells(text: str) -> list[str]:
    """The cells of a row: between bars where it has them at both ends, else between blanks."""
    plain = text.strip()
    if plain[:1] in _EDGES and plain[-1:] in _EDGES:
        return [cell.strip() for cell in re.split(r"[|│┃]", plain[1:-1])]
    return plain.split()


def _name(cell: str) -> str:
    """A column's name: `Box(P` of Ultralytics is its `P`, `mAP50-95):` the last of those in the bracket."""
    return re.sub(r"^\w+\((?=\w+$)", "", cell).strip("(): ").replace(" ", "_").lower()


def _losses(names: list[str]) -> list[str]:
    """YOLO's terms of the loss by their full names: the columns from the memory to the number of labels."""
    end = next((at for at, name in enumerate(names) if name in ("labels", "instances", "targets")), 0)
    if "gpu_mem" not in names[:end]:
        return names
    begin = names.index("gpu_mem") + 1
    return [f"{name}_loss" if begin <= at < end and "loss" not in name else name for at, name in enumerate(names)]


def _is_header(cells: list[str]) -> bool:
    """True for a row of names that begins with a position, or with the classes that the other columns are about."""
    if len(cells) < 2 or any(not cell or _NUMBER.fullmatch(cell) for cell in cells):
        return False
    names = [_name(cell) for cell in cells]
    if names[0] == "class":
        return names[1] == "images"
    known = names[0] in _POSITIONS and (len(names) >= _WIDE or any(map(is_metric, names)))
    return known and all(re.fullmatch(r"[\w./@:\-]+", name) for name in names)
