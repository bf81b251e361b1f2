"""Assigns roles to series by their names, for `log()`, integrations, importers and `diagnose` alike.

`words` splits a name into words and knows their meanings, `name` interprets one name, `reading` decides on all names of
a run together, and `said` holds what the user says about them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from monitor.roles.name import JUDGED_PARTS, Role, group_of
from monitor.roles.reading import Reading, read
from monitor.roles.said import NOTHING, Said, find, nearest, said_of, said_of_tags

GAME: Final[Mapping[str, object]] = {"comparable": False}
"""What is known about a loss whose name makes it one side of a game, in the form of `init(loss=...)`."""

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


@functools.lru_cache(maxsize=4096)
def role_of(key: str) -> Role:
    """The role of a series by its name alone.

    >>> [str(role_of(k)) for k in ("train/loss", "Val_Loss_epoch", "lr-Adam", "loss/l2", "accuracy", "test_loss")]
    ['train', 'val', 'lr', 'part', 'goal', 'val']
    """
    return read((key,)).roles[key]


def role_of_set(name: str) -> Role | None:
    """Whether a data set with this name is for training or validation; None if the name does not say.

    >>> [str(role_of_set(name)) for name in ("train", "Training-set", "eval", "holdout_2", "test", "news")]
    ['train', 'train', 'val', 'val', 'val', 'None']
    """
    found = {"train": Role.TRAIN, "val": Role.VAL, "test": Role.VAL}
    return found.get(group_of(name))
