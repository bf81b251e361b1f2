"""Caches engine states by their bytes, so that an active run's state is not unpacked for every batch.

A state depends only on its bytes and the rules. So if another process wrote to the run, the bytes differ and the cache
misses, and a rolled-back transaction leaves nothing wrong behind. Anything else that is cached in a state was derived
from it.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

from monitor.rules import State

MOST: Final = 256
"""Most cached states, some 30 KiB each."""

_states: OrderedDict[tuple[str, bytes], State] = OrderedDict()
_lock = Lock()


def packed(state: State, rules_hash: str) -> bytes:
    """Pack a state and cache it. It must not be changed afterwards."""
    data = state.to_bytes()
    with _lock:
        _states[rules_hash, data] = state
        _states.move_to_end((rules_hash, data))
        while len(_states) > MOST:
            _states.popitem(last=False)
    return data


def unpacked(data: bytes, rules_hash: str) -> State:
    """The state for these bytes. It is removed from the cache, since its successor will replace it.

    Raises:
        RulesError: these bytes are not a state of this version.
    """
    with _lock:
        state = _states.pop((rules_hash, data), None)
    return State.from_bytes(data) if state is None else state
