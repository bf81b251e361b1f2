// A Plotly chart that is changed in place, so that zoom, hover and legend outlive every refresh; `dashboard/plot.py` is
// its other half and says why `st.plotly_chart` does not do.

import { ends, unpacked } from "./arrays.js";
import { picture, place } from "./labels.js";

// The page's head has asked for the script already, unless the reader came from a page without charts.
const load = (url) => (window.__monitorPlotly ??= new Promise((done, failed) => {
  if (window.Plotly) { done(window.Plotly); return; }
  const script = [...document.scripts].find((each) => new URL(url, location).href === each.src) ?? document.createElement("script");
  script.src ||= url;
  script.onload = () => done(window.Plotly);
  script.onerror = () => {
    delete window.__monitorPlotly;
    script.remove();
    failed(new Error("The chart's script did not load; it is tried again with the next point."));
  };
  if (!script.isConnected) document.head.appendChild(script);
}));

const NARROW = 560;  // pixels
const ROOM = 0.05;  // of the axis, above and below what is fitted

const number = (value) => (typeof value === "number" ? value : Date.parse(value.replace(" ", "T") + "Z"));

// A figure as Python writes it, with its arrays as numbers. An x that several curves share is written once.
function read(written) {
  const figure = JSON.parse(written);
  for (const trace of figure.data) {
    trace.x = trace.x?.of === undefined ? unpacked(trace.x) : figure.data[trace.x.of].x;
    trace.y = unpacked(trace.y);
  }
  return figure;
}

// The points of all curves between two places of the x axis: y as the axis counts it, and which point of which curve.
function within(traces, [left, right], log) {
  const found = [];
  for (const trace of traces) {
    if ((trace.yaxis ?? "y") !== "y" || trace.visible === "legendonly" || !trace.mode?.includes("lines")) continue;
    const xs = trace.x ?? [], ys = trace.y ?? [];
    for (let i = 0; i < xs.length; i += 1) {
      const x = number(xs[i]), y = log ? Math.log10(ys[i]) : ys[i];
      if (x >= left && x <= right && Number.isFinite(y)) found.push({ y, point: `${trace.legendgroup} ${x}` });
    }
  }
  return found.sort((a, b) => a.y - b.y);
}

// The range of the y axis that shows what lies between two places of the x axis, and how many points lie outside of it.
function fitted(traces, window_, log, ignoring) {
  const found = within(traces, window_, log);
  if (!found.length) return null;
  const range = ends(found.map(({ y }) => y), log, ignoring, ROOM);
  const outside = found.filter(({ y }) => y < range[0] || y > range[1]).map(({ point }) => point);
  return { range, outside: new Set(outside).size };  // a smoothed point is no second one
}

// Fit the y axis of a figure to what the reader looks at: to the window, and without outliers where they are ignored.
function fit(box, figure) {
  const ignoring = Boolean(figure.layout.meta?.ignoring), zoom = box.__zoom;
  if (zoom?.y || (!zoom && !ignoring)) return null;
  const found = fitted(figure.data, zoom?.x ?? [-Infinity, Infinity], figure.layout.yaxis?.type === "log", ignoring);
  if (found) Object.assign(figure.layout.yaxis, { range: found.range, autorange: false });
  return found;
}

function badge(box, outside) {
  const name = "lm-clipped";
  let found = box.querySelector(`:scope > .${name}`);
  if (!outside) { found?.remove(); return; }
  if (!found) {
    found = document.createElement("span");
    found.className = name;
    box.appendChild(found);
  }
  found.textContent = `${outside.toLocaleString("en")} clipped`;
  found.title = "Values that lie outside of the axis, since outliers are ignored";
}

function range(event, axis) {
  const found = event[`${axis}.range`] ?? [event[`${axis}.range[0]`], event[`${axis}.range[1]`]];
  return found[0] === undefined || found[1] === undefined ? null : [...found].map(number).sort((a, b) => a - b);
}

// Keep what the reader zoomed to, and tell the page, which reads that part of the curve in full.
function zoomed(box, event, draw) {
  const x = range(event, "xaxis"), y = range(event, "yaxis");
  if (event["xaxis.autorange"]) box.__zoom = null;
  else if (x) box.__zoom = { x, y };
  else if (y && box.__zoom) box.__zoom = { ...box.__zoom, y };
  else return;
  box.__tell("window", { revision: box.__revision, range: box.__zoom?.x ?? null, n: Date.now() });
  draw();
}

