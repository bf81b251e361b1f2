"""What is ticked, between a browser that tells late and a page that has just ticked something itself."""

from __future__ import annotations

import pytest
import streamlit as st

from dashboard import live


@pytest.mark.parametrize(
    ("told", "pushed", "ticked"),
    [
        (None, "", "own"),
        ({"picked": ["a", "b"], "push": ""}, "", "a,b"),
        ({"picked": ["a"], "push": ""}, "all 1", "own"),
        ({"picked": ["a"], "push": "all 1"}, "all 1", "a"),
        ({"picked": [], "push": "all 1"}, "all 1", ""),
    ],
    ids=["nothing told", "told", "told before the push", "told after it", "cleared after it"],
)
def test_what_the_page_ticks_stands_until_the_browser_has_taken_it_over(
    monkeypatch: pytest.MonkeyPatch, told: object, pushed: str, ticked: str
) -> None:
    state = {} if told is None else {"runs": {"ticks": told}}
    monkeypatch.setattr(st, "session_state", state)
    assert ",".join(live.ticked("runs", ["own"], pushed)) == ticked
