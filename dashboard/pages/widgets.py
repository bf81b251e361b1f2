"""Widgets that several pages have. The address keeps what is chosen, under the widget's key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import streamlit as st

from dashboard import address, fields
from monitor.domain import RunInfo

T = TypeVar("T")
GROUPS: Final = (fields.SETTING, "group", "project", "status", "verdict")
"""Fields of every run that runs are grouped by; besides there are those of configurations and tags."""


def one_of(
    label: str, options: Sequence[T], key: str, *, titled: bool = True, shown: Callable[[T], str] = str,
    help: str | None = None, disabled: bool = False,  # as Streamlit calls it
) -> T:  # fmt: skip
    """A choice of one of a few, side by side; the first one at first."""
    return st.segmented_control(
        label, options, default=options[0], required=True, key=key, bind="query-params", format_func=shown, help=help,
        disabled=disabled, label_visibility="visible" if titled else "collapsed",
    )  # fmt: skip


def some_or_all(
    label: str, options: Sequence[str], key: str, nothing: str, *, shown: Callable[[str], str] = str,
    width: int | None = None,
) -> str | None:  # fmt: skip
    """A filter; None lets everything through.

    Args:
        nothing: what stands there then.
        width: in pixels; None: all there is.
    """
    return st.selectbox(
        label, options, index=None, placeholder=nothing, format_func=shown, key=key, bind="query-params",
        label_visibility="collapsed", width=width or "stretch",
    )  # fmt: skip


def search(label: str, key: str, *, placeholder: str = "", width: int | None = 420, most: int | None = None) -> str:
    """A field for words to look for, or a query.

    Args:
        placeholder: "" for the label.
        width: in pixels; None: all there is.
        most: letters; None: any number.
    """
    found = st.text_input(
        label, key=key, bind="query-params", placeholder=placeholder or label, label_visibility="collapsed",
        max_chars=most, width=width or "stretch",
    )  # fmt: skip
    return (found or "").strip()


def group_by(
    runs: Iterable[RunInfo], title_of: Callable[[str], str], *, placeholder: str = "Group by", width: int
) -> str | None:
    """The field by whose value runs are put together; one that the address names need not be among the runs'."""
    asked = st.query_params.get("by")
    runs, named = list(runs), [asked] if asked and fields.usable(asked) else []
    options = list(dict.fromkeys([*GROUPS, *fields.config_fields(runs), *fields.tag_fields(runs), *named]))
    address.begin("by", (), options, single=True)
    chosen = st.selectbox(
        "Group by", options, index=None, key="by", format_func=title_of, width=width, placeholder=placeholder,
        label_visibility="collapsed",
    )  # fmt: skip
    address.keep("by", [chosen] if chosen else [], ())
    return chosen
