"""Reads what people already have in files and on other servers."""

from monitor.importers.curves import Curves
from monitor.importers.imported import ImportedRun, NotTraining, Skipped
from monitor.importers.one_run import read_curves
from monitor.importers.sending import Sent, run_id_of, send_run
from monitor.importers.sources import Source, read_runs, sources
from monitor.importers.twins import Twins

__all__ = [
    "Curves",
    "ImportedRun",
    "NotTraining",
    "Sent",
    "Skipped",
    "Source",
    "Twins",
    "read_curves",
    "read_runs",
    "run_id_of",
    "send_run",
    "sources",
]
