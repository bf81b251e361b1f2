"""Widget values kept in the page's URL.

Streamlit's own binding writes a choice's label rather than its value, so a link would break when a label changes. Here
the URL follows the widget. If the URL holds something other than what was last written there, the user followed a link
or went back, and the widget follows the URL.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import streamlit as st

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """What was last written to the URL. It may lag: a rerun that started earlier still carries the old value.

    Attributes:
        value: what the URL should hold.
        before: what it held when the value was written; None once it has held the value.
    """

    value: T
    before: T | None = None

    def read(self, said: T) -> Written[T] | None:
        """The new state after the URL was read; None if the URL changed on its own and the widget has to follow it.

        >>> late = Written("a").write("b", said="a")
        >>> late.read("a") is late, late.read("b"), late.read("c")
        (True, Written(value='b', before=None), None)
        """
        if said == self.value:
            return Written(said)
        return self if said == self.before else None

    def write(self, value: T, *, said: T) -> Written[T]:
        """The new state after a value is written over what the URL holds now."""
        return Written(value, None if value == said else said)


def begin(key: str, usual: Sequence[str], allowed: Collection[str] | None = None, *, single: bool = False) -> None:
    """Set a widget's value from the URL, before it is drawn.

    Args:
        key: of the widget, and of the URL parameter.
        allowed: valid values; others in the URL are ignored. None allows all.
        single: the widget holds one value or None, rather than a list.
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
    """Write the widget's value to the URL, unless it is the default."""
    wanted = () if list(chosen) == list(usual) else tuple(chosen)
    said = tuple(st.query_params.get_all(key))
    write(key, wanted)
    known = st.session_state.get(_of(key), Written(said))
    st.session_state[_of(key)] = known.write(wanted, said=said)


def write(parameter: str, values: str | Sequence[str]) -> None:
    """Write a parameter of the URL, unless it says so already; "" or no values take it away."""
    wanted = [values] if values and isinstance(values, str) else list(values)
    if wanted and wanted != st.query_params.get_all(parameter):
        st.query_params[parameter] = wanted
    elif not wanted and parameter in st.query_params:
        del st.query_params[parameter]


def _of(key: str) -> str:
    return f"_written {key}"
