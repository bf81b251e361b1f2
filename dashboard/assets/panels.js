// A grid of small charts over every metric, in sections; `dashboard/panels.py` is its other half.
//
// All panels share the x axis, the cursor and the zoom. Only what comes into view is asked for (`seen`), so that a run
// of a thousand metrics costs what a screen shows. Each panel is one SVG, drawn here from the points that Python sends.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 52, right: 10, top: 8, bottom: 22 };
const HEIGHT = 150, LARGE = 380, ROOM = 0.06, OUTLYING = 0.02, FAR = 700, SETTLE_MS = 120;

const values = (packed) => packed
  ? new Float64Array(Uint8Array.from(atob(packed), (c) => c.charCodeAt(0)).buffer) : new Float64Array(0);

function element(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

function tag(name, css, text = "") {
  const made = document.createElement(name);
  made.className = css;
  made.textContent = text;
  return made;
}

// Round numbers between two values.
function ticks(low, high, most) {
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const size = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= raw) ?? power * 10;
  const found = [];
  for (let at = Math.ceil(low / size) * size; at <= high + size * 1e-9 && found.length < 20; at += size) found.push(at);
  return found;
}

// Powers of ten, and between few of them 2 and 5.
function decades(low, high) {
  const found = [], step = Math.max(1, Math.ceil((high - low) / 4));
  for (let power = Math.floor(low); power <= Math.ceil(high); power += step)
    for (const part of high - low < 1.6 ? [1, 2, 5] : [1]) found.push(power + Math.log10(part));
  return found.filter((at) => at >= low && at <= high);
}

const SUFFIX = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

function short(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+inf" : "-inf";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e12 || size < 1e-4)) return value.toExponential(1).replace("e+", "e").replace(".0e", "e");
  for (const [unit, suffix] of SUFFIX) if (size >= 10 * unit || (size >= unit && unit > 1e3)) return `${+(value / unit).toPrecision(3)}${suffix}`;
  return size >= 1000 ? value.toLocaleString("en", { maximumFractionDigits: 0 }) : String(+value.toPrecision(4));
}

