"""The fast path of `log()`: a function that appends records of one layout, compiled for its keys.

At one step per millisecond none of this code is still in the CPU caches, so what it costs is the memory it touches.
Keys are therefore unrolled, as `dataclasses` unrolls fields, and everything constant is bound once.

It needs no lock: CPython switches threads, runs signal handlers and collects garbage only at calls and backward jumps,
and there are none between reserving the space, counting the record and storing it. The order matters. The store is a
call; after it another thread may begin the next segment, whose header says how many records came before, so the record
is counted first. All three are on one line because a debugger's trace function could switch threads between lines. The
next automatic step is taken in the same way. An interpreter without a GIL always takes the slow path.
"""

from __future__ import annotations

import functools
import sys
import textwrap
import zlib
from collections.abc import Callable, Mapping
from time import time_ns
from typing import TYPE_CHECKING, Final, cast

from monitor.journal.layout import PLAIN, Layout

if TYPE_CHECKING:
    from monitor.journal.write.journal import Journal

Append = Callable[[Mapping[str, object], "int | None"], bool]
"""Appends a flat mapping at a step, or at the next one for None. False if the slow path is needed."""

SAFE: Final[bool] = getattr(sys, "_is_gil_enabled", lambda: True)()
"""True if only one thread at a time runs bytecode."""
_UNROLLED: Final = 16
"""Most keys that are looked up one by one; more are compared as a tuple."""

_SOURCE: Final = """\
def make(journal, layout, segment, pack, frame, crc32, now, plain):
    kind, words, size, keys, keyset = layout.kind, layout.words, layout.size, layout.keys, layout.keyset
    limit, buffer = segment.limit, segment.buffer
    {names}
    def append(data, step):
{take}
        next_one = step is None
        if next_one:
            if journal.last is layout:
                step = journal.step = journal.step + 1
                journal.seen = keyset
            else:
                step = journal.turn(layout)
        body = pack(kind, words, step, now(), {values})
        crc = crc32(body)
        if (end := (at := segment.end) + size) <= limit: segment.end = end; journal.count += 1; frame(buffer, at, crc, body)
        else:
            journal.points(keys, ({values},), step=step, aside=next_one)
            return True
        if next_one:
            return True
        if step != journal.step:
            journal.step = step
            journal.seen = keyset
        elif journal.last is not layout:
            journal.seen |= keyset
        journal.last = layout
        return True

    return append
"""  # noqa: E501  # what must not be interrupted is one line
_FEW: Final = """\
v{i} = data[k{i}]
if type(v{i}) is not float:
    if type(v{i}) not in plain:
        return False
    v{i} = float(v{i})
"""
_MANY: Final = """\
if tuple(data) != keys:
    return False
values = data.values()
for value in values:
    if type(value) not in plain:
        return False
values = tuple(map(float, values))
"""


def never(data: Mapping[str, object], step: int | None) -> bool:  # noqa: ARG001  # as `Append`
    """Append nothing: forces the slow path."""
    return False


def appender(journal: Journal, layout: Layout) -> Append:
    """The append function of a layout. It works until its segment is sealed.

    Args:
        journal: whose count and step it advances.
        layout: at least one key, and the segment that declares them.
    """
    width = len(layout.keys)
    make = _factory(width if width <= _UNROLLED else 0)
    return make(journal, layout, layout.segment, layout.pack, layout.frame, zlib.crc32, time_ns, PLAIN)


@functools.cache
def _factory(width: int) -> Callable[..., Append]:
    """Compile the function for a number of keys; 0 for any number."""
    if width:
        keys = [f"k{i}" for i in range(width)]
        test = " or ".join([f"len(data) != {width}", *(f"{key} not in data" for key in keys)])
        take = f"if {test}:\n    return False\n" + "".join(_FEW.format(i=i) for i in range(width))
        names, values = ", ".join(keys) + ", = keys", ", ".join(f"v{i}" for i in range(width))
    else:
        take, names, values = _MANY, "pass", "*values"
    scope: dict[str, object] = {}
    exec(_SOURCE.format(names=names, take=textwrap.indent(take, " " * 8), values=values), scope)
    return cast("Callable[..., Append]", scope["make"])
