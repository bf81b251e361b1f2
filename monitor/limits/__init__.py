"""The limits of a run, and how input beyond them is made valid.

The client applies these rules before it writes to its journal, and the server before it stores. Both call the same
functions, which are idempotent, so the two cannot disagree: no call of a training loop makes a record that the server
refuses. Nothing here raises, for any input, and nothing is changed silently: each function reports what it corrected,
cut or dropped to a `Note`.

Nothing here imports numpy, which a training process may lack.
"""

from __future__ import annotations

from monitor.limits.bounds import (
    MAX_ALERTS,
    MAX_BATCH_EVENTS,
    MAX_BODY,
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
    MAX_PATH,
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
    MAX_TITLE,
    MAX_WEIGHTS,
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
    "MAX_BODY",
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
    "MAX_PATH",
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
    "MAX_TITLE",
    "MAX_WEIGHTS",
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
