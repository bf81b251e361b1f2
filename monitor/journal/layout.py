"""The layout of points records: their keys, compiled into two `struct` calls."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from monitor.journal.segment import Segment

PLAIN: Final[set[type]] = {float, int, bool}
"""Types whose `__float__` is instant and has no side effects. NumPy's scalar types are added when first seen."""


class Layout:
    """The layout of one kind of points record within one segment."""

    __slots__ = ("frame", "keys", "keyset", "kind", "pack", "segment", "size", "thinned", "words")

    def __init__(self, keys: tuple[str, ...], epoch: bool, kind: int, segment: Segment) -> None:
        body = struct.Struct(f"<HHqq{len(keys) + epoch}d")
        self.keys = keys
        self.keyset = frozenset(keys)
        self.kind = kind
        self.segment = segment
        self.pack: Callable[..., bytes] = body.pack
        self.size = 4 + body.size
        self.words = self.size // 8
        self.frame = struct.Struct(f"<I{body.size}s").pack_into
        self.thinned = 0


@dataclass(slots=True)
class Pending:
    """A record whose values are still on a device. `Journal.resolve` fills them in."""

    layout: Layout
    offset: int
    step: int
    time_ns: int
    epoch: float | None
