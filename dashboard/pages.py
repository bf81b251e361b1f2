"""Where the pages are, for the router and for links between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import streamlit as st

_VIEWS: Final = Path(__file__).resolve().parent / "views"
RUNS: Final = str(_VIEWS / "runs.py")
RUN: Final = str(_VIEWS / "run.py")
COMPARE: Final = str(_VIEWS / "compare.py")
ALERTS: Final = str(_VIEWS / "alerts.py")


def open_run(run_id: str) -> None:
    """Go to a run's page; the rest of the calling page does not run."""
    st.switch_page(RUN, query_params={"id": run_id})


def open_comparison(run_ids: Sequence[str]) -> None:
    """Go to the comparison of these runs."""
    st.switch_page(COMPARE, query_params={"run": list(run_ids)})
