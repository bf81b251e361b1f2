"""What the user says about a run's names: which series is which, and which way the goal should go."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from monitor.errors import SettingsError, suggestion
from monitor.roles.name import Role
from monitor.roles.words import words_of

NAMED: Final = ("train", "val", "goal", "step", "epoch")
"""What the user can name."""
PLACES: Final = ("step", "epoch")
"""Those that name columns of a file with the position of a row."""
_RISES: Final = {
    "max": True, "maximize": True, "maximise": True, "up": True, "higher": True,
    "min": False, "minimize": False, "minimise": False, "down": False, "lower": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The series that the user named.

    Attributes:
        train, val, goal: names of series; None: decided by the names.
        rises: True if higher is better for the goal; None: decided by its name.
        step, epoch: columns of a file; None: decided by the names.
        strict: True if a missing name is an error; otherwise the names decide.
    """

    train: str | None = None
    val: str | None = None
    goal: str | None = None
    rises: bool | None = None
    step: str | None = None
    epoch: str | None = None
    strict: bool = False

    def match(self, role: Role, names: Iterable[str]) -> str | None:
        """The series that the user named for a role: an exact match, else one with the same words; None if missing."""
        wanted = {Role.TRAIN: self.train, Role.VAL: self.val, Role.GOAL: self.goal}.get(role)
        return None if wanted is None else find(wanted, names)

    def missing(self, names: Iterable[str]) -> list[str]:
        """A phrase for each named series that does not exist."""
        known = list(names)
        named = {"training": self.train, "validation": self.val, "the goal": self.goal}
        return [f"{key!r:.80}, named for {what}, does not exist" for what, key in named.items()
                if key is not None and find(key, known) is None]  # fmt: skip

    def check(self, series: Sequence[str], columns: Sequence[str] = ()) -> None:
        """Reject a name that a file does not have.

        Args:
            columns: all its columns; empty for a file that is not a table and has steps of its own.

        Raises:
            SettingsError: lists the existing columns and suggests the nearest.
        """
        for option in NAMED if self.strict else ():
            wanted = getattr(self, option)
            places = option in PLACES
            if wanted is None or find(wanted, columns if places else series) is not None:
                continue
            if places and not columns:
                raise SettingsError(
                    f"--{option} {wanted}", "has no column to name: its steps are its own", "leave it out"
                )
            problem = "no such column" if places else "no such column or series"
            raise SettingsError(f"--{option} {wanted}", problem, nearest(wanted, columns if places else series))

    def distinct(self) -> Said:
        """Self, if the training and validation loss are different series.

        Raises:
            SettingsError: both roles name the same series.
        """
        if self.train is not None and self.train == self.val:
            raise SettingsError(
                "train and val", f"both name {self.train!r:.60}", "name a series for each, or leave one to the names"
            )
        return self

    def over(self, other: Said) -> Said:
        """The union of both; where both name a role, self wins."""
        mine = {name: value for name in NAMED if (value := getattr(self, name)) is not None}
        rises = self.rises if self.goal is not None else other.rises
        return replace(other, **mine, rises=rises, strict=self.strict)

    def to_dict(self) -> dict[str, str]:
        """In the form that `said_of` reads, without what concerns only files."""
        found = {"train": self.train, "val": self.val, "goal": self.goal}
        if self.goal is not None and self.rises is not None:
            found["goal"] = f"{self.goal}:{'max' if self.rises else 'min'}"
        return {name: value for name, value in found.items() if value is not None}


NOTHING: Final = Said()


def said_of(data: Mapping[str, object], *, place: str = "roles.", strict: bool = False) -> Said:
    """Parse a mapping such as `{"train": "train_ce", "goal": "val/accuracy:max"}`.

    Args:
        data: names of series by role.
        place: prefix of a role in error messages, such as `--`.
        strict: True if a missing name is an error.

    Raises:
        SettingsError: a key or a direction is invalid.
    """
    for key, value in data.items():
        if key not in NAMED:
            raise SettingsError(f"{place}{key}", "is not a role", suggestion(key, NAMED))
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise SettingsError(f"{place}{key}", f"is {value!r:.60}", 'write the name of a series, such as "train_ce"')
    named = {key: str(value).strip() for key, value in data.items() if value is not None}
    goal, rising = named.get("goal"), None
    if goal is not None:
        goal, rising = goal_of(goal, f"{place}goal")
    return Said(train=named.get("train"), val=named.get("val"), goal=goal, rises=rising, step=named.get("step"),
                epoch=named.get("epoch"), strict=strict)  # fmt: skip


def said_of_tags(tags: Mapping[str, str]) -> Said:
    """Parse a run's tags `monitor.train`, `monitor.val` and `monitor.goal`, which MLflow clients can set.

    >>> said_of_tags({"monitor.goal": "val/wer:min", "monitor.train": " ", "team": "a"}).to_dict()
    {'goal': 'val/wer:min'}
    """
    named = {role: tags.get(f"monitor.{role}", "").strip() for role in ("train", "val", "goal")}
    return said_of({role: name for role, name in named.items() if name}, place="monitor.")


def goal_of(text: str, place: str = "goal") -> tuple[str, bool | None]:
    """Split `val/accuracy:max` into the series and whether higher is better (None if not given).

    >>> goal_of("val/accuracy:max"), goal_of("wer:min"), goal_of("a:b")
    (('val/accuracy', True), ('wer', False), ('a:b', None))
    """
    name, colon, way = text.rpartition(":")
    rising = _RISES.get(way.strip().lower())
    if not colon or rising is None:
        return text, None
    if not name.strip():
        raise SettingsError(place, f"is {text!r}", "write the series and its direction, such as val/accuracy:max")
    return name.strip(), rising


def find(wanted: str, names: Iterable[str]) -> str | None:
    """The matching name: an exact match, else the first with the same words."""
    known = list(names)
    if wanted in known:
        return wanted
    words = words_of(wanted)
    return next((name for name in known if words and words_of(name) == words), None)


def nearest(wanted: str, names: Sequence[str]) -> str:
    """How to fix a missing name: the nearest one, and the existing ones."""
    shown = ", ".join(f"{name:.60}" for name in names[:20]) + (" …" if len(names) > 20 else "")
    near = difflib.get_close_matches(wanted.lower(), [name.lower() for name in names], n=1, cutoff=0.5)
    meant = next((name for name in names if near and name.lower() == near[0]), None)
    return (f"did you mean {meant!r:.60}? " if meant else "") + f"there are: {shown}"
