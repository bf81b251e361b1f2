"""What a reader has chosen, kept in the address under the values' own names.

Streamlit's own binding writes what a choice shows, not what it is, so that a column whose title changes would be lost.
Here the address follows the choice; where it says something else than what was written there last, somebody came by a
link or went back, and the choice follows the address.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import streamlit as st

from dashboard import live

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """What was written into the address last, which may lag: a rerun that was asked for earlier brings the old one.

    Attributes:
        value: what the address is to say.
        before: what it said when the value was written, until it has said the value.
    """

    value: T
    before: T | None = None

    def read(self, said: T) -> Written[T] | None:
        """What to remember after the address said something; None where that is news, and the choice has to follow it.

        >>> late = Written("a").write("b", said="a")
        >>> late.read("a") is late, late.read("b"), late.read("c")
        (True, Written(value='b', before=None), None)
        """
        if said == self.value:
            return Written(said)
        return self if said == self.before else None

    def write(self, value: T, *, said: T) -> Written[T]:
        """What to remember after a value is written over what the address says now."""
        return Written(value, None if value == said else said)


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
    known = state.get(_of(key)) if key in state else None
    heard = known.read(asked) if known is not None else None
    if heard is None:
        chosen = list(asked or usual)
        state[key] = (chosen[0] if chosen else None) if single else chosen
    state[_of(key)] = heard or Written(asked)


def keep(key: str, chosen: Sequence[str], usual: Sequence[str]) -> None:
    """Write what was chosen into the address; nothing where it is the usual."""
    wanted = () if list(chosen) == list(usual) else tuple(chosen)
    said = tuple(st.query_params.get_all(key))
    if wanted != said:
        if wanted:
            st.query_params[key] = list(wanted)
        else:
            del st.query_params[key]
    known = st.session_state.get(_of(key), Written(said))
    st.session_state[_of(key)] = known.write(wanted, said=said)


def ranked(key: str) -> str:
    """What a table is sorted by: a title in the address, which a click on another one in the element replaces."""
    asked = live.heard(key)
    if asked is not None and asked.act == "sort":
        st.query_params["rank"] = asked.arg
    return st.query_params.get("rank", "")


def _of(key: str) -> str:
    return f"_written {key}"
