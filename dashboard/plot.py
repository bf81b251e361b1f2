"""A Plotly figure that is changed in place, so that zoom, hover and legend choices outlive every refresh.

`st.plotly_chart` mounts a new chart whenever the figure changes, which once a second means a flicker and a lost zoom.
This component (`assets/plot.js`) keeps the chart and hands it the new data. It also reports the window that the reader
zoomed to, so that the page can read that part of the curve in full.
"""

from __future__ import annotations

import math

import streamlit as st

from dashboard import assets
from dashboard.charts.figure import Figure
from dashboard.live import safe_key


def plot(figure: Figure, *, key: str, alt: str, bar: bool = True) -> None:
    """Show a figure; one of the same key is changed in place.

    Args:
        figure: with its height in the layout; `uirevision` says how long the reader's zoom is kept.
        key: the chart's identity.
        alt: the chart in a sentence, for screen readers.
        bar: show Plotly's buttons on hover.
    """
    mount = st.components.v2.component("monitor_plot", js=assets.module("plot.js"), isolate_styles=False)
    data = {"figure": figure.to_json(), "alt": alt, "bar": bar, "plotly": assets.url("plotly.min.js")}
    mount(key=safe_key(key), data=data, height=figure.height, on_window_change=_noticed)


def window(key: str, revision: str) -> tuple[float, float] | None:
    """The part of the x axis that the reader zoomed to, in the axis' own unit; None where all is shown.

    Args:
        key: of the plot.
        revision: the figure's `uirevision`; a zoom under another one no longer holds.
    """
    state = st.session_state.get(safe_key(key))
    value = state.get("window") if state is not None else None
    if not value or value.get("revision") != revision:
        return None
    low, high = sorted(float(v) for v in value["range"])
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None


def _noticed() -> None:
    """Streamlit keeps a state value only where it has a callback; pages read it with `window`."""
