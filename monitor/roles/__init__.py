"""The one reading of names: which series of a run is what, for `log()`, integrations, importers and `diagnose` alike.

`words` cuts a name into words and says what each means, `name` reads one name, `reading` decides on all names of a run
together, `said` is what the user says of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.roles.name import group_of
from monitor.roles.reading import Reading, read
from monitor.roles.role import JUDGED_PARTS, Role
from monitor.roles.said import NOTHING, Said, find, nearest, said_of, said_of_tags

GAME: Final[Mapping[str, object]] = {"comparable": False}
"""What is known of a loss that is one side of a game by its name, as a run would say it."""

__all__ = [
    "GAME",
    "JUDGED_PARTS",
    "NOTHING",
    "Reading",
    "Role",
    "Said",
    "find",
    "nearest",
    "read",
    "role_of",
    "role_of_set",
    "said_of",
    "said_of_tags",
]


def role_of(key: str) -> Role:
    """What a series of this name is where nothing else is known of the run.

    >>> [str(role_of(k)) for k in ("train/loss", "Val_Loss_epoch", "lr-Adam", "loss/l2", "accuracy", "test_loss")]
    ['train', 'val', 'lr', 'part', 'goal', 'val']
    """
    return read((key,)).roles[key]


def role_of_set(name: str) -> Role | None:
    """Whether a set of this name is trained or validated on; None where the name does not say.

    >>> [str(role_of_set(name)) for name in ("train", "Training-set", "eval", "holdout_2", "test", "news")]
    ['train', 'train', 'val', 'val', 'val', 'None']
    """
    found = {"train": Role.TRAIN, "val": Role.VAL, "test": Role.VAL}
    return found.get(group_of(name))
