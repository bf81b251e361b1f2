// A grid of small charts over every metric, in sections; `dashboard/panels.py` is its other half.
//
// All panels share the x axis, the cursor and the zoom. Only what comes into view is asked for (`seen`), so that a run
// of a thousand metrics costs what a screen shows. `panel.js` is one panel, `drawing.js` its picture.

import { makePanel, paint, paintAll, point, tag } from "./panel.js";

const FAR = 700, SETTLE_MS = 120;  // pixels beyond the screen that are drawn too; before what came near is asked for

function pin(root, key) {
  const pins = new Set(root.__pins);
  pins[pins.has(key) ? "delete" : "add"](key);
  root.__pins = [...pins];
  root.__tell("pins", root.__pins);
  arrange(root);
}

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

// The lines of panels that are the same as before stay the same objects, so that these are neither read nor drawn again.
function keepLines(before, data) {
  for (const [key, lines] of Object.entries(before?.curves ?? {}))
    if (key in data.curves && written(lines) === written(data.curves[key])) data.curves[key] = lines;
}

// As Python sent them: what was unpacked since is left out.
const written = (lines) => JSON.stringify(lines.map(({ x, y, s, lo, hi, c, d }) => [x, y, s, lo, hi, c, d]));

function mount(parent, data) {
  const root = tag("div", "lm lm-panels");
  Object.assign(root, { __pin: (key) => pin(root, key), __pins: data.pins, __closed: data.closed, __seen: new Set(), __window: data.window, __told: JSON.stringify(data.window) });
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
  keepLines(root.__data, data);
  root.__data = data;
  root.__tell = setStateValue;
  const told = JSON.stringify(data.window);  // a zoom that came from elsewhere; else the reader's own stands
  if (told !== root.__told) Object.assign(root, { __told: told, __window: data.window });
  arrange(root);
  root.dataset.drawn = "yes";
  return () => setTimeout(() => { if (!root.isConnected) { removeEventListener("lm-cursor", root.__hear); root.__watch.disconnect(); } }, 0);
}
