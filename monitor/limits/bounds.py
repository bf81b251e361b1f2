"""The limits. They are generous: a run that reaches one usually has a bug."""

from __future__ import annotations

from typing import Final

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
