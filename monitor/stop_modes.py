"""Stop modes: what happens when a rule advises to stop. Set for all rules or per rule.

A choice is one mode, or a table with a mode for each rule and `*` for all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.errors import suggestion

MODES: Final = ("off", "advise", "alert", "stop")
"""`off`: nothing ends the loop, not even a person. `advise`: `should_stop()` returns True. `alert`: only people are
told. `stop`: once the advice has stood for a while, the monitor itself requests the stop.
"""
EVERY: Final = "*"
"""Stands for every rule that is not named."""
DEFAULT: Final = "advise"
_WORD: Final = 12
"""Longest wrong mode that an error quotes. A longer one may be a secret pasted into the wrong place."""


def stop_modes(value: object) -> dict[str, str]:
    """The modes by rule for a choice.

    Args:
        value: None: no choice; a mode; or a mapping of rules, or `*`, to modes.

    Raises:
        ValueError: it is none of these; suggests the nearest mode.

    >>> stop_modes("Alert"), stop_modes({"divergence": "stop"}), stop_modes(None), stop_modes(False)
    ({'*': 'alert'}, {'divergence': 'stop'}, {}, {'*': 'off'})
    """
    if value is None or value == "":
        return {}
    if isinstance(value, Mapping):
        return {str(rule): _mode(mode) for rule, mode in value.items()}
    return {EVERY: _mode(value)}


def merged(*levels: Mapping[str, str]) -> dict[str, str]:
    """Merge choices; later ones win. One that names `*` replaces all before it.

    >>> merged({"*": "alert", "nan": "stop"}, {"divergence": "stop"}), merged({"nan": "stop"}, {"*": "alert"})
    ({'*': 'alert', 'nan': 'stop', 'divergence': 'stop'}, {'*': 'alert'})
    """
    found: dict[str, str] = {}
    for level in levels:
        found = dict(level) if EVERY in level else {**found, **level}
    return found


def mode_for(modes: Mapping[str, str], rule: str | None) -> str:
    """The mode of a rule. For advice whose rule is unknown, the mode of `*`.

    >>> mode_for({"*": "alert", "nan": "stop"}, "nan"), mode_for({"nan": "stop"}, "overfitting")
    ('stop', 'advise')
    """
    return modes.get(rule or EVERY, modes.get(EVERY, DEFAULT))


def is_off(modes: Mapping[str, str]) -> bool:
    """True if nothing at all may end the loop."""
    return modes.get(EVERY) == "off"


def _mode(value: object) -> str:
    word = "off" if value is False else str(value).strip().lower()
    if word in MODES:
        return word
    known = suggestion(word, MODES, f"use one of {', '.join(MODES)}")
    shown = repr(word) if word.isalpha() and len(word) <= _WORD else "this"  # never quote what may be a secret
    raise ValueError(f"{shown} is not a mode of stopping; {known}")
