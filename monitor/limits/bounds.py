"""The limits. They are generous: a run that reaches one usually has a bug."""

from __future__ import annotations

import math
import re
from typing import Final

from monitor.limits.texts import Note, shown

# Texts, in characters.
MAX_NAME: Final = 250
"""Names of metrics, projects, runs, groups, tags and configuration entries."""
MAX_TAG: Final = 1000
"""A tag's value."""
MAX_TITLE: Final = 250
"""An alert's title."""
MAX_BODY: Final = 10_000
"""An alert's body."""
MAX_PATH: Final = 4096
"""A checkpoint's path."""
MAX_ERROR: Final = 2000
"""The error that a run failed with."""
MAX_TEXT: Final = 65_536
"""A text in a configuration."""

# A configuration. The description of a loss, and what was captured of the environment, have the same limits.
MAX_CONFIG: Final = 1_000_000
"""Characters of a run's whole configuration as JSON."""
MAX_ITEMS: Final = 30_000
"""Entries of one mapping or list."""
MAX_DEPTH: Final = 32
"""Nesting of mappings and lists."""

# A run.
MAX_SERIES: Final = 10_000
MAX_TAGS: Final = 1000
MAX_EVENTS: Final = 100_000
"""Events that are stored. Later ones still take effect."""
MAX_OUTPUT: Final = 16_000_000
"""Characters of a run's output that are kept; the oldest are dropped."""
MAX_ALERTS: Final = 10_000
"""Alerts from `run.alert`; those of findings do not count."""
MAX_EXAMPLES: Final = 200
"""Summaries of per-example losses that are kept; the oldest are dropped."""
MAX_MEDIA: Final = 750_000
"""Bytes of one image, table or histogram; a million characters in base64."""
MAX_RUN_MEDIA: Final = 200_000_000
"""Bytes of a run's images, tables and histograms that are kept; the oldest are dropped."""
MAX_WEIGHTS: Final = 1000
"""Weights in one call."""
MAX_COUNTERS: Final = 64
"""Distinct counters of what was set aside."""

# A batch.
MAX_POINTS: Final = 1_000_000
MAX_BATCH_EVENTS: Final = 65_536
MAX_SPARE: Final = 65_536
"""Records of a batch that hold neither a point nor an event, and are not reported as lost."""
MAX_RECORD: Final = 2**62
"""The highest record number."""

# Numbers.
MIN_STEP: Final = -(2**63)
MAX_STEP: Final = 2**63 - 1
MAX_TIME: Final = 2**62
"""Milliseconds since the epoch; the minimum is 0."""


_NUMBER: Final = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?([eE][+-]?\d{1,3})?")


def number_to_json(value: float) -> float | str:
    """A float for JSON: non-finite values become "NaN", "Infinity" or "-Infinity"."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def step(value: object, note: Note, what: str = "step") -> int | None:
    """The step as a 64-bit integer; None, with a note, if it is not a number.

    >>> step(3.0, print), step(True, print), step(10**400, lambda *told: None) == 2**63 - 1
    (3, 1, True)
    """
    try:
        item = getattr(value, "item", None)
        given = item() if callable(item) else value
        whole: int = math.floor(given)  # type: ignore[arg-type]  # it has __floor__, or it raises
        kept = min(max(whole, MIN_STEP), MAX_STEP)
        if kept != given:
            note("converted", what, shown(given) if kept == whole else f"an integer of {whole.bit_length()} bits", 1)
        return kept
    except Exception:  # a user's type may raise anything
        note("dropped", what, shown(value), 1)
        return None


def value_of(text: str) -> object:
    """A parameter stored as text, converted to a number if the text is one.

    >>> value_of("0.001"), value_of("1e-05"), value_of("64"), value_of("adam"), value_of("007")
    (0.001, 1e-05, 64, 'adam', '007')
    """
    if not _NUMBER.fullmatch(text):
        return text
    return int(text) if text.lstrip("-").isdecimal() else float(text)
