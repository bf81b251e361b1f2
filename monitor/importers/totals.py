"""Sums the terms of a loss whose total was not logged, such as YOLO's box, class and focal losses."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.roles import Role, Said, read
from monitor.roles.name import Group, Name, What, name_of
from monitor.wire import Columns

_NAMES: Final[Mapping[bool, str]] = {True: "train/loss", False: "val/loss"}
_LEAST: Final = 2  # a single term is not a sum


@dataclass(frozen=True, slots=True)
class Totals:
    """The points of a run including totals.

    Attributes:
        points: each sum comes after the last of its terms.
        keys: the series, totals last.
        attempts: the attempts, as indices into the new points.
        of: the terms of each total.
    """

    points: Columns
    keys: tuple[str, ...]
    attempts: tuple[int, ...]
    of: Mapping[str, Sequence[str]]


def with_totals(keys: tuple[str, ...], points: Columns, attempts: tuple[int, ...], said: Said) -> Totals:
    """Add the sum of the terms of the training loss, and of the validation loss if it has the same terms.

    Nothing is added if a total was logged, if the user named the loss, or if the losses are of a game. At a step where
    a term is missing there is no sum.

    Args:
        keys: names of the series.
        attempts: indices into `points`.
    """
    of = {name: terms for name, terms in _terms(keys, said).items() if name not in keys}
    if not of:
        return Totals(points, keys, attempts, {})
    found: list[tuple[int, int, float]] = []  # (index of the point before it, series, sum)
    for i, terms in enumerate(of.values(), start=len(keys)):
        found += [(at, i, total) for at, total in _sums([keys.index(term) for term in terms], points, attempts)]
    found.sort()
    at = np.array([at for at, _, _ in found], np.int64)
    columns = Columns(
        np.insert(points.key, at + 1, np.array([key for _, key, _ in found], np.uint16)),
        np.insert(points.step, at + 1, points.step[at]),
        np.insert(points.value, at + 1, np.array([total for _, _, total in found])),
        np.insert(points.time_ms, at + 1, points.time_ms[at]),
        None if points.epoch is None else np.insert(points.epoch, at + 1, points.epoch[at]),
    )
    moved = tuple(begin + int(np.searchsorted(at, begin)) for begin in attempts)
    return Totals(columns, (*keys, *of), moved, of)


def _terms(keys: Sequence[str], said: Said) -> dict[str, list[str]]:
    """The series that are the terms of each total."""
    reading = read(keys, said)
    if reading.game:
        return {}
    wholes = {role for role in (Role.TRAIN, Role.VAL) if (key := reading.judged.get(role)) and not name_of(key).rest}
    wholes |= {role for role, name in ((Role.TRAIN, said.train), (Role.VAL, said.val)) if name is not None}
    names = [name for key in keys if (name := name_of(key)).what is What.LOSS and name.rest and not name.derived]
    leaves = Counter(name.key.rpartition("/")[2] for name in names)
    names = [name for name in names if leaves[name.key.rpartition("/")[2]] == 1 or not _is_whole(name)]
    train = _of_group(names, "train") or _of_group(names, "")
    val = _of_group(names, "val") or _of_group(names, "test")
    found: dict[str, list[str]] = {}
    # Losses that differ only by a number, as those of folds, are not terms of one loss.
    terms = {tuple(word for word in rest if not word.isdecimal()) for rest in train}
    if Role.TRAIN not in wholes and len(terms) >= _LEAST:
        found[_NAMES[True]] = list(train.values())
    if found and Role.VAL not in wholes and train.keys() == val.keys():
        found[_NAMES[False]] = list(val.values())
    return found


def _is_whole(name: Name) -> bool:
    """True if the last part of a name is that of a whole loss, such as `train_loss`."""
    leaf = name_of(name.key.rpartition("/")[2])
    return leaf.what is What.LOSS and bool(leaf.group) and not leaf.rest


def _of_group(names: Sequence[Name], group: Group) -> dict[tuple[str, ...], str]:
    """The terms of a data set by component; if one is averaged in several ways, the first."""
    found: dict[tuple[str, ...], str] = {}
    for name in names:
        if name.group == group and not name.total:
            found.setdefault(name.rest, name.key)
    return found


def _sums(terms: Sequence[int], points: Columns, attempts: Sequence[int]) -> list[tuple[int, float]]:
    """The sums of series at steps where all have a value, each with the index of the point that completes it."""
    waiting: dict[int, dict[int, float]] = {}
    begun, found = 0, []
    for at in np.flatnonzero(np.isin(points.key, terms)).tolist():
        attempt = bisect_right(attempts, at)
        if attempt > begun:  # drop incomplete sums of earlier attempts
            begun, waiting = attempt, {}
        step = int(points.step[at])
        values = waiting.setdefault(step, {})
        values[int(points.key[at])] = float(points.value[at])
        if len(values) == len(terms):
            found.append((at, sum(values[term] for term in terms)))
            del waiting[step]
    return found
