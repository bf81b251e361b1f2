"""Reads runs from files and from other trackers.

Names are imported on first use: `monitor run`, which only parses lines of text, loads no database code.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from monitor.importers.curves import Curves, read_curves, read_one_run
    from monitor.importers.imported import ImportedRun, NotTraining
    from monitor.importers.judging import judge
    from monitor.importers.sending import Sent, run_id_of, send_run
    from monitor.importers.sources import Source, read_runs
    from monitor.importers.table import Skipped
    from monitor.importers.twins import Twins

_WHERE: Final = {
    "Curves": "curves", "ImportedRun": "imported", "NotTraining": "imported", "Sent": "sending", "Skipped": "table",
    "Source": "sources", "Twins": "twins", "judge": "judging", "read_curves": "curves", "read_one_run": "curves",
    "read_runs": "sources", "run_id_of": "sending", "send_run": "sending",
}  # fmt: skip

__all__ = [
    "Curves",
    "ImportedRun",
    "NotTraining",
    "Sent",
    "Skipped",
    "Source",
    "Twins",
    "judge",
    "read_curves",
    "read_one_run",
    "read_runs",
    "run_id_of",
    "send_run",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'monitor.importers' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"monitor.importers.{_WHERE[name]}"), name)
    globals()[name] = value
    return value
