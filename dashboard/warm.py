"""What is done once when the dashboard starts, so that the first reader does not wait for it."""

from __future__ import annotations

import gc
import importlib
import threading
from pathlib import Path

from streamlit.dataframe_util import is_dataframe_like

from dashboard import assets, readings
from dashboard.markup import templates
from dashboard.navigation import PAGES


def start() -> None:
    """Begin; pages are served meanwhile."""
    threading.Thread(target=run, name="warm", daemon=True).start()


def run() -> None:
    """Load everything that a page needs, and take it out of what the garbage collector looks through."""
    for page in PAGES:
        importlib.import_module(f"dashboard.pages.{Path(page.script).stem}")
    is_dataframe_like("")  # Streamlit asks this of all that a component is given, and imports pandas for the answer
    templates.load()
    assets.compress()
    readings.mark(None)  # makes the reader of those who need no token
    gc.collect()
    gc.freeze()
