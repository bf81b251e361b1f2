"""The dashboard's router: `streamlit run dashboard/app.py`, with the flags of `dashboard.options`."""

from __future__ import annotations

import sys
from pathlib import Path

# The folder that holds `dashboard/`, first: inside a wheel that is `monitor/_bundled`, and the folder from which the
# dashboard is started may have a `dashboard/` of its own.
_ROOT = str(Path(__file__).resolve().parent.parent)
if sys.path[:1] != [_ROOT]:
    sys.path.insert(0, _ROOT)

import streamlit as st  # noqa: E402  # the path comes first

from dashboard.pages import ALERTS, COMPARE, RUN, RUNS  # noqa: E402  # as above
from dashboard.theme import LOGO, STYLE_SHEET  # noqa: E402  # as above

st.set_page_config(page_title="monitor", page_icon=str(LOGO), layout="wide", initial_sidebar_state="collapsed")
st.html(STYLE_SHEET)
st.logo(str(LOGO), size="large")
st.navigation(
    [
        st.Page(RUNS, title="Runs", default=True),
        st.Page(RUN, title="Run", url_path="run", visibility="hidden"),
        st.Page(COMPARE, title="Compare", url_path="compare"),
        st.Page(ALERTS, title="Alerts", url_path="alerts"),
    ],
    position="top",
).run()
