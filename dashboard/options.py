"""The flags that Streamlit is started with: theme, and no banners, telemetry or forced garbage collections.

This file imports nothing, so that whoever starts the dashboard can read it without loading Streamlit.
"""

from __future__ import annotations

from typing import Final

LIGHT: Final[dict[str, str]] = {
    "primaryColor": "#2f5bd0",
    "backgroundColor": "#fcfcfb",
    "secondaryBackgroundColor": "#f3f3f0",
    "textColor": "#1d1f23",
    "linkColor": "#2f5bd0",
    "borderColor": "#e2e2dd",
    "redColor": "#b4233c",
    "orangeColor": "#a35a00",
    "greenColor": "#0b7a5b",
    "blueColor": "#2f5bd0",
    "grayColor": "#6a6d75",
}
"""Streamlit's colours in light mode."""

DARK: Final[dict[str, str]] = {
    "primaryColor": "#4d7ce6",
    "backgroundColor": "#111317",
    "secondaryBackgroundColor": "#1a1d23",
    "textColor": "#e7e8ea",
    "linkColor": "#8fb0ff",
    "borderColor": "#2c3038",
    "redColor": "#ff8a95",
    "orangeColor": "#f0b35a",
    "greenColor": "#5fd0a8",
    "blueColor": "#8fb0ff",
    "grayColor": "#9a9ea8",
}
"""Streamlit's colours in dark mode."""

_SHAPE: Final[dict[str, str]] = {
    "baseFontSize": "15",
    "baseRadius": "6px",
    "buttonRadius": "6px",
    "headingFontWeights": "[650, 650, 600, 600, 600, 600]",
    "headingFontSizes": '["1.5rem", "1.2rem", "1.05rem", "1rem", "0.95rem", "0.9rem"]',
    "showWidgetBorder": "true",
    "linkUnderline": "false",
}

_QUIET: Final[dict[str, str]] = {
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "server.fileWatcherType": "none",
    "server.headless": "true",
    "server.runOnSave": "false",
    "runner.magicEnabled": "false",
    "runner.postScriptGC": "false",  # a full collection after each refresh of each page
}

STREAMLIT_FLAGS: Final[tuple[str, ...]] = (
    *(f"--{name}={value}" for name, value in _QUIET.items()),
    *(f"--theme.{name}={value}" for name, value in _SHAPE.items()),
    *(f"--theme.light.{name}={value}" for name, value in LIGHT.items()),
    *(f"--theme.dark.{name}={value}" for name, value in DARK.items()),
)
"""What follows `streamlit run dashboard/app.py` on the command line, besides address and port."""
