"""What a run records about its environment, and how that is chosen.

`true` and `false` mean everything and nothing. A list means exactly what it names. A mapping, or words such as
`no-git`, mean everything except what they switch off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from monitor.errors import suggestion

CAPTURES: Final = ("git", "command", "packages", "host", "gpus", "system")
"""In this order: commit and branch; command line and folder; Python and packages; machine and user; graphics cards; the
machine's load while the run trains.
"""

_ALL: Final = ("true", "1", "yes", "on", "all")
_NOTHING: Final = ("false", "0", "no", "off", "none", "")


def captures(value: object) -> tuple[str, ...]:
    """Resolve a choice to the names of its captures, in the order of `CAPTURES`.

    Args:
        value: True or False; a list of names; `no-` names, which leave the others on; names mapped to True or False; or
            any of these as text, separated by commas.

    Raises:
        ValueError: an unknown name, or not a choice at all.

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
        raise ValueError(f"{value!r} is not a choice of captures")
    names = [str(name) for name in value]
    without = all(name.startswith("no-") for name in names)
    return _chosen([*CAPTURES, *names] if names and without else names)


def _chosen(names: Iterable[str]) -> tuple[str, ...]:
    on: set[str] = set()
    for name in names:
        kind = name.removeprefix("no-")
        if kind not in CAPTURES:
            raise ValueError(f"{kind!r} is not a capture; {suggestion(kind, CAPTURES)}")
        (on.discard if name != kind else on.add)(kind)
    return tuple(name for name in CAPTURES if name in on)
