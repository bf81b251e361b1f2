"""The engine's memory of one run: plain data, at most 5.25 KiB packed, whatever the run's length.

The lists of a state are replaced, never changed in place, so forking a state copies only a few references.
"""

from __future__ import annotations

import math
import struct
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from monitor.domain import Counts, Forecast, Recommendation
from monitor.errors import RulesError
from monitor.rules.sketch.curve import Curve
from monitor.rules.sketch.goal import Goal
from monitor.rules.sketch.packing import pack_steps, unpack_steps
from monitor.rules.sketch.parts import Parts

if TYPE_CHECKING:
    from monitor.rules.describe.view import View
    from monitor.rules.rule import Quiet

MAGIC: Final = b"LMS6"
"""Names the layout of a packed state. A state with another one is refused, and the run's points must be replayed."""
TRAIN: Final = 0
VAL: Final = 1
GRAD: Final = 2
LR: Final = 3
SHAPES: Final = ((40, 16), (52, 8), (12, 16))
"""Capacity and micro-block of the sketches of training loss, validation loss and gradient norm."""
PENDING: Final = 1
FIRING: Final = 2
LIKELY: Final = 3
"""Pending, but probable enough for advice that costs little if it is wrong."""

_NUMBERS: Final = (
    "first_step", "last_step", "nan_first", "nan_last", "nan_train_first", "first_stop", "stop_since", "chance",
    "floor", "val_step", "lr", "lr_after", "lr_changed", "lr_before", "initial", "ceiling", "patience_best",
    "patience_step",
)  # fmt: skip
# Packed like steps, since counts take four bytes each that way.
_COUNTS: Final = (
    "nan_train", "nan_val", "non_finite", "late", "train_seen", "val_seen", "numbered", "val_at", "val_gap", "summed",
    "batch_size", "accumulation", "tokens", "patience_waited",
)  # fmt: skip
_numbers, _counts = itemgetter(*_NUMBERS), itemgetter(*_COUNTS)
_HEAD: Final = struct.Struct(f"<4s2B{len(_NUMBERS)}d")
_SLOT: Final = struct.Struct("<2BHI")
_PARTS: Final = 1 << 7
"""Bit of `State.owned` for the parts."""
_GOAL: Final = 1 << 6
"""Bit of `State.owned` for the goal."""
VIEWS: Final = 1 << 8
"""Bit of `State.owned` for the view of the first series; the bits for the others follow."""


class Slot(NamedTuple):
    """The state of one rule's finding.

    Attributes:
        phase: PENDING, LIKELY or FIRING; an idle rule has no slot.
        checks: checks in a row for which the condition held (pending), or did not (likely, firing).
        number: of the finding, 0 while pending.
        since: step of the check at which the condition was first seen.
        onset: step at which the condition began.
        fired: step at which the finding fired, NaN while pending.
    """

    phase: int
    checks: int
    number: int
    since: float
    onset: float
    fired: float


