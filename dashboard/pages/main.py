"""The script that Streamlit runs for every reader: the frame of the pages and the way between them.

It stands among the pages, since a folder `pages` beside the main script has a meaning of its own for Streamlit.
"""

from __future__ import annotations

import streamlit as st

from dashboard.assets import LOGO, STYLE_SHEET
from dashboard.navigation import PAGES

st.set_page_config(page_icon=str(LOGO), layout="wide", initial_sidebar_state="collapsed")
st.html(STYLE_SHEET)
st.logo(str(LOGO), size="large")
st.navigation(
    [
        st.Page(
            page.script,
            title=page.title,
            url_path=page.path or None,
            default=not page.path,
            visibility="hidden" if page.hidden else "visible",
        )
        for page in PAGES
    ],
    position="top",
).run()
