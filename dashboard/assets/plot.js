// A Plotly chart that is changed in place, so that zoom, hover and legend outlive every refresh; `dashboard/plot.py` is
// its other half and says why `st.plotly_chart` does not do.

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