// The zoom that the address asks for, once for each of them; after that the reader's own stands.
function begin(box, figure) {
  if (box.__revision === figure.layout.uirevision) return;
  box.__revision = figure.layout.uirevision;
  const x = figure.layout.meta?.window;
  box.__zoom = x ? { x, y: null } : null;
}

// The cursor of the panels on the same page (`panels.js`), there and back.
function shareCursor(box, Plotly) {
  const tell = (x) => { if (!box.__echo) dispatchEvent(new CustomEvent("lm-cursor", { detail: { x, from: box } })); };
  box.on("plotly_hover", (event) => tell(number(event.xvals?.[0] ?? event.points[0].x)));
  box.on("plotly_unhover", () => tell(null));
  box.__hear = ({ detail: { x, from } }) => {
    if (from === box || !box.isConnected || !box._fullLayout?.xaxis) return;
    box.__echo = true;
    try {
      if (x === null) Plotly.Fx.unhover(box);
      else Plotly.Fx.hover(box, { xval: x }, ["xy"]);
    } finally { box.__echo = false; }
  };
  addEventListener("lm-cursor", box.__hear);
}

// Buttons that save the chart as it is seen; Plotly's own would leave the labels where they covered each other.
const saving = (Plotly) => ["png", "svg"].map((format) => ({
  name: `Download as ${format.toUpperCase()}`, icon: format === "png" ? Plotly.Icons.camera : Plotly.Icons.disk, attr: format,
  click: (chart) => Plotly.downloadImage(picture(chart), { format, filename: "chart", width: chart.clientWidth, height: chart.clientHeight }),
}));

export default function ({ data, parentElement, setStateValue }) {
  let box = parentElement.querySelector(":scope > .lm-plot");
  if (!box) {
    box = document.createElement("div");
    box.className = "lm-plot";
    box.setAttribute("role", "figure");
    box.__watch = new ResizeObserver(() => {  // Plotly itself looks at the window's size alone
      if (!box.__draw || !box.clientWidth || box.clientWidth === box.__width) return;
      box.__width = box.clientWidth;
      window.Plotly.Plots.resize(box).then(() => box.__draw(), () => {});
    });
    box.__watch.observe(box);
    parentElement.appendChild(box);
  }
  box.style.height = `${data.height}px`;
  box.setAttribute("aria-label", data.alt);
  box.__tell = setStateValue;
  const config = { displaylogo: false, responsive: false, displayModeBar: data.bar && box.clientWidth >= NARROW ? "hover" : false,
    showSendToCloud: false, doubleClick: "autosize",
    modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"] };
  load(data.plotly).then((Plotly) => {
    if (!box.isConnected) return;
    config.modeBarButtonsToAdd = saving(Plotly);
    box.__draw = () => {
      const figure = read(data.figure);
      delete figure.layout.height;
      figure.layout.autosize = true;
      if (box.clientWidth < NARROW && figure.layout.legend && figure.layout.showlegend !== false) {
        figure.layout.title = { text: "" };  // the legend takes its place: beside it there is no room
        if (figure.layout.legend.orientation === "v") figure.layout.showlegend = false;  // the table below says the lines
        Object.assign(figure.layout.legend, { x: 0, xanchor: "left" });
      }
      for (const trace of figure.data) if (trace.type === "parcoords" && box.clientWidth < NARROW) {
        trace.labelangle = -25;  // or the axes' titles lie on each other
        trace.line.showscale = false;
      }
      begin(box, figure);
      // Plotly keeps a zoom only while the axis it began from is the same, and new points move that.
      if (box.__zoom) Object.assign(figure.layout.xaxis, { range: box.__zoom.x, autorange: false });
      const found = fit(box, figure);
      Plotly.react(box, figure.data, figure.layout, config);
      box.__width = box.clientWidth;
      place(box);
      badge(box, found?.outside);
    };
    if (box.__drawn !== data.figure) box.__draw();  // most answers of a page leave the chart as it is
    box.__drawn = data.figure;
    if (!box.__heard) {
      box.__heard = true;
      box.on("plotly_afterplot", () => place(box));
      box.on("plotly_relayout", (event) => zoomed(box, event, () => box.__draw()));
      shareCursor(box, Plotly);
    }
    box.dataset.drawn = "yes";
  }).catch((error) => { box.textContent = error.message; });
  return () => setTimeout(() => { if (!box.isConnected) { removeEventListener("lm-cursor", box.__hear); box.__watch.disconnect(); window.Plotly?.purge(box); } }, 0);
}
