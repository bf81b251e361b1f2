"""Engine states that this process wrote lately, by their bytes: an active run need not be unpacked at every batch.

A state is a function of its bytes and of the rules that it was judged by, so that whoever else wrote the run since is
seen by other bytes, and a transaction that was rolled back leaves nothing wrong behind. What is remembered beside is
only what checks have worked out already.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

from monitor.rules import State

MOST: Final = 256
"""States that are remembered, some 30 KiB each."""

_states: OrderedDict[tuple[str, bytes], State] = OrderedDict()
_lock = Lock()


def packed(state: State, rules_hash: str) -> bytes:
    """The bytes of a state, which is remembered by them; it must not be changed from here on."""
    data = state.to_bytes()
    with _lock:
        _states[rules_hash, data] = state
        _states.move_to_end((rules_hash, data))
        while len(_states) > MOST:
            _states.popitem(last=False)
    return data


def unpacked(data: bytes, rules_hash: str) -> State:
    """The state of these bytes; one that is remembered is forgotten, since its successor takes its place.

    Raises:
        RulesError: these bytes are not a state of this version.
    """
    with _lock:
        state = _states.pop((rules_hash, data), None)
    return State.from_bytes(data) if state is None else state
