"""HTML that refreshes in place and reports clicks, without a frame and without losing focus or hover.

Streamlit's own HTML element is replaced as a whole when it changes, and a link in it starts a new session. This
component changes only the nodes that differ and follows links with `data-go` within the session. What the reader does
is kept here and reported as state, never as an event that a busy page could miss: ticks (`data-tick`), which panel is
open (`data-opens`, `data-panel`), and what was asked for (`data-act`), which shows as busy until Python has heard it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st

_PLAIN: Final = re.compile(r"[a-z]+(?:[ _-][a-z0-9]+)*")

_SCRIPT: Final = """
const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName
  && (a.nodeType !== 1 || a.id === b.id);

function attributes(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}

function patch(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== 1) { old.nodeValue = fresh.nodeValue; return; }
  attributes(old, fresh);
  const before = [...old.childNodes], after = [...fresh.childNodes];
  after.forEach((child, i) => {
    const place = before[i];
    if (place === undefined) old.appendChild(child);
    else if (same(place, child)) patch(place, child);
    else old.replaceChild(child, place);
  });
  before.slice(after.length).forEach((child) => child.remove());
}

// What the reader did last stands, whatever an older answer of Python says, until Python has heard of it.
function settle(root, data) {
  for (const panel of root.querySelectorAll("[data-panel]")) {
    const open = root.__open.has(panel.dataset.panel);
    panel.hidden = !open;
    root.querySelector(`[data-opens="${panel.dataset.panel}"]`)?.setAttribute("aria-expanded", open);
  }
  for (const box of root.querySelectorAll("input[data-tick]")) box.checked = root.__ticks.has(box.dataset.tick);
  const waiting = root.__act && root.__act.n !== data.heard ? root.__act : null;
  for (const button of root.querySelectorAll("button[data-act]")) {
    const same = button.dataset.act === waiting?.act;
    const busy = same && (button.dataset.arg ?? waiting.arg) === waiting.arg;
    button.disabled = busy;
    button.setAttribute("aria-busy", busy);
    if (busy && button.dataset.busy) button.textContent = button.dataset.busy;
  }
}

function go(root, link) {  // one entry in the browser's history, and the back button restores the page as it was
  const url = new URL(link.href);
  if (link.dataset.ticks) {
    url.searchParams.delete(link.dataset.ticks);
    for (const id of root.__ticks) url.searchParams.append(link.dataset.ticks, id);
  }
  history.pushState(null, "", url);
  dispatchEvent(new PopStateEvent("popstate"));
}

export default function ({ data, parentElement, setStateValue }) {
  let root = parentElement.querySelector(":scope > .lm");
  if (!root) {
    root = document.createElement("div");
    root.className = "lm";
    root.__open = new Set();
    root.__ticks = new Set(data.ticks);
    parentElement.appendChild(root);
  }
  const fresh = document.createElement("div");
  fresh.className = "lm";
  fresh.innerHTML = data.html;
  patch(root, fresh);
  settle(root, data);
  const tell = () => setStateValue("ticks", [...root.__ticks]);
  const act = (button) => {
    const field = button.dataset.field && root.querySelector(`[name="${button.dataset.field}"]`);
    const arg = field ? field.value : button.dataset.arg ?? "";
    root.__act = { act: button.dataset.act, arg, n: `${Date.now()} ${Math.random()}`, session: data.session };
    setStateValue("act", root.__act);
    settle(root, data);
  };
  root.onclick = (event) => {
    const hit = event.target.closest("a[data-go], [data-act], [data-tick], [data-opens], [data-untick]");
    if (!hit || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    if (hit.nodeName !== "INPUT") event.preventDefault();
    if (hit.nodeName === "A") go(root, hit);
    else if ("tick" in hit.dataset) {
      root.__ticks[hit.checked ? "add" : "delete"](hit.dataset.tick);
      tell();
    } else if ("untick" in hit.dataset) {
      root.__ticks.clear();
      settle(root, data);
      tell();
    } else if ("opens" in hit.dataset) {
      root.__open[root.__open.has(hit.dataset.opens) ? "delete" : "add"](hit.dataset.opens);
      settle(root, data);
      root.querySelector(`[data-panel="${hit.dataset.opens}"]:not([hidden]) input`)?.focus();
    } else act(hit);
  };
  root.onkeydown = (event) => {
    const panel = event.target.closest("[data-panel]");
    if (panel && event.key === "Enter" && event.target.nodeName === "INPUT") panel.querySelector("[data-act]")?.click();
    if (panel && event.key === "Escape") { root.__open.delete(panel.dataset.panel); settle(root, data); }
  };
}
"""


@dataclass(frozen=True, slots=True)
class Act:
    """What was asked for: the `data-act` of a button, and its `data-arg`, or the value of the field that it names."""

    act: str
    arg: str


def html(body: str, *, key: str, ticks: Sequence[str] = ()) -> None:
    """Show HTML.

    Args:
        body: HTML in which everything that a user wrote is escaped (`dashboard.markup` does).
        key: the element's identity; an element of the same key is changed in place.
        ticks: what is ticked where the browser does not know better.
    """
    mount = st.components.v2.component("monitor_live_html", js=_SCRIPT, isolate_styles=False)
    heard = st.session_state.get("_heard", {}).get(key, "")
    data = {"html": body, "heard": heard, "session": _session(), "ticks": list(ticks)}
    mount(key=safe_key(key), data=data, on_act_change=_noticed, on_ticks_change=_noticed)


def heard(key: str) -> Act | None:
    """What was asked for since the last call, told once.

    The browser keeps what was asked for until it is told that it was heard, so that no run of the page that was under
    way at the click, or is dropped for a later one, can lose it.
    """
    value = _state(key, "act")
    if not isinstance(value, dict) or value.get("session") != _session():  # asked of a process that is gone
        return None
    known: dict[str, str] = st.session_state.setdefault("_heard", {})
    if known.get(key) == value["n"]:
        return None
    known[key] = str(value["n"])
    return Act(str(value["act"]), str(value["arg"]))


def ticked(key: str, otherwise: Sequence[str]) -> list[str]:
    """What is ticked in an element, in the order of the clicks; `otherwise` where the browser has not told yet."""
    value = _state(key, "ticks")
    return [str(each) for each in value] if isinstance(value, list) else list(otherwise)


def safe_key(key: str) -> str:
    """A key that any text may be part of, as a component's identity: Streamlit refuses some.

    >>> safe_key("runs"), safe_key("missing __x__")
    ('runs', 'missing-55974421903317f1')
    """
    if _PLAIN.fullmatch(key):
        return key
    head = _PLAIN.match(key)
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{head[0] if head else ''}-{digest}"


def _state(key: str, name: str) -> object:
    state = st.session_state.get(safe_key(key))
    return None if state is None else state.get(name)


def _session() -> str:
    """Tells this session from one before it, whose browser page may still be open."""
    found: str = st.session_state.setdefault("_session", secrets.token_hex(8))
    return found


def _noticed() -> None:
    """Streamlit keeps a state value only where it has a callback; the page reads the value itself."""
