"""Who looks at the page: the time zone and the colour mode that the browser tells."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from dashboard.charts.axes import Look, XAxis
from dashboard.theme import palette
from monitor.domain import inert


def title(name: str) -> None:
    """Name the browser's tab, so that several open pages can be told apart."""
    st.set_page_config(page_title=f"{inert(name)} · monitor")


def zone() -> tzinfo:
    """The reader's time zone; UTC where the browser does not tell, or names one that is not known here."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def look(x_axis: XAxis, scale: str, *, revision: str, quantity: str = "loss", unit: str = "step") -> Look:
    """How this reader looks at a chart.

    Args:
        x_axis: "step", "epoch", "wall_time" or "relative".
        scale: "auto", "linear" or "log".
        revision: the reader's zoom is kept as long as this does not change.
        quantity: what the y axis shows, "loss" or "skill".
        unit: what the run's steps count, "step" or "epoch".
    """
    offset = datetime.now(zone()).utcoffset()
    return Look(
        palette=palette(st.context.theme.type),
        x_axis=x_axis,
        scale=scale,
        revision=revision,
        quantity=quantity,
        unit=unit,
        offset_ms=int(offset.total_seconds() * 1000) if offset else 0,
    )
