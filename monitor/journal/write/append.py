"""The function that appends records of one layout, written for its keys the first time a shape of that width is logged.

At one step a millisecond nothing of it is in the processor's caches any more, and what counts is how much is touched:
objects, tables, pages of the interpreter. So the keys are unrolled as `dataclasses` unrolls fields, what does not
change is bound once, and no lock is taken.

No lock is needed where the interpreter has one of its own: between taking the space, counting the record and storing
it lies no bytecode at which CPython lets another thread, a signal handler or the garbage collector go first. After a
call it does, and the next segment may begin there, which says how many records lie before it: so the count comes
before the store. The same holds for taking the next step. The line is one line, since a debugger's trace function may
let another thread go first between two. An interpreter without that lock appends by the slow way.
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
"""Appends a flat mapping at a step, or at the next one for None; False where it takes the slow way."""

SAFE: Final[bool] = getattr(sys, "_is_gil_enabled", lambda: True)()
"""True where one thread at a time runs bytecode."""
_UNROLLED: Final = 16
"""Keys up to which they are looked up one by one; more are compared as a tuple."""

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
"""  # noqa: E501  # what may not be interrupted is one line
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
    """Append nothing: the slow way knows what to do."""
    return False


def appender(journal: Journal, layout: Layout) -> Append:
    """The function for a layout, which works until its segment is sealed.

    Args:
        journal: what it counts and steps in.
        layout: keys, at least one, and the segment that declares them.
    """
    width = len(layout.keys)
    make = _factory(width if width <= _UNROLLED else 0)
    return make(journal, layout, layout.segment, layout.pack, layout.frame, zlib.crc32, time_ns, PLAIN)


@functools.cache
def _factory(width: int) -> Callable[..., Append]:
    """Compile the function for so many keys; 0: for any number of them."""
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
