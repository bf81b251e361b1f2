"""The script that Streamlit runs for every reader: the frame of the pages and the way between them."""

from __future__ import annotations

import streamlit as st

from dashboard.pages import ALERTS, COMPARE, LOSSES, RUN, RUNS
from dashboard.theme import LOGO, STYLE_SHEET

st.set_page_config(page_title="monitor", page_icon=str(LOGO), layout="wide", initial_sidebar_state="collapsed")
st.html(STYLE_SHEET)
st.logo(str(LOGO), size="large")
st.navigation(
    [
        st.Page(RUNS, title="Runs", default=True),
        st.Page(RUN, title="Run", url_path="run", visibility="hidden"),
        st.Page(COMPARE, title="Compare", url_path="compare"),
        st.Page(LOSSES, title="Losses", url_path="losses"),
        st.Page(ALERTS, title="Alerts", url_path="alerts"),
    ],
    position="top",
).run()
