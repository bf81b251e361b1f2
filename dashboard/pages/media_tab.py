"""The tab of images, tables and histograms: as they were at a step that a slider chooses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import streamlit as st

from dashboard import address, live, readings
from dashboard.markup import media as markup
from dashboard.markup import pieces
from dashboard.markup.templates import fill
from dashboard.pages import widgets
from monitor.domain import RunInfo, RunSnapshot
from monitor.domain.formats import step
from monitor.domain.media import Media
from monitor.errors import MonitorError

SHOWN: Final = 24
"""Names that are shown at once."""
_SEARCHED: Final = 6
_AT: Final = "at"
_KEY: Final = "media_step"


def show(seen: RunSnapshot) -> None:
    """Draw the tab."""
    try:
        found = _listed(seen.info)
        if not found:
            live.html(fill("media", "nothing"), key="no-media")
            return
        at = _step(sorted({each.step for each in found}))
        wanted = _named(newest(found, at))
        bodies = {m.id: _content(seen.info, m.id) for m in wanted[:SHOWN] if m.kind != "image"}
        live.html(markup.gallery(seen.info.id, wanted[:SHOWN], bodies, len(wanted) - SHOWN), key="media cards")
    except MonitorError as error:
        live.html(pieces.problem(error), key="problem")


@st.cache_resource(show_spinner=False, max_entries=32, hash_funcs=readings.BY_VERSION)
def _listed(run: RunInfo) -> tuple[Media, ...]:
    return readings.api().view(run).media()


@st.cache_resource(show_spinner=False, max_entries=64, hash_funcs=readings.BY_ID)
def _content(run: RunInfo, media_id: int) -> dict[str, Any]:
    found = json.loads(readings.api().view(run).media_content(media_id))
    assert isinstance(found, dict)
    return found


def newest(found: Sequence[Media], at: int) -> list[Media]:
    """Of each name the last one up to a step, by name."""
    kept = {each.key: each for each in found if each.step <= at}  # they come by step
    return list(kept.values())


def _step(steps: Sequence[int]) -> int:
    """The step to look at, kept in the address; the last one is followed while the run continues."""
    state = st.session_state
    asked, last = state.get(_KEY), state.get("_media_last", steps[-1])
    if asked is None:
        written = st.query_params.get(_AT, "")
        asked = int(written) if written.lstrip("-").isdecimal() and len(written) < 20 else last
    at = steps[-1] if asked == last else min(steps, key=lambda each: abs(each - asked))
    state["_media_last"] = steps[-1]
    if len(steps) > 1:
        state[_KEY] = at
        at = st.select_slider("Step", steps, key=_KEY, format_func=step, width=620)
    address.write(_AT, str(at) if at != steps[-1] else "")
    return at


def _named(found: list[Media]) -> list[Media]:
    """Those whose names hold every word of a search."""
    if len(found) <= _SEARCHED:
        return found
    words = widgets.search("Find by name", "media").lower().split()
    return [each for each in found if all(word in each.key.lower() for word in words)]
