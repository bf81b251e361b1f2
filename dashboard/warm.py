"""What is done once when the dashboard starts, so that the first reader does not wait for it."""

from __future__ import annotations

import contextlib
import gc
import importlib
import threading
from pathlib import Path

from streamlit.dataframe_util import is_dataframe_like

from dashboard import assets, data, readings
from dashboard.markup import templates
from dashboard.navigation import PAGES
from monitor.domain import CurveOf, RunQuery
from monitor.errors import MonitorError


def start() -> None:
    """Load what every page needs, then read what a first page would while others may come already."""
    for page in PAGES:
        importlib.import_module(f"dashboard.pages.{Path(page.script).stem}")
    is_dataframe_like("")  # Streamlit asks this of all that a component is given, and imports pandas for the answer
    templates.load()
    gc.collect()
    gc.freeze()  # what was loaded stays, so that no collection has to look through it
    threading.Thread(target=_first, name="warm", daemon=True).start()


def _first() -> None:
    """Ask the server once for what pages ask for, which loads a part of it too; nothing where it wants a token."""
    assets.compress()
    with contextlib.suppress(MonitorError):
        readings.mark(None)
        reader = readings.reader(None)
        reader.attention(1)
        for run in reader.runs_page(RunQuery(limit=1, sparkline=data.SPARK_POINTS)).items:
            seen = reader.snapshot(run.id)
            reader.curves([CurveOf(run.id, s.key) for s in seen.main().values()], width=data.CURVE_WIDTH)
