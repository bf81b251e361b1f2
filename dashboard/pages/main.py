"""The script that Streamlit runs for every reader: the frame of the pages and the way between them.

It stands among the pages, since a folder `pages` beside the main script has a meaning of its own for Streamlit.
"""

from __future__ import annotations

from urllib.parse import quote

import streamlit as st

from dashboard import data, live, sessions, viewer
from dashboard.assets import LOGO, STYLE_SHEET
from dashboard.markup import access

st.set_page_config(page_icon=str(LOGO), layout="wide", initial_sidebar_state="collapsed")
st.html(STYLE_SHEET)
st.logo(str(LOGO), size="large")
chosen = st.navigation(
    [
        st.Page("attention.py", title="Attention", url_path="attention"),
        st.Page("run_list.py", title="Runs", default=True),
        st.Page("run_page.py", title="Run", url_path="run", visibility="hidden"),
        st.Page("comparison.py", title="Compare", url_path="compare"),
        st.Page("losses_page.py", title="Losses", url_path="losses"),
        st.Page("alerts.py", title="Alerts", url_path="alerts"),
        st.Page("settings_page.py", title="Settings", url_path="settings"),
    ],
    position="top",
)
if data.me() is None:
    viewer.title("Sign in")
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in st.query_params.items() if name != "refused")
    place = sessions.inside(st.query_params.get("place") or f"{chosen.url_path}{'?' if query else ''}{query}")
    live.html(access.sign_in(sessions.path("signin"), place, st.query_params.get("refused", "")), key="sign-in")
else:
    chosen.run()
