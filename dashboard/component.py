"""Streamlit components of our own scripts; what the browser reports is kept as state, which a page reads."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import streamlit as st

from dashboard import assets

_PLAIN: Final = re.compile(r"[a-z]+(?:[ _-][a-z0-9]+)*")


def show(name: str, data: Mapping[str, object], *, key: str, tells: Sequence[str], **more: object) -> None:
    """Show a component; one of the same key is changed in place.

    Args:
        name: of its script in `assets/`, without `.js`.
        data: what the script gets.
        key: the element's identity; any text.
        tells: names of what the browser reports.
        more: passed on to Streamlit, such as the height in pixels.
    """
    callbacks = {f"on_{each}_change": _noticed for each in tells}
    _component(name)(key=safe_key(key), data=data, **callbacks, **more)


def told(key: str, name: str) -> Any:
    """What the browser reported last of an element; None before it has."""
    state = st.session_state.get(safe_key(key))
    return None if state is None else state.get(name)


def safe_key(key: str) -> str:
    """A key that any text may be part of, as a component's identity: Streamlit refuses some.

    >>> safe_key("runs"), safe_key("missing __x__")
    ('runs', 'missing-55974421903317f1')
    """
    if _PLAIN.fullmatch(key):
        return key
    head = _PLAIN.match(key)
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{head[0] if head else ''}-{digest}"


@functools.cache
def _component(name: str) -> Callable[..., object]:
    """Streamlit's component, registered once."""
    return st.components.v2.component(f"monitor_{name}", js=assets.module(f"{name}.js"), isolate_styles=False)


def _noticed() -> None:
    """Streamlit keeps a state value only where it has a callback."""
