"""What is ticked, between a browser that tells late and a page that has just ticked something itself."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from dashboard import live

    st.text(",".join(live.ticked("runs", ["own"], st.session_state["pushed"])))


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
def test_what_the_page_ticks_stands_until_the_browser_has_taken_it_over(told: object, pushed: str, ticked: str) -> None:
    app = AppTest.from_function(page)
    app.session_state["pushed"] = pushed
    if told is not None:
        app.session_state["runs"] = {"ticks": told}
    assert app.run().text[0].value == ticked
