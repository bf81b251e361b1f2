"""The engine's state with a checksum before it: a damaged one is known before anybody works with it.

Four bytes `LMC1`, the CRC-32 of the state (little-endian), the state. States of versions that had no checksum begin
with their own magic and are taken as they are.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

MAGIC: Final = b"LMC1"
_HEAD: Final = struct.Struct("<4sI")


def sealed(state: bytes) -> bytes:
    """The state as it is stored.

    >>> opened(sealed(b"state"))
    b'state'
    """
    return _HEAD.pack(MAGIC, zlib.crc32(state)) + state


def opened(stored: bytes) -> bytes:
    """The state; empty where it is damaged, which no engine reads, so that the run is judged anew."""
    if stored[:4] != MAGIC:
        return stored
    state = stored[_HEAD.size :]
    if len(stored) < _HEAD.size or _HEAD.unpack_from(stored)[1] != zlib.crc32(state):
        return b""
    return state
