"""Counters of what a run's points and events did not arrive as they were logged, and what each of them means."""

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
]

SET_ASIDE: Final[Mapping[str, str]] = {
    "late": "points came at a step before one already seen; they are stored",
    "dropped": "values or events could not be used and were left out",
    "converted": "values, steps or times were stored as another number than they were given as",
    "renamed": "names were not as a store takes them, or too long; they were mended",
    "shortened": "texts were cut, or entries of a configuration left out, because they were beyond the bounds",
    "mended": "texts or arguments held what no store takes; what is stored differs there",
    "refused": "log() calls or events were refused for good and left out, so that the rest arrives; the events say why",
    "status": "ends of the run had a status that does not exist; finished was taken",
    "after_finish": "calls came after the run was finished; what they logged was left out",
    "quota": "log() calls were left out because the journal was near its quota; raise MONITOR_JOURNAL_QUOTA_MB",
    "disk_full": "log() calls or events were left out because the disk of the journal was full",
    "disk": "times the disk of the journal refused a write to it; nothing is missing unless disk_full says so",
    "lost": "log() calls or events are lost: damaged in the journal, or cut off on their way from a device",
    "thinned": "points were left out when the old run was thinned; extremes, gaps, ends and the best are kept",
}
"""What each counter of `RunInfo.warnings` counts, to be read behind the number."""
