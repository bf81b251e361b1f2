"""The pages of the dashboard: scripts, titles and paths, shared by the navigation and the 404 page.

This file imports nothing of Streamlit, so that the door can ask it before a page is drawn.
"""

from __future__ import annotations

from collections.abc import Collection
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
        charts: True where it has a large chart.
        still: True if it needs the server and does not refresh by itself.
    """

    script: str
    title: str
    path: str
    hidden: bool = False
    charts: bool = False
    still: bool = False


PAGES: Final = (
    PageOf("attention.py", "Attention", ""),
    PageOf("run_list.py", "Runs", "runs"),
    PageOf("run_page.py", "Run", "run", hidden=True, charts=True),
    PageOf("comparison.py", "Compare", "compare", charts=True),
    PageOf("rules_page.py", "Rules", "rules", charts=True, still=True),
    PageOf("losses_page.py", "Losses", "losses", charts=True),
    PageOf("alerts.py", "Alerts", "alerts"),
    PageOf("settings_page.py", "Settings", "settings", still=True),
)
"""In the order of the navigation."""
MOVED: Final = {"attention": ""}
"""Addresses that a page had before, and its address now."""
LISTS: Final = frozenset(("project", "status", "verdict", "q", "sort", "cols", "by", "page"))
"""Parameters of the list of runs, which was the front page: an old link that has one leads to the list."""


def moved(path: str, names: Collection[str]) -> str | None:
    """Where a page is that an old link asks for; None where the address is right.

    >>> moved("attention", ()), moved("", ["status"]), moved("", ()), moved("runs", ["status"])
    ('', 'runs', None, None)
    """
    if path in MOVED:
        return MOVED[path]
    return "runs" if not path and not LISTS.isdisjoint(names) else None
