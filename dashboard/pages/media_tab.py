"""The tab of images, tables and histograms: as they were at a step that a slider chooses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import streamlit as st

from dashboard import data, live, readings
from dashboard.markup import media as markup
from dashboard.markup.pieces import notice
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
        found = _listed(seen.info.id, seen.info.version, seen.info)
        if not found:
            live.html(markup.nothing(), key="no-media")
            return
        at = _step(sorted({each.step for each in found}))
        wanted = _named(newest(found, at))
        bodies = {m.id: _content(seen.info.id, m.id, seen.info) for m in wanted[:SHOWN] if m.kind != "image"}
        live.html(markup.gallery(seen.info.id, wanted[:SHOWN], bodies, len(wanted) - SHOWN), key="media cards")
    except MonitorError as error:
        live.html(notice("warning", *data.explain(error)), key="problem")


@st.cache_resource(show_spinner=False, max_entries=32)
def _listed(run_id: str, version: int, _run: RunInfo) -> tuple[Media, ...]:  # noqa: ARG001  # what the cache goes by
    return readings.api().view(_run).media()


@st.cache_resource(show_spinner=False, max_entries=64)
def _content(run_id: str, media_id: int, _run: RunInfo) -> dict[str, Any]:  # noqa: ARG001  # as above; it never changes
    found = json.loads(readings.api().view(_run).media_content(media_id))
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
    if at != steps[-1]:
        st.query_params[_AT] = str(at)
    elif _AT in st.query_params:
        del st.query_params[_AT]
    return at


def _named(found: list[Media]) -> list[Media]:
    """Those whose names hold every word of a search."""
    if len(found) <= _SEARCHED:
        return found
    typed = st.text_input(
        "Find by name", key="media", bind="query-params", placeholder="Find by name", label_visibility="collapsed",
        width=420,
    )  # fmt: skip
    words = (typed or "").lower().split()
    return [each for each in found if all(word in each.key.lower() for word in words)]
