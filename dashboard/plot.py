"""A Plotly figure that is changed in place, so that zoom, hover and legend choices outlive every refresh.

`st.plotly_chart` mounts a new chart whenever the figure changes, which once a second means a flicker and a lost zoom.
This component keeps the chart and hands it the new data. It also reports the window that the reader zoomed to, so that
the page can read that part of the curve in full.
"""

from __future__ import annotations

import math
from importlib import metadata
from pathlib import Path
from typing import Final

import plotly
import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from dashboard.figure import Figure
from dashboard.live import safe_key

_PLOTLY_JS: Final = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
_FOREVER: Final = "public, max-age=31536000, immutable"

_SCRIPT: Final = """
const load = (url) => (window.__monitorPlotly ??= new Promise((done, failed) => {
  const script = document.createElement("script");
  script.src = url;
  script.onload = () => done(window.Plotly);
  script.onerror = () => {
    delete window.__monitorPlotly;
    script.remove();
    failed(new Error("The chart's script did not load; it is tried again with the next point."));
  };
  document.head.appendChild(script);
}));

const NARROW = 560;  // pixels

const number = (value) => (typeof value === "number" ? value : Date.parse(value.replace(" ", "T") + "Z"));

function report(box, event) {
  if (event["xaxis.autorange"]) box.__tell("window", null);
  const range = event["xaxis.range"] ?? [event["xaxis.range[0]"], event["xaxis.range[1]"]];
  if (range[0] === undefined || range[1] === undefined) return;
  box.__tell("window", { revision: box.layout.uirevision, range: range.map(number) });
}

export default function ({ data, parentElement, setStateValue }) {
  let box = parentElement.querySelector(":scope > .lm-plot");
  if (!box) {
    box = document.createElement("div");
    box.className = "lm-plot";
    box.setAttribute("role", "figure");
    parentElement.appendChild(box);
  }
  const figure = JSON.parse(data.figure);
  box.style.height = `${figure.layout.height}px`;
  box.setAttribute("aria-label", data.alt);
  box.__tell = setStateValue;
  delete figure.layout.height;
  figure.layout.autosize = true;
  if (box.clientWidth < NARROW && figure.layout.legend && figure.layout.showlegend !== false) {
    figure.layout.title = { text: "" };  // the legend takes its place: beside it there is no room
    if (figure.layout.legend.orientation === "v") figure.layout.showlegend = false;  // the table below says the lines
    Object.assign(figure.layout.legend, { x: 0, xanchor: "left" });
  }
  const config = { displaylogo: false, responsive: true, displayModeBar: data.bar ? "hover" : false,
    showSendToCloud: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"] };
  load(data.plotly).then((Plotly) => {
    if (!box.isConnected) return;
    Plotly.react(box, figure.data, figure.layout, config);
    if (!box.__heard) {
      box.__heard = true;
      box.on("plotly_relayout", (event) => report(box, event));
    }
    box.dataset.drawn = "yes";
  }).catch((error) => { box.textContent = error.message; });
  return () => setTimeout(() => { if (!box.isConnected) window.Plotly?.purge(box); }, 0);
}
"""


def plot(figure: Figure, *, key: str, alt: str, bar: bool = True) -> None:
    """Show a figure; one of the same key is changed in place.

    Args:
        figure: with its height in the layout; `uirevision` says how long the reader's zoom is kept.
        key: the chart's identity.
        alt: the chart in a sentence, for screen readers.
        bar: show Plotly's buttons on hover.
    """
    mount = st.components.v2.component("monitor_plot", js=_SCRIPT, isolate_styles=False)
    data = {"figure": figure.to_json(), "alt": alt, "bar": bar, "plotly": plotly_url(versioned=True)}
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


def plotly_url(*, versioned: bool = False) -> str:
    """Where the browser gets Plotly's script from; with the version, so that it may be kept for good."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    path = f"/{base}/assets/plotly.min.js" if base else "/assets/plotly.min.js"
    return f"{path}?v={metadata.version('plotly')}" if versioned else path


def plotly_script(request: Request) -> Response:  # noqa: ARG001  # Starlette hands it over
    """The script that the installed Plotly brings along."""
    return FileResponse(_PLOTLY_JS, media_type="text/javascript", headers={"Cache-Control": _FOREVER})


def _noticed() -> None:
    """Streamlit keeps a state value only where it has a callback; pages read it with `window`."""
