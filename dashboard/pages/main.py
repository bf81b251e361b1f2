"""The script that Streamlit runs for every reader: the frame of the pages and the way between them.

It stands among the pages, since a folder `pages` beside the main script has a meaning of its own for Streamlit.
"""

from __future__ import annotations

import streamlit as st

from dashboard.assets import LOGO, STYLE_SHEET

st.set_page_config(page_icon=str(LOGO), layout="wide", initial_sidebar_state="collapsed")
st.html(STYLE_SHEET)
st.logo(str(LOGO), size="large")
st.navigation(
    [
        st.Page("attention.py", title="Attention", url_path="attention"),
        st.Page("run_list.py", title="Runs", default=True),
        st.Page("run_page.py", title="Run", url_path="run", visibility="hidden"),
        st.Page("comparison.py", title="Compare", url_path="compare"),
        st.Page("losses_page.py", title="Losses", url_path="losses"),
        st.Page("alerts.py", title="Alerts", url_path="alerts"),
    ],
    position="top",
).run()
