"""HTML that refreshes in place and reports clicks, without an iframe and without losing focus or hover.

Streamlit's own HTML element is replaced as a whole when it changes, and a link in it starts a new session. This
component (`assets/live.js`) changes only the nodes that differ, which Idiomorph finds, and follows links with `data-go`
within the session. The browser keeps what the reader did, and reports it as state.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from markupsafe import Markup

from dashboard import component, readings


@dataclass(frozen=True, slots=True)
class Act:
    """What was asked for: the `data-act` of a button, and its `data-arg`, or the value of the field that it names."""

    act: str
    arg: str


def html(body: Markup, *, key: str, ticks: Sequence[str] = (), push: str = "") -> None:
    """Show HTML.

    Args:
        body: HTML of a template, in which everything that a user wrote is escaped.
        key: the element's identity; an element of the same key is changed in place.
        ticks: what is ticked where the browser does not know better.
        push: the browser takes the ticks over once for each value of this; "" for never.

    Raises:
        TypeError: the text is not a template's.
    """
    if not isinstance(body, Markup):
        raise TypeError("only what a template has made is shown as HTML")
    heard = st.session_state.get("_heard", {}).get(key, "")
    sent = {"html": body, "heard": heard, "session": _session(), "key": key, "ticks": list(ticks), "push": push}
    component.show("live", sent, key=key, tells=("act", "ticks"))


def heard(key: str) -> Act | None:
    """The actions requested since the last call, each once.

    The browser keeps a request until it is acknowledged, so no page run that was in progress at the click, or was
    dropped for a later one, can lose it.
    """
    value = component.told(key, "act")
    if not isinstance(value, dict) or value.get("session") != _session():  # requested of an earlier process
        return None
    known: dict[str, str] = st.session_state.setdefault("_heard", {})
    if known.get(key) == value["n"]:
        return None
    known[key] = str(value["n"])
    readings.acted()
    return Act(str(value["act"]), str(value["arg"]))


def ticked(key: str, otherwise: Sequence[str], push: str = "") -> list[str]:
    """The ticked items of an element, in click order.

    Args:
        otherwise: what is ticked where the browser has not told, or not yet taken over what was pushed last.
        push: as `html` was last given it.
    """
    value = component.told(key, "ticks")
    if not isinstance(value, dict) or value["push"] != push:
        return list(otherwise)
    return [str(each) for each in value["picked"]]


def ranked(key: str) -> str:
    """What a table is sorted by: a title in the address, which a click on another one in the element replaces."""
    asked = heard(key)
    if asked is not None and asked.act == "sort":
        st.query_params["rank"] = asked.arg
    return st.query_params.get("rank", "")


def _session() -> str:
    """Identifies this session; a page of an earlier one may still be open in the browser."""
    found: str = st.session_state.setdefault("_session", secrets.token_hex(8))
    return found
