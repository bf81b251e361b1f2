// HTML that is changed in place and reports clicks; `dashboard/live.py` is its other half.
//
// What the reader does is kept here and reported as state, never as an event that a busy page could miss: ticks
// (`data-tick`), which panel is open (`data-opens`, `data-panel`), and what was asked for (`data-act`), which shows as
// busy until Python has confirmed it.

import { Idiomorph } from "./vendor/idiomorph-0.8.0.esm.js";

const TYPED = new Set(["INPUT", "TEXTAREA"]);
const MORPHING = {
  morphStyle: "innerHTML",
  callbacks: {
    // What somebody has typed is theirs: Python never sends the value of a field again.
    beforeNodeMorphed: (old, fresh) => !(TYPED.has(old.nodeName) && old.name && old.name === fresh.name),
  },
};

// What the reader did last stands, whatever an older answer of Python says, until Python has confirmed it.
function settle(root, data) {
  const panels = [...root.querySelectorAll("[data-panel]")];
  // A panel that is gone is closed: when it comes back, the click on its button must open it.
  for (const name of root.__open) if (!panels.some((panel) => panel.dataset.panel === name)) root.__open.delete(name);
  for (const panel of panels) {
    const open = root.__open.has(panel.dataset.panel);
    panel.hidden = !open;
    root.querySelector(`[data-opens="${panel.dataset.panel}"]`)?.setAttribute("aria-expanded", open);
  }
  for (const box of root.querySelectorAll("input[data-tick]")) box.checked = root.__ticks.has(box.dataset.tick);
  const waiting = root.__act && root.__act.n !== data.heard ? root.__act : null;
  for (const button of root.querySelectorAll("button[data-act]")) {
    const same = button.dataset.act === waiting?.act;
    const busy = same && (button.dataset.arg ?? waiting.at) === waiting.at;
    button.disabled = busy;
    button.setAttribute("aria-busy", busy);
    if (busy && button.dataset.busy) button.textContent = button.dataset.busy;
  }
}

// One entry in the browser's history, so that the back button restores the page as it was.
function go(root, link) {
  const url = new URL(link.href);
  if (link.dataset.ticks) {
    url.searchParams.delete(link.dataset.ticks);
    for (const id of root.__ticks) url.searchParams.append(link.dataset.ticks, id);
  }
  history.pushState(null, "", url);
  dispatchEvent(new PopStateEvent("popstate"));
}

// Copy a text; where the page came over plain HTTP the browser has no clipboard, and a selection stands in.
async function copy(root, button) {
  const text = root.querySelector(`[data-source="${button.dataset.copy}"]`).textContent, said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = document.body.appendChild(document.createElement("textarea"));
    field.value = text;
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = said; }, 1500);
}

// What is ticked, for each element of this session. It outlives the element: a reader who leaves before Python has heard
// of the last tick finds it on coming back.
const KEPT = (globalThis.__monitorTicks ??= new Map());

function keep(root, data) {
  KEPT.set(`${data.session} ${data.key}`, { ticks: [...root.__ticks], push: root.__push });
}

function mount(parent, data) {
  const root = document.createElement("div");
  const kept = KEPT.get(`${data.session} ${data.key}`);
  root.className = "lm";
  root.__open = new Set();
  root.__ticks = new Set(kept?.ticks ?? data.ticks);
  root.__push = kept ? kept.push : data.push;
  root.__late = kept && kept.ticks.join() !== data.ticks.join();
  parent.appendChild(root);
  return root;
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(":scope > .lm") ?? mount(parentElement, data);
  if (data.push && data.push !== root.__push) {
    Object.assign(root, { __push: data.push, __ticks: new Set(data.ticks), __late: true });
  }
  const tell = () => {
    keep(root, data);
    setStateValue("ticks", { picked: [...root.__ticks], push: root.__push });
  };
  if (root.__late) {  // or the page would go on with what it was told before
    root.__late = false;
    tell();
  }
  Idiomorph.morph(root, data.html, MORPHING);
  settle(root, data);
  const ask = (act, arg, at = arg) => {
    root.__act = { act, arg, at, n: `${Date.now()} ${Math.random()}`, session: data.session };
    setStateValue("act", root.__act);
    settle(root, data);
  };
  const move = (from, onto) => {
    if (from && onto && from !== onto) ask("move", JSON.stringify([from, onto].map((title) => title.dataset.move)));
  };
  const act = (button) => {
    const typed = (name) => root.querySelector(`[name="${name}"]`)?.value ?? "";
    const { field, fields } = button.dataset;
    const at = button.dataset.arg ?? (field ? typed(field) : "");
    const inputs = button.closest(".lm-form")?.querySelectorAll("input") ?? [];
    const form = { arg: at, ...Object.fromEntries([...inputs].map((input) => [input.name, input.value])) };
    const listed = fields && JSON.stringify(fields.split(" ").map(typed));
    const arg = "form" in button.dataset ? JSON.stringify(form) : listed ?? (field ? typed(field) : at);
    if (button.dataset.closes) root.__open.delete(button.dataset.closes);
    ask(button.dataset.act, arg, at);
  };
  const title = (event) => event.target.closest?.("[data-move]");
  root.ondragstart = (event) => { root.__dragged = title(event); };
  root.ondragover = (event) => { if (root.__dragged && title(event)) event.preventDefault(); };
  root.ondrop = (event) => {
    event.preventDefault();
    move(root.__dragged, title(event));
  };
  root.ondragend = () => { root.__dragged = null; };
  root.onclick = (event) => {
    const hit = event.target.closest("a[data-go], [data-act], [data-tick], [data-opens], [data-untick], [data-copy], [data-all]");
    if (!hit || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    if (hit.nodeName !== "INPUT") event.preventDefault();
    if (hit.nodeName === "A") go(root, hit);
    else if ("copy" in hit.dataset) copy(root, hit);
    else if ("all" in hit.dataset) {
      for (const id of hit.dataset.all.split(" ")) root.__ticks.add(id);
      settle(root, data);
      tell();
    } else if ("tick" in hit.dataset) {
      root.__ticks[hit.checked ? "add" : "delete"](hit.dataset.tick);
      tell();
    } else if ("untick" in hit.dataset) {
      root.__ticks.clear();
      settle(root, data);
      tell();
    } else if ("opens" in hit.dataset) {
      root.__open[root.__open.has(hit.dataset.opens) ? "delete" : "add"](hit.dataset.opens);
      settle(root, data);
      root.querySelector(`[data-panel="${hit.dataset.opens}"]:not([hidden]) :is(input, textarea)`)?.focus();
    } else act(hit);
  };
  root.onkeydown = (event) => {
    const beside = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" }[event.key];
    if (event.shiftKey && beside && title(event)) {
      event.preventDefault();
      const onto = title(event)[beside];
      if (onto?.dataset.move) move(title(event), onto);
    }
    const panel = event.target.closest("[data-panel], .lm-form");
    if (panel && event.key === "Enter" && event.target.nodeName === "INPUT") panel.querySelector("[data-act]")?.click();
    if (panel?.dataset.panel && event.key === "Escape") {
      root.__open.delete(panel.dataset.panel);
      settle(root, data);
    }
  };
}
