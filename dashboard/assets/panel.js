// One panel of the grid: its title with buttons, its picture, and what the pointer and the keyboard do in it.

import { at, draw } from "./drawing.js";
import { download } from "./saving.js";

export function tag(name, css, text = "") {
  const made = document.createElement(name);
  made.className = css;
  made.textContent = text;
  return made;
}

// Values at the cursor, in the title of each panel that is drawn.
export function point(root, x) {
  for (const figure of root.querySelectorAll(".lm-panel")) {
    const box = figure.querySelector(".lm-box"), place = box.__place, line = box.querySelector(".lm-cursor");
    const said = figure.querySelector(".lm-at");
    if (!place || !line) continue;
    const inside = x !== null && x >= place.left && x <= place.right;
    line.setAttribute("visibility", inside ? "visible" : "hidden");
    if (inside) for (const end of ["x1", "x2"]) line.setAttribute(end, place.x(x));
    const lines = root.__data.curves[figure.dataset.key] ?? [];
    said.textContent = inside ? at(lines, x, root.__data.x) : said.dataset.last;
  }
}

function button(css, text, label, act) {
  const made = tag("button", `lm-mini ${css}`, text);
  made.type = "button";
  made.title = label;
  made.setAttribute("aria-label", label);
  made.onclick = act;
  return made;
}

export function makePanel(root, panel, large) {
  const figure = tag("figure", large ? "lm-panel lm-large" : "lm-panel");
  figure.dataset.key = panel.key;
  const caption = tag("figcaption", ""), name = tag("span", "lm-key-name", panel.title);
  name.title = panel.title;
  const box = tag("div", "lm-box");
  box.tabIndex = 0;
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", panel.said ?? panel.title);  // a panel that is not drawn yet has a name too
  caption.append(name, tag("span", "lm-clips"), tag("span", "lm-at"),
    button("lm-save", "SVG", `save ${panel.title} as SVG`, () => download(figure, "svg")),
    button("lm-save", "PNG", `save ${panel.title} as PNG`, () => download(figure, "png")),
    ...(root.__data.pinning ? [button("lm-pin", "☆", "", () => root.__pin(panel.key))] : []),
    button("lm-grow", "⤢", `enlarge ${panel.title}`, () => { figure.classList.toggle("lm-large"); paint(root, figure, true); }));
  figure.append(caption, box);
  box.onpointermove = (event) => moved(root, box, event);
  box.onpointerleave = () => { if (root.__drag === undefined) cursor(root, null); };
  box.onpointerdown = (event) => { if (event.button === 0 && box.__place) { root.__drag = event.offsetX; box.setPointerCapture(event.pointerId); } };
  box.onpointerup = (event) => released(root, box, event);
  box.ondblclick = () => zoom(root, null);
  box.onkeydown = (event) => keyed(root, box, event);
  root.__watch.observe(figure);
  return figure;
}

function cursor(root, x) {
  point(root, x);
  dispatchEvent(new CustomEvent("lm-cursor", { detail: { x, from: root } }));
}

function moved(root, box, event) {
  if (!box.__place) return;
  cursor(root, box.__place.back(event.offsetX));
  if (root.__drag === undefined) return;
  const drag = box.querySelector(".lm-drag");
  drag.setAttribute("visibility", "visible");
  drag.setAttribute("x", Math.min(root.__drag, event.offsetX));
  drag.setAttribute("width", Math.abs(event.offsetX - root.__drag));
}

function released(root, box, event) {
  const begin = root.__drag;
  root.__drag = undefined;
  box.querySelector(".lm-drag")?.setAttribute("visibility", "hidden");
  if (begin === undefined || Math.abs(event.offsetX - begin) < 6) return;
  zoom(root, [begin, event.offsetX].map(box.__place.back).sort((a, b) => a - b));
}

function keyed(root, box, event) {
  const place = box.__place;
  if (!place) return;
  const size = place.right - place.left, middle = root.__cursor ?? (place.left + place.right) / 2;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    root.__cursor = Math.min(place.right, Math.max(place.left, middle + (event.key === "ArrowLeft" ? -1 : 1) * size / 50));
    cursor(root, root.__cursor);
  } else if (event.key === "+") zoom(root, [middle - size / 4, middle + size / 4]);
  else if (event.key === "-") zoom(root, [middle - size, middle + size]);
  else if (event.key === "0" || event.key === "Escape") zoom(root, null);
  else return;
  event.preventDefault();
}

function zoom(root, range) {
  root.__window = range;
  root.__tell("window", { range, n: `${Date.now()} ${Math.random()}` });
  paintAll(root);
}

export function paint(root, figure, force = false) {
  const data = root.__data, key = figure.dataset.key, box = figure.querySelector(".lm-box"), lines = data.curves[key];
  const panel = root.__panels.get(key);
  if (!lines || !panel || (!figure.__near && !force)) return;
  const said = figure.querySelector(".lm-at");
  said.dataset.last = panel.last;
  said.textContent = panel.last;
  box.setAttribute("aria-label", panel.said);
  const look = JSON.stringify([root.__window, data.ignoring, data.x, panel.log, box.clientWidth, Boolean(box.closest(".lm-large"))]);
  if (box.__lines === lines && box.__look === look) return;
  Object.assign(box, { __lines: lines, __look: look });
  draw(box, panel, lines, data, root.__window);
}

export const paintAll = (root) => root.querySelectorAll(".lm-panel").forEach((figure) => paint(root, figure));
