"""Counters of what was changed or dropped when a run's points and events were stored, and what each means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Counter = Literal[
    "late",
    "dropped",
    "converted",
    "renamed",
    "shortened",
    "mended",
    "refused",
    "status",
    "after_finish",
    "quota",
    "disk_full",
    "disk",
    "lost",
    "thinned",
    "media",
]

SET_ASIDE: Final[Mapping[str, str]] = {
    "late": "points arrived at a step before one already seen; they are stored",
    "dropped": "values or events that could not be used",
    "converted": "values, steps or times were stored as a different number than logged",
    "renamed": "names were not valid, or too long; they were corrected",
    "shortened": "texts were cut, or entries of a configuration dropped, because they exceeded the bounds",
    "mended": "texts or arguments were not valid; they were corrected",
    "refused": "log() calls or events were refused permanently and left out, so that others arrive; the events say why",
    "status": "times the run ended with a status that does not exist; 'finished' was used",
    "after_finish": "calls came after the run was finished; what they logged was dropped",
    "quota": "log() calls were dropped because the journal was near its quota; raise MONITOR_JOURNAL_QUOTA_MB",
    "disk_full": "log() calls or events were dropped because the disk of the journal was full",
    "disk": "times the disk of the journal refused a write to it; nothing is missing unless disk_full says so",
    "lost": "log() calls or events are lost: damaged in the journal, or interrupted while being copied from a device",
    "media": "images, tables or histograms were made smaller to be kept, or were not kept; the events say why",
    "thinned": "points were dropped when the run was downsampled; extremes, gaps, ends and the best are kept",
}
"""What each counter of `RunInfo.warnings` counts; reads on after the number."""
