"""A grid of small charts over every metric, drawn in the browser (`assets/panels.js`).

The browser tells which panels came into view, and only those are read, in one request. It keeps what the reader did
(zoom, pins, folded sections, search) and reports it as state; the page keeps that in the address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st

from dashboard import component, readings
from dashboard.charts.grid import Line, Section

FIRST: Final = 12
"""Panels that are read before the browser has told which are in view."""


def show(
    sections: Sequence[Section],
    curves: Mapping[str, Sequence[Line]],
    *,
    key: str,
    x_axis: str,
    window: tuple[float, float] | None = None,
    ignoring: bool = False,
    pins: Sequence[str] = (),
    closed: Sequence[str] = (),
    search: str = "",
    finding: bool = False,
    pinning: bool = False,
) -> None:
    """Show panels; those of the same key are changed in place.

    Args:
        sections: all panels by their sections, whether their curves were read or not.
        curves: what was read, by the panel's key.
        key: the element's identity.
        x_axis: "step", "epoch", "wall_time" or "relative"; or another name of what stands on it.
        window: left and right end of the x axis in its own unit; None for all.
        ignoring: leave outliers off the y axes.
        pins: keys of panels that stand first.
        closed: names of sections that are folded.
        search: words that a metric's name must hold.
        finding: whether there is a search box.
        pinning: whether panels can be pinned.
    """
    data = readings.once(f"{key} written", (sections, curves), lambda: _written(sections, curves)) | {
        "x": {"kind": x_axis}, "window": list(window) if window else None, "ignoring": ignoring, "pins": list(pins),
        "closed": list(closed), "search": search, "finding": finding, "pinning": pinning,
    }  # fmt: skip
    component.show("panels", data, key=key, tells=("seen", "pins", "closed", "search", "window"))


def _written(sections: Sequence[Section], curves: Mapping[str, Sequence[Line]]) -> dict[str, object]:
    return {
        "sections": [section.to_dict() for section in sections],
        "curves": {name: [line.to_dict() for line in lines] for name, lines in curves.items()},
    }


def in_view(key: str, sections: Sequence[Section], closed: Sequence[str], pins: Sequence[str]) -> list[str]:
    """The keys of the panels whose curves are needed: what the browser has in view, the first ones before it tells."""
    known = {panel.key for section in sections for panel in section.panels}
    seen = component.told(key, "seen")
    if isinstance(seen, list):
        return [str(each) for each in seen if each in known]
    first = [panel.key for section in sections if section.name not in closed for panel in section.panels]
    return list(dict.fromkeys([*(pin for pin in pins if pin in known), *first]))[:FIRST]


def kept(key: str, name: str, otherwise: Sequence[str]) -> list[str]:
    """A list that the reader changed in the browser ("pins", "closed"); `otherwise` before it was set."""
    value = component.told(key, name)
    return [str(each) for each in value] if isinstance(value, list) else list(otherwise)


def searched(key: str, otherwise: str) -> str:
    """The words that the reader looks for."""
    value = component.told(key, "search")
    return value if isinstance(value, str) else otherwise


def zoomed(key: str) -> tuple[bool, tuple[float, float] | None]:
    """Whether the reader has zoomed since the last call, and to what; None is all."""
    value = component.told(key, "window")
    known: dict[str, str] = st.session_state.setdefault("_panel_zooms", {})
    if not isinstance(value, dict) or known.get(key) == value.get("n"):
        return False, None
    known[key] = str(value.get("n"))
    found = value.get("range")
    return True, (float(found[0]), float(found[1])) if isinstance(found, list) and len(found) == 2 else None
