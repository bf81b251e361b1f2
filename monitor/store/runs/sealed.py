"""Stores the engine's state with a checksum, so that a damaged one is detected before it is used.

Four bytes `LMC1`, the CRC-32 of the state (little-endian), the state. States of versions without a checksum begin with
their own magic bytes and are accepted as they are.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

MAGIC: Final = b"LMC1"
_HEAD: Final = struct.Struct("<4sI")


def sealed(state: bytes) -> bytes:
    """The state as stored.

    >>> opened(sealed(b"state"))
    b'state'
    """
    return _HEAD.pack(MAGIC, zlib.crc32(state)) + state


def opened(stored: bytes) -> bytes:
    """The state from its stored form. Empty if damaged; no engine reads that, so the run is judged again."""
    if stored[:4] != MAGIC:
        return stored
    state = stored[_HEAD.size :]
    if len(stored) < _HEAD.size or _HEAD.unpack_from(stored)[1] != zlib.crc32(state):
        return b""
    return state
