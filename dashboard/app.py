"""The dashboard: `streamlit run dashboard/app.py`, with the flags of `dashboard.options`.

`app` puts three things in front of Streamlit: a door that refuses foreign hosts and origins, a shell that answers
unknown paths, and routes for scripts, downloads, and signing in and out.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

# The folder that holds `dashboard/`, first: inside a wheel that is `monitor/_bundled`, and the folder from which the
# dashboard is started may have a `dashboard/` of its own.
_ROOT = str(Path(__file__).resolve().parent.parent)
if sys.path[:1] != [_ROOT]:
    sys.path.insert(0, _ROOT)

import streamlit as st  # noqa: E402  # the path comes first
from starlette.middleware import Middleware  # noqa: E402  # as above

from dashboard import assets, downloads, news, sessions, signing, warm  # noqa: E402  # as above
from dashboard.door import Door  # noqa: E402  # as above
from dashboard.navigation import PAGES, moved  # noqa: E402  # as above
from dashboard.shell import Shell  # noqa: E402  # as above
from monitor.settings import load  # noqa: E402  # as above


def explain(error: Exception) -> bool:
    """Show an unexpected error: what it is, and where the traceback was logged."""
    logging.getLogger("dashboard").exception("a page failed", exc_info=error)
    st.error(f"This page failed with {type(error).__name__}. The whole error is in the dashboard's log.")
    return True


warm.start()

app = st.App(
    Path(__file__).resolve().parent / "pages" / "main.py",
    middleware=[
        Middleware(Door, names=load().dashboard_hosts),
        Middleware(
            Shell,
            paths=[page.path for page in PAGES],
            base=str(st.get_option("server.baseUrlPath") or ""),
            moved=moved,
            early=lambda path: assets.early(charts=any(page.path == path and page.charts for page in PAGES)),
        ),
    ],
    routes=[*assets.routes(), *downloads.routes(), *news.routes(), *sessions.routes(), *signing.routes()],
    on_script_error=explain,
)
