"""The pages of the dashboard: their scripts, titles and addresses, once for the frame and for the server's 404.

This file imports nothing of Streamlit, so that the door can ask it before a page is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PageOf:
    """A page.

    Attributes:
        script: its file in `pages/`.
        title: what the navigation calls it.
        path: the last part of its address, "" for the front page.
        hidden: True where another page leads to it.
    """

    script: str
    title: str
    path: str
    hidden: bool = False


PAGES: Final = (
    PageOf("attention.py", "Attention", "attention"),
    PageOf("run_list.py", "Runs", ""),
    PageOf("run_page.py", "Run", "run", hidden=True),
    PageOf("comparison.py", "Compare", "compare"),
    PageOf("rules_page.py", "Rules", "rules"),
    PageOf("losses_page.py", "Losses", "losses"),
    PageOf("alerts.py", "Alerts", "alerts"),
    PageOf("settings_page.py", "Settings", "settings"),
)
"""In the order of the navigation."""
