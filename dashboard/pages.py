"""Where the pages are, for the router; links between them go by path."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_VIEWS: Final = Path(__file__).resolve().parent / "views"
RUNS: Final = str(_VIEWS / "runs.py")
RUN: Final = str(_VIEWS / "run.py")
COMPARE: Final = str(_VIEWS / "compare.py")
LOSSES: Final = str(_VIEWS / "losses.py")
ALERTS: Final = str(_VIEWS / "alerts.py")
