"""The sketch of the goal: the metric that the training optimises for, with its direction and its name."""

from __future__ import annotations

import struct
from typing import Final

from monitor.rules.sketch.curve import Curve

SHAPE: Final = (24, 4)
"""Capacity and micro-block of the sketch."""
NAME: Final = 96
"""Most bytes of the goal's name that are kept."""
_HEAD: Final = struct.Struct("<2B")


class Goal:
    """A value type: `fork` it before changing it.

    Attributes:
        name: of the series.
        rises: True if higher is better.
        curve: sketch of the values, negated if higher is better, so that lower is always better in it.
    """

    __slots__ = ("curve", "name", "rises")

    def __init__(self, name: str, *, rises: bool) -> None:
        self.name = name.encode()[:NAME].decode(errors="ignore")
        self.rises = rises
        self.curve = Curve(*SHAPE)

    def fork(self) -> Goal:
        """A copy that can be changed without changing this one."""
        new = Goal(self.name, rises=self.rises)
        new.curve = self.curve.fork()
        return new

    def shown(self, value: float) -> float:
        """Convert a value of the curve to what was logged, or the reverse."""
        return -value if self.rises else value

    @property
    def best(self) -> float:
        """The best value, as it was logged."""
        return self.shown(self.curve.best)

    def to_bytes(self) -> bytes:
        """Packed; `from_bytes` is the inverse."""
        name = self.name.encode()
        return _HEAD.pack(self.rises, len(name)) + name + self.curve.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes, at: int) -> tuple[Goal, int]:
        """The goal packed at offset `at`, and the offset after it."""
        rises, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        goal = cls(data[at : at + length].decode(), rises=bool(rises))
        goal.curve, at = Curve.from_bytes(data, at + length, *SHAPE)
        return goal, at
