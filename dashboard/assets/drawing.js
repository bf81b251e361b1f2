// The picture of one panel: an SVG, drawn from the points that Python sends.

import { ends, unpacked as numbers } from "./arrays.js";

export const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 52, right: 10, top: 8, bottom: 22 };
const DOT = "m-1.2 0a1.2 1.2 0 1 0 2.4 0a1.2 1.2 0 1 0-2.4 0";  // a point without neighbours, which is no line
const HEIGHT = 150, LARGE = 380, ROOM = 0.06;

export function element(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
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

export function unpacked(line) {
  line.xs ??= numbers(line.x);
  line.ys ??= numbers(line.y);
  line.smooth ??= numbers(line.s) ?? null;
  line.low ??= numbers(line.lo) ?? null;
  line.high ??= numbers(line.hi) ?? null;
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
  const [low, high] = ends(found, log, ignoring, ROOM);
  return { low, high, outside: found.filter((y) => y < low || y > high).length };
}

function path(xs, ys, place, log) {
  let drawn = "", pen = "M";
  for (let i = 0; i < xs.length; i += 1) {
    const y = log ? Math.log10(ys[i]) : ys[i];
    if (!Number.isFinite(y) || !Number.isFinite(xs[i])) { pen = "M"; continue; }
    const alone = pen === "M" && !(i + 1 < xs.length && Number.isFinite(ys[i + 1]));
    drawn += `${pen}${place.x(xs[i]).toFixed(1)} ${place.y(y).toFixed(1)}${alone ? DOT : ""}`;
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
export function draw(box, panel, lines, data, window_) {
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
  for (const at of panel.log ? decades(low, high) : ticks(low, high, height > 200 ? 6 : 4)) {
    const y = place.y(at);
    svg.append(element("line", { class: "lm-g", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }));
    svg.append(element("text", { class: "lm-t", x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" }, short(panel.log ? 10 ** at : at)));
  }
  const time = data.x.kind === "wall_time";
  for (const at of ticks(left, right, Math.max(1, Math.floor(inner.w / (time ? 130 : 60)))))
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

// The values nearest to a place of the x axis, in words.
export function at(lines, x, axis) {
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
