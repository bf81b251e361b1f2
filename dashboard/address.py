"""What a reader has chosen, kept in the address under the values' own names.

Streamlit's own binding writes what a choice shows, not what it is, so that a column whose title changes would be lost.
Here the address follows the choice; where it says something else than what was written there last, somebody came by a
link or went back, and the choice follows the address.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st


def begin(key: str, usual: Sequence[str], allowed: Collection[str] | None = None, *, single: bool = False) -> None:
    """Give a widget what the address says, before it is drawn.

    Args:
        key: of the widget, and of the parameter.
        usual: what is chosen where the address says nothing.
        allowed: what can be chosen; anything else in the address is passed over. None for all.
        single: the widget holds one value or None.
    """
    asked = tuple(v for v in st.query_params.get_all(key) if allowed is None or v in allowed)
    state = st.session_state
    if key in state and state.get(f"_written {key}") == asked:
        state.pop(f"_before {key}", None)
        return
    # A rerun that was asked for before the address changed still brings the old one.
    if key in state and asked == state.get(f"_before {key}"):
        return
    chosen = list(asked or usual)
    state[key] = (chosen[0] if chosen else None) if single else chosen
    state[f"_written {key}"] = asked


def keep(key: str, chosen: Sequence[str], usual: Sequence[str]) -> None:
    """Write what was chosen into the address; nothing where it is the usual."""
    wanted = [] if list(chosen) == list(usual) else list(chosen)
    if wanted != st.query_params.get_all(key):
        st.session_state[f"_before {key}"] = tuple(st.query_params.get_all(key))
        if wanted:
            st.query_params[key] = wanted
        elif key in st.query_params:
            del st.query_params[key]
    st.session_state[f"_written {key}"] = tuple(wanted)