class State:
    """Everything the engine remembers of a run.

    Attributes:
        unit: "step" or "epoch".
        curves: sketch by series, indexed by role code; empty if nothing was logged.
        parts: sketch of the parts of a composite loss; None if none are known.
        goal: sketch of the metric that the training optimises for; None if none was logged.
        slots: by rule name.
        said: cached headline of a verdict, valid until the next check; never packed.
        outlook: cached forecast, and the buckets it was made from; never packed.
        advice: cached recommendation, and what it depends on; never packed.
        views: cached views of the series, by role; never packed.
        quiet: cached bounds within which urgent rules need not run, by role, and the findings and buckets they depend
            on; never packed.
        owned: bits of the sketches and views that belong to this state alone: made since it was forked.
        nan_train, nan_val: non-finite losses in a row at the end of the series.
        val_at: training points seen when the last validation point arrived.
        val_gap: most training points between two validation points so far.
        chance, floor, initial, ceiling: levels of the loss function, NaN if unknown.
        summed: 1 if the reduction of the loss is a sum.
        batch_size, accumulation, tokens: from the run's configuration, NaN if it does not have them.
        game: True if a lower loss does not mean a better model, as between two adversaries.
        known: True if the run says what its loss is, so that a loss below zero can be interpreted.
        aimed: True if the user named the goal, False if it was recognised by its name.
        patience_best, patience_waited, patience_step: what simple patience would have done; see `sketch.patience`.
    """

    def __init__(self, unit: str = "step", chance: float = math.nan, floor: float = math.nan) -> None:
        self.unit = unit
        self.curves = tuple(Curve(capacity, micro) for capacity, micro in SHAPES)
        self.parts: Parts | None = None
        self.goal: Goal | None = None
        self.slots: dict[str, Slot] = {}
        self.first_step = self.last_step = self.nan_first = self.nan_last = math.nan
        self.nan_train_first = math.nan
        self.nan_train = self.nan_val = self.non_finite = self.late = 0.0
        self.train_seen = self.val_seen = self.numbered = self.val_at = self.val_gap = 0.0
        self.first_stop = self.stop_since = self.val_step = math.nan
        self.chance, self.floor, self.initial, self.ceiling = chance, floor, math.nan, math.nan
        self.game = self.known = self.aimed = False
        self.summed, self.batch_size, self.accumulation, self.tokens = 0.0, math.nan, math.nan, math.nan
        self.patience_best, self.patience_waited, self.patience_step = math.inf, 0.0, math.nan
        self.said: tuple[str, float, str] | None = None
        self.outlook: tuple[list[float], Forecast | None] | None = None
        self.advice: tuple[dict[str, Slot], list[float], tuple[object, ...], Recommendation] | None = None
        self.views: dict[int, View] = {}
        self.quiet: dict[int, tuple[dict[str, Slot], tuple[list[float], ...], Quiet]] = {}
        self.owned = 0
        self.lr = self.lr_after = self.lr_changed = self.lr_before = math.nan

    def fork(self) -> State:
        """A copy that can be changed without changing this one."""
        new = State.__new__(State)
        new.__dict__.update(self.__dict__)
        new.owned = 0
        return new

    def curve(self, role: int) -> Curve:
        """The sketch of a series, for changes; forked on first use after this state was forked."""
        curve = self.curves[role]
        if not self.owned >> role & 1:
            curve = curve.fork()
            self.curves = (*self.curves[:role], curve, *self.curves[role + 1 :])
            self.owned |= 1 << role
        return curve

    def own_parts(self) -> Parts:
        """The sketch of the parts, for changes; created if there is none, else forked like a curve."""
        if self.parts is None:
            self.parts = Parts()
        elif not self.owned & _PARTS:
            self.parts = self.parts.fork()
        self.owned |= _PARTS
        return self.parts

    def own_goal(self, name: str, *, rises: bool) -> Goal:
        """The sketch of the goal, for changes; created if there is none, else forked like a curve."""
        if self.goal is None:
            self.goal = Goal(name, rises=rises)
        elif not self.owned & _GOAL:
            self.goal = self.goal.fork()
        self.owned |= _GOAL
        return self.goal

    @property
    def judged(self) -> int:
        """VAL, or TRAIN if only a training loss was logged."""
        return VAL if self.val_seen or not self.train_seen else TRAIN

    @property
    def counts(self) -> Counts:
        """Number of points seen, and of points set aside."""
        return Counts(
            train=int(self.train_seen),
            val=int(self.val_seen),
            goal=0 if self.goal is None else self.goal.curve.n,
            non_finite=int(self.non_finite),
            late=int(self.late),
            beyond=0 if self.parts is None else self.parts.beyond,
        )

    def to_bytes(self) -> bytes:
        """Packed; <= 5376 bytes."""
        flags = (self.unit == "epoch") | (self.parts is not None) << 1 | self.game << 2 | self.known << 3
        flags |= (self.goal is not None) << 4 | self.aimed << 5
        head = _HEAD.pack(MAGIC, len(self.slots), flags, *_numbers(self.__dict__))
        slots = b"".join(_pack_slot(name, slot) for name, slot in self.slots.items())
        steps = pack_steps([step for slot in self.slots.values() for step in slot[3:]])
        parts = b"" if self.parts is None else self.parts.to_bytes()
        return b"".join(
            [
                head,
                pack_steps(_counts(self.__dict__)),
                slots,
                steps,
                *(curve.to_bytes() for curve in self.curves),
                parts,
                b"" if self.goal is None else self.goal.to_bytes(),
            ]
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """The inverse of `to_bytes`.

        Raises:
            RulesError: these bytes are not a state of this version.
        """
        if data[:4] != MAGIC:
            raise RulesError("state", f"starts with {data[:4]!r}, not {MAGIC!r}", "replay the run's points")
        state = cls()
        try:
            _, count, flags, *numbers = _HEAD.unpack_from(data)
            state.unit = "epoch" if flags & 1 else "step"
            state.game, state.known, state.aimed = bool(flags & 4), bool(flags & 8), bool(flags & 32)
            state.__dict__.update(zip(_NUMBERS, numbers, strict=True))
            counts, at = unpack_steps(data, _HEAD.size, len(_COUNTS))
            state.__dict__.update(zip(_COUNTS, counts, strict=True))
            state.slots, at = _unpack_slots(data, at, count)
            curves = []
            for capacity, micro in SHAPES:
                curve, at = Curve.from_bytes(data, at, capacity, micro)
                curves.append(curve)
            state.curves = tuple(curves)
            if flags & 2:
                state.parts, at = Parts.from_bytes(data, at)
            if flags & 16:
                state.goal, at = Goal.from_bytes(data, at)
        except (struct.error, ValueError, IndexError) as broken:
            if isinstance(broken, RulesError):
                raise
            raise RulesError("state", f"cannot be read ({broken})", "replay the run's points") from broken
        return state


def _pack_slot(name: str, slot: Slot) -> bytes:
    """Pack a slot without its steps, together with the name of its rule."""
    text = name.encode()
    return _SLOT.pack(len(text), slot.phase, min(slot.checks, 65535), slot.number) + text


def _unpack_slots(data: bytes, at: int, count: int) -> tuple[dict[str, Slot], int]:
    """The slots packed at offset `at`, followed by their steps, and the offset after them."""
    heads = []
    for _ in range(count):
        length, phase, checks, number = _SLOT.unpack_from(data, at)
        at += _SLOT.size
        name = data[at : at + length].decode()
        at += length
        heads.append((name, phase, checks, number))
    steps, at = unpack_steps(data, at, 3 * count)
    return {
        name: Slot(phase, checks, number, *steps[3 * k : 3 * k + 3])
        for k, (name, phase, checks, number) in enumerate(heads)
    }, at
