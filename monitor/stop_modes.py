"""Modes of stopping: what advice to stop leads to, by rule.

A choice is one mode, or a mapping of rules to modes, with `*` for all others.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

MODES: Final = ("off", "advise", "alert", "stop")
"""off: nothing ends the loop, not even a person. advise: `should_stop()` returns True. alert: only people are told.
stop:
the monitor requests a stop once the advice has persisted.
"""
EVERY: Final = "*"
"""Stands for every rule that is not named."""
DEFAULT: Final = "advise"
_WORD: Final = 12
"""Letters of a wrong mode that an error shows, at most."""


def stop_modes(value: object) -> dict[str, str]:
    """Parse a choice into modes by rule.

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
    """Merge choices; later ones override earlier ones, and one that covers every rule replaces them.

    >>> merged({"*": "alert", "nan": "stop"}, {"divergence": "stop"}), merged({"nan": "stop"}, {"*": "alert"})
    ({'*': 'alert', 'nan': 'stop', 'divergence': 'stop'}, {'*': 'alert'})
    """
    found: dict[str, str] = {}
    for level in levels:
        found = dict(level) if EVERY in level else {**found, **level}
    return found


def mode_for(modes: Mapping[str, str], rule: str | None) -> str:
    """The mode of a rule; without a rule, that of all rules.

    >>> mode_for({"*": "alert", "nan": "stop"}, "nan"), mode_for({"nan": "stop"}, "overfitting")
    ('stop', 'advise')
    """
    return modes.get(rule or EVERY, modes.get(EVERY, DEFAULT))


def is_off(modes: Mapping[str, str]) -> bool:
    """True if nothing at all ends the loop."""
    return modes.get(EVERY) == "off"


def _mode(value: object) -> str:
    word = "off" if value is False else str(value).strip().lower()
    if word in MODES:
        return word
    near = difflib.get_close_matches(word, MODES, n=1)
    known = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(MODES)}"
    shown = repr(word) if word.isalpha() and len(word) <= _WORD else "this"  # never echo what may be a secret
    raise ValueError(f"{shown} is not a mode of stopping; {known}")
