"""The script that Streamlit runs for every reader: the frame of the pages and the way between them.

It stands among the pages, since a folder `pages` next to the main script has a meaning of its own for Streamlit.
"""

from __future__ import annotations

from urllib.parse import quote

import streamlit as st

from dashboard import data, live, news, readings, sessions, signing, viewer, words
from dashboard.assets import LOGO, STYLE_SHEET
from dashboard.markup import pieces
from dashboard.markup.templates import fill
from dashboard.navigation import PAGES

st.set_page_config(page_icon=str(LOGO), layout="wide", initial_sidebar_state="collapsed")
st.html(STYLE_SHEET)
st.logo(str(LOGO), size="large")
chosen = st.navigation(
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
)
if data.me() is None:
    viewer.title("Sign in")
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in st.query_params.items() if name != "refused")
    place = sessions.inside(st.query_params.get("place") or f"{chosen.url_path}{'?' if query else ''}{query}")
    html = fill(
        "access", "sign_in", action=sessions.path("signin"), place=place, provider=signing.provider_name(),
        refused=st.query_params.get("refused", ""), leads=f"{sessions.path('signin/provider')}?place={quote(place)}",
    )  # fmt: skip
    live.html(html, key="sign-in")
elif any(page.still and page.path == chosen.url_path for page in PAGES) and readings.away():
    viewer.title(chosen.title)
    live.html(pieces.head(chosen.title) + pieces.notice("warning", *words.AWAY, testid="unreachable"), key="away")
    news.awaited()
else:
    chosen.run()
