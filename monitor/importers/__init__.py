"""Reads what people already have in files and on other servers."""

from monitor.importers.curves import Curves, read_curves, read_one_run
from monitor.importers.imported import ImportedRun, NotTraining
from monitor.importers.judging import judge
from monitor.importers.sending import Sent, run_id_of, send_run
from monitor.importers.sources import Source, read_runs, sources
from monitor.importers.table import Skipped
from monitor.importers.twins import Twins

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
    "sources",
]