const two = (n) => String(n).padStart(2, "0");
function moment(ms) {
  const at = new Date(ms);
  return `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
}

const shownX = (value, x) => x.kind === "wall_time" ? moment(value)
  : Number.isInteger(value) ? value.toLocaleString("en") : String(+value.toPrecision(6));

function unpacked(line) {
  line.xs ??= values(line.x);
  line.ys ??= values(line.y);
  line.smooth ??= line.s ? values(line.s) : null;
  line.low ??= line.lo ? values(line.lo) : null;
  line.high ??= line.hi ? values(line.hi) : null;
  return line;
}

// The extremes of x over all lines that are drawn.
function reach(lines) {
  let low = Infinity, high = -Infinity;
  for (const { xs } of lines) for (const x of xs) if (Number.isFinite(x)) { low = Math.min(low, x); high = Math.max(high, x); }
  return low <= high ? [low, high] : [0, 1];
}

// The range of y that shows what lies in the window, and how many points lie outside of it.
function fitted(lines, [left, right], log, ignoring) {
  const found = [];
  for (const line of lines) {
    const main = line.smooth && !ignoring ? [line.ys, line.smooth] : [line.ys];
    for (const ys of [...main, line.low, line.high]) {
      if (!ys) continue;
      for (let i = 0; i < ys.length; i += 1) {
        const y = log ? Math.log10(ys[i]) : ys[i];
        if (line.xs[i] >= left && line.xs[i] <= right && Number.isFinite(y)) found.push(y);
      }
    }
  }
  if (!found.length) return { low: 0, high: 1, outside: 0 };
  found.sort((a, b) => a - b);
  const skipped = ignoring ? Math.floor(OUTLYING * found.length) : 0;
  let low = found[skipped], high = found[found.length - 1 - skipped];
  const room = ROOM * (high - low) || Math.abs(high) * 0.1 || 1;
  [low, high] = [low - room, high + room];
  return { low, high, outside: found.filter((y) => y < low || y > high).length };
}

function path(xs, ys, place, log) {
  let drawn = "", pen = "M";
  for (let i = 0; i < xs.length; i += 1) {
    const y = log ? Math.log10(ys[i]) : ys[i];
    if (!Number.isFinite(y) || !Number.isFinite(xs[i])) { pen = "M"; continue; }
    const alone = pen === "M" && !(i + 1 < xs.length && Number.isFinite(ys[i + 1]));
    drawn += `${pen}${place.x(xs[i]).toFixed(1)} ${place.y(y).toFixed(1)}${alone ? "h0.01" : ""}`;
    pen = "L";
  }
  return drawn;
}

function area(line, place, log) {
  const on = (at) => log ? Math.log10(at) : at;
  const upper = [], lower = [];
  for (let i = 0; i < line.xs.length; i += 1) {
    const low = on(line.low[i]), high = on(line.high[i]);
    if (!Number.isFinite(low) || !Number.isFinite(high)) continue;
    upper.push(`${place.x(line.xs[i]).toFixed(1)} ${place.y(high).toFixed(1)}`);
    lower.push(`${place.x(line.xs[i]).toFixed(1)} ${place.y(low).toFixed(1)}`);
  }
  return upper.length ? `M${upper.join("L")}L${lower.reverse().join("L")}Z` : "";
}

// One panel: its frame, its lines, and × ▲ ▼ where a value is not finite.
function draw(box, panel, lines, data, window_) {
  const width = Math.max(180, box.clientWidth), height = box.closest(".lm-large") ? LARGE : HEIGHT;
  const svg = element("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const all = lines.map(unpacked), span = window_ ?? reach(all);
  const [left, right] = span[0] < span[1] ? span : [span[0] - 0.5, span[1] + 0.5];
  const { low, high, outside } = fitted(all, [left, right], panel.log, data.ignoring);
  const inner = { w: width - MARGIN.left - MARGIN.right, h: height - MARGIN.top - MARGIN.bottom };
  const place = {
    x: (x) => MARGIN.left + inner.w * ((x - left) / (right - left)),
    y: (y) => MARGIN.top + inner.h * (1 - (y - low) / (high - low)),
    back: (px) => left + (right - left) * ((px - MARGIN.left) / inner.w),
  };
  const id = `lm-clip-${Math.random().toString(36).slice(2)}`;
  const clip = element("clipPath", { id });
  clip.append(element("rect", { x: MARGIN.left, y: MARGIN.top - 3, width: inner.w, height: inner.h + 6 }));
  svg.append(clip);
  for (const at of panel.log ? decades(low, high) : ticks(low, high, height > 200 ? 6 : 3)) {
    const y = place.y(at);
    svg.append(element("line", { class: "lm-g", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }));
    svg.append(element("text", { class: "lm-t", x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" }, short(panel.log ? 10 ** at : at)));
  }
  const time = data.x.kind === "wall_time";
  for (const at of ticks(left, right, Math.max(1, Math.floor(inner.w / (time ? 130 : 90)))))
    svg.append(element("text", { class: "lm-t", x: place.x(at), y: height - 6, "text-anchor": place.x(at) > width - 24 ? "end" : "middle" }, time ? moment(at) : short(at)));
  const group = element("g", { "clip-path": `url(#${id})` });
  for (const line of all) {
    const style = { fill: "none", stroke: line.c, "stroke-linejoin": "round", "stroke-dasharray": line.d ?? "" };
    if (line.low) group.append(element("path", { d: area(line, place, panel.log), fill: line.c, opacity: 0.18 }));
    group.append(element("path", { ...style, "stroke-linecap": "round", d: path(line.xs, line.ys, place, panel.log), opacity: line.smooth ? 0.3 : 1, "stroke-width": line.smooth ? 1.1 : 1.6 }));
    if (line.smooth) group.append(element("path", { ...style, d: path(line.xs, line.smooth, place, panel.log), "stroke-width": 1.9 }));
    for (let i = 0; i < line.xs.length; i += 1) {
      if (Number.isFinite(line.ys[i]) || line.xs[i] < left || line.xs[i] > right) continue;
      const up = line.ys[i] === Infinity, mark = Number.isNaN(line.ys[i]) ? "×" : up ? "▲" : "▼";
      group.append(element("text", { class: "lm-bad", x: place.x(line.xs[i]), y: up ? MARGIN.top + 10 : height - MARGIN.bottom - 2, "text-anchor": "middle" }, mark));
    }
  }
  svg.append(group);
  svg.append(element("line", { class: "lm-cursor", y1: MARGIN.top, y2: height - MARGIN.bottom, visibility: "hidden" }));
  svg.append(element("rect", { class: "lm-drag", y: MARGIN.top, height: inner.h, visibility: "hidden" }));
  box.replaceChildren(svg);
  box.__place = { ...place, left, right, width };
  const badge = box.parentElement.querySelector(".lm-clips");
  badge.textContent = outside ? `${outside.toLocaleString("en")} clipped` : "";
}

// Values at the cursor, in the title of each panel that is drawn.
function point(root, x) {
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

function at(lines, x, axis) {
  const said = [];
  let where = x;
  for (const line of lines.slice(0, 3).map(unpacked)) {
    let best = -1;
    for (let low = 0, high = line.xs.length - 1; low <= high;) {
      const middle = (low + high) >> 1;
      if (best < 0 || Math.abs(line.xs[middle] - x) < Math.abs(line.xs[best] - x)) best = middle;
      if (line.xs[middle] < x) low = middle + 1; else high = middle - 1;
    }
    if (best >= 0) { said.push(short((line.smooth ?? line.ys)[best])); where = line.xs[best]; }
  }
  return said.length ? `${said.join(" · ")} @ ${shownX(where, axis)}` : "";
}

// A copy of a panel's picture that looks the same without our style sheet.
function picture(figure) {
  const svg = figure.querySelector("svg"), copy = svg.cloneNode(true);
  const from = svg.querySelectorAll("*"), to = copy.querySelectorAll("*");
  from.forEach((each, i) => {
    const css = getComputedStyle(each);
    for (const name of ["fill", "stroke", "font-size", "font-family"]) to[i].style.setProperty(name, css.getPropertyValue(name));
  });
  copy.querySelectorAll(".lm-cursor, .lm-drag").forEach((each) => each.remove());
  copy.setAttribute("xmlns", SVG);
  copy.prepend(element("rect", { width: "100%", height: "100%", fill: getComputedStyle(document.body).backgroundColor || "#fff" }));
  return new XMLSerializer().serializeToString(copy);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function download(figure, kind) {
  const name = figure.dataset.key.replace(/[^A-Za-z0-9_.-]+/g, "_"), blob = new Blob([picture(figure)], { type: "image/svg+xml" });
  if (kind === "svg") { save(blob, `${name}.svg`); return; }
  const image = new Image(), svg = figure.querySelector("svg"), scale = 2;
  image.onload = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [svg.clientWidth * scale, svg.clientHeight * scale];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((made) => save(made, `${name}.png`));
  };
  image.src = URL.createObjectURL(blob);
}

function button(css, text, label, act) {
  const made = tag("button", `lm-mini ${css}`, text);
  made.type = "button";
  made.title = label;
  made.setAttribute("aria-label", label);
  made.onclick = act;
  return made;
}

function makePanel(root, panel, large) {
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
    ...(root.__data.pinning ? [button("lm-pin", "☆", "", () => pin(root, panel.key))] : []),
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

function pin(root, key) {
  const pins = new Set(root.__pins);
  pins[pins.has(key) ? "delete" : "add"](key);
  root.__pins = [...pins];
  root.__tell("pins", root.__pins);
  arrange(root);
}

function paint(root, figure, force = false) {
  const data = root.__data, key = figure.dataset.key, box = figure.querySelector(".lm-box"), lines = data.curves[key];
  const panel = root.__panels.get(key);
  if (!lines || !panel || (!figure.__near && !force)) return;
  const said = figure.querySelector(".lm-at");
  said.dataset.last = panel.last;
  said.textContent = panel.last;
  box.setAttribute("aria-label", panel.said);
  draw(box, panel, lines, data, root.__window);
}

const paintAll = (root) => root.querySelectorAll(".lm-panel").forEach((figure) => paint(root, figure));

// The sections and panels as they are to stand; what stands already is kept.
function arrange(root) {
  const data = root.__data, words = root.__find.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (panel) => words.every((word) => panel.title.toLowerCase().includes(word));
  root.__panels = new Map(data.sections.flatMap((section) => section.panels).map((panel) => [panel.key, panel]));
  const pinned = root.__pins.map((key) => root.__panels.get(key)).filter(Boolean);
  const sections = [...(pinned.length ? [{ name: "Pinned", panels: pinned }] : []),
    ...data.sections.map((section) => ({ ...section, panels: section.panels.filter((p) => !root.__pins.includes(p.key)) }))];
  const known = new Map([...root.querySelectorAll(".lm-panel")].map((figure) => [figure.dataset.key, figure]));
  let shown = 0;
  const made = [];
  for (const section of sections) {
    const panels = section.panels.filter(fits);
    if (!panels.length) continue;
    shown += panels.length;
    const open = words.length > 0 || !root.__closed.includes(section.name), part = tag("section", "lm-section");
    const head = tag("button", "lm-section-head");
    head.type = "button";
    head.setAttribute("aria-expanded", open);
    head.append(tag("i", "", open ? "▾" : "▸"), tag("span", "", section.name), tag("span", "lm-dim", String(panels.length)));
    head.onclick = () => fold(root, section.name);
    const grid = tag("div", "lm-grid");
    grid.hidden = !open;
    if (open) grid.append(...panels.map((panel) => known.get(panel.key) ?? makePanel(root, panel, section.large)));
    if (data.sections.length > 1 || pinned.length) part.append(head);
    part.append(grid);
    made.push(part);
  }
  const had = document.activeElement;
  root.__body.replaceChildren(...made);
  if (had && root.contains(had)) had.focus?.();
  root.__count.textContent = words.length ? `${shown} of ${root.__panels.size}` : `${root.__panels.size} metrics`;
  root.__none.hidden = shown > 0;
  for (const star of root.querySelectorAll(".lm-pin")) {
    const key = star.closest(".lm-panel").dataset.key, on = root.__pins.includes(key);
    star.textContent = on ? "★" : "☆";
    star.setAttribute("aria-pressed", on);
    star.title = `${on ? "unpin" : "pin"} ${root.__panels.get(key).title}`;
    star.setAttribute("aria-label", star.title);
  }
  paintAll(root);
}

function fold(root, name) {
  const closed = new Set(root.__closed);
  closed[closed.has(name) ? "delete" : "add"](name);
  root.__closed = [...closed];
  root.__tell("closed", root.__closed);
  arrange(root);
}

// Panels that come near the screen are asked for; one request for all that came within a moment.
function watched(root, entries) {
  for (const { target, isIntersecting } of entries) {
    target.__near = isIntersecting;
    if (!isIntersecting) continue;
    paint(root, target);
    root.__seen.add(target.dataset.key);
  }
  clearTimeout(root.__ask);
  root.__ask = setTimeout(() => {
    const near = [...root.querySelectorAll(".lm-panel")].filter((figure) => figure.__near).map((figure) => figure.dataset.key);
    if (near.some((key) => !(key in root.__data.curves))) root.__tell("seen", near);
  }, SETTLE_MS);
}

function mount(parent, data) {
  const root = tag("div", "lm lm-panels");
  Object.assign(root, { __pins: data.pins, __closed: data.closed, __seen: new Set(), __window: data.window, __told: JSON.stringify(data.window) });
  root.__watch = new IntersectionObserver((entries) => watched(root, entries), {
    root: parent.closest("[data-testid=stMain]"), rootMargin: `${FAR}px 0px`,  // what scrolls; a margin counts for no other
  });
  const bar = tag("div", "lm-panels-bar");
  root.__find = tag("input", "lm-find");
  root.__find.type = "search";
  root.__find.placeholder = "Find metrics";
  root.__find.setAttribute("aria-label", "Find metrics");
  root.__find.value = data.search;
  root.__find.oninput = () => {
    arrange(root);
    clearTimeout(root.__typed);
    root.__typed = setTimeout(() => root.__tell("search", root.__find.value), 400);
  };
  root.__count = tag("span", "lm-dim");
  root.__count.setAttribute("role", "status");
  bar.append(root.__find, root.__count);
  bar.hidden = !data.finding;
  root.__body = tag("div", "");
  root.__none = tag("p", "lm-dim", "No metric has this in its name.");
  root.append(bar, root.__body, root.__none);
  new ResizeObserver(() => { if (root.clientWidth !== root.__width) { root.__width = root.clientWidth; paintAll(root); } }).observe(root);
  root.__hear = (event) => { if (root.isConnected && event.detail.from !== root) point(root, event.detail.x); };
  addEventListener("lm-cursor", root.__hear);
  parent.append(root);
  return root;
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(":scope > .lm-panels") ?? mount(parentElement, data);
  root.__data = data;
  root.__tell = setStateValue;
  const told = JSON.stringify(data.window);  // a zoom that came from elsewhere; else the reader's own stands
  if (told !== root.__told) Object.assign(root, { __told: told, __window: data.window });
  arrange(root);
  root.dataset.drawn = "yes";
  return () => setTimeout(() => { if (!root.isConnected) { removeEventListener("lm-cursor", root.__hear); root.__watch.disconnect(); } }, 0);
}
