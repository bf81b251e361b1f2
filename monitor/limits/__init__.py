"""The limits of a run, and how values beyond them are made valid.

The client applies these functions before it writes to its journal, the server before it stores. Applied to their own
output they change nothing, so the two cannot disagree: a training loop never writes a record that the server refuses.
No function here raises, for any input, and none changes anything silently: each takes a `Note` and calls it with what
it corrected, cut or dropped.

Nothing here imports numpy, which a training process need not have.
"""

from __future__ import annotations

from monitor.limits.bounds import (
    MAX_ALERTS,
    MAX_BATCH_EVENTS,
    MAX_CONFIG,
    MAX_COUNTERS,
    MAX_DEPTH,
    MAX_ERROR,
    MAX_EVENTS,
    MAX_EXAMPLES,
    MAX_ITEMS,
    MAX_MEDIA,
    MAX_NAME,
    MAX_OUTPUT,
    MAX_POINTS,
    MAX_RECORD,
    MAX_RUN_MEDIA,
    MAX_SERIES,
    MAX_SPARE,
    MAX_STEP,
    MAX_TAG,
    MAX_TAGS,
    MAX_TEXT,
    MAX_TIME,
    MIN_STEP,
)
from monitor.limits.documents import document, members
from monitor.limits.events import EVENT_KINDS, valid
from monitor.limits.numbers import number_to_json, step, value_of
from monitor.limits.texts import Note, cut, key, label, line, shown, silent, text

__all__ = [
    "EVENT_KINDS",
    "MAX_ALERTS",
    "MAX_BATCH_EVENTS",
    "MAX_CONFIG",
    "MAX_COUNTERS",
    "MAX_DEPTH",
    "MAX_ERROR",
    "MAX_EVENTS",
    "MAX_EXAMPLES",
    "MAX_ITEMS",
    "MAX_MEDIA",
    "MAX_NAME",
    "MAX_OUTPUT",
    "MAX_POINTS",
    "MAX_RECORD",
    "MAX_RUN_MEDIA",
    "MAX_SERIES",
    "MAX_SPARE",
    "MAX_STEP",
    "MAX_TAG",
    "MAX_TAGS",
    "MAX_TEXT",
    "MAX_TIME",
    "MIN_STEP",
    "Note",
    "cut",
    "document",
    "key",
    "label",
    "line",
    "members",
    "number_to_json",
    "shown",
    "silent",
    "step",
    "text",
    "valid",
    "value_of",
]
