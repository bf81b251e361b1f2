"""What a run may record of its environment, and how to write a choice.

`true` means everything, `false` nothing; a list means what it names; a mapping, or words such as `no-git`, mean
everything but what they switch off.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

CAPTURES: Final = ("git", "command", "packages", "host", "gpus", "system")
"""git: commit and branch. command: command line and folder. packages: Python and packages. host: machine and user.
gpus:
GPU names. system: use of the machine during training.
"""

_ALL: Final = ("true", "1", "yes", "on", "all")
_NOTHING: Final = ("false", "0", "no", "off", "none", "")


def captures(value: object) -> tuple[str, ...]:
    """Parse a choice into captures, in the order of `CAPTURES`.

    Args:
        value: True or False; names; `no-` names, which leave the others on; a mapping of names to booleans; or any of
            these as text, separated by commas.

    Raises:
        ValueError: it names something that is not a capture, or is none of these.

    >>> captures("no-git, no-packages"), captures({"system": False, "gpus": False}), captures(["host"])
    (('command', 'host', 'gpus', 'system'), ('git', 'command', 'packages', 'host'), ('host',))
    """
    if isinstance(value, bool) or value is None:
        return CAPTURES if value else ()
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _ALL or word in _NOTHING:
            return CAPTURES if word in _ALL else ()
        value = [part.strip() for part in word.strip("[]").replace('"', "").split(",")]
    if isinstance(value, Mapping):
        value = [name if on else f"no-{name}" for name, on in value.items()]
        return _chosen([*CAPTURES, *value])
    if not isinstance(value, Iterable):
        raise ValueError(f"{value!r} is no choice of captures")
    names = [str(name) for name in value]
    without = all(name.startswith("no-") for name in names)
    return _chosen([*CAPTURES, *names] if names and without else names)


def _chosen(names: Iterable[str]) -> tuple[str, ...]:
    on: set[str] = set()
    for name in names:
        kind = name.removeprefix("no-")
        if kind not in CAPTURES:
            near = difflib.get_close_matches(kind, CAPTURES, n=1)
            raise ValueError(f"{kind!r} is no capture; " + (f"did you mean {near[0]!r}?" if near else _KNOWN))
        (on.discard if name != kind else on.add)(kind)
    return tuple(name for name in CAPTURES if name in on)


_KNOWN: Final = f"known: {', '.join(CAPTURES)}"
