"""HTML that refreshes in place and reports clicks, without a frame and without losing focus or hover.

Streamlit's own HTML element is replaced as a whole when it changes, and a link in it starts a new session. This
component changes only the nodes that differ, follows links with `data-go` within the session, and hands clicks on
elements with `data-act` back to Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import streamlit as st

_SCRIPT: Final = """
const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName
  && (a.nodeType !== 1 || a.id === b.id);

function attributes(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.nodeName === "INPUT") old.checked = fresh.hasAttribute("checked");
}

function patch(old, fresh) {
  if (old.isEqualNode(fresh)) {
    if (old.nodeName === "INPUT") old.checked = fresh.hasAttribute("checked");
    return;
  }
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

export default function ({ data, parentElement, setTriggerValue }) {
  let root = parentElement.querySelector(":scope > .lm");
  if (!root) {
    root = document.createElement("div");
    root.className = "lm";
    parentElement.appendChild(root);
  }
  const fresh = document.createElement("div");
  fresh.className = "lm";
  fresh.innerHTML = data.html;
  patch(root, fresh);
  root.onclick = (event) => {
    const hit = event.target.closest("a[data-go], [data-act]");
    if (!hit || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    if (hit.nodeName !== "INPUT") event.preventDefault();
    if (hit.nodeName === "A") {  // one entry in the browser's history, and the back button restores the page as it was
      history.pushState(null, "", hit.href);
      dispatchEvent(new PopStateEvent("popstate"));
      return;
    }
    const act = hit.dataset.act;  // of ticks all are told, since two quick ones may arrive as one
    const ticked = () => [...root.querySelectorAll(`input[data-act="${act}"]:checked`)].map((box) => box.dataset.arg);
    setTriggerValue("act", { act, arg: hit.nodeName === "INPUT" ? ticked().join(" ") : hit.dataset.arg ?? "" });
  };
}
"""


@dataclass(frozen=True, slots=True)
class Act:
    """What was clicked: an element's `data-act` and `data-arg`; of tick boxes the `data-arg` of all that are ticked."""

    act: str
    arg: str


def html(body: str, *, key: str) -> Act | None:
    """Show HTML and give back what was clicked since the last run.

    Args:
        body: HTML in which everything that a user wrote is escaped (`dashboard.markup` does).
        key: the element's identity; an element of the same key is changed in place.
    """
    mount = st.components.v2.component("monitor_live_html", js=_SCRIPT, isolate_styles=False)
    result = mount(key=key, data={"html": body}, on_act_change=_noticed)
    value = result.get("act")
    return Act(str(value["act"]), str(value["arg"])) if isinstance(value, dict) else None


def _noticed() -> None:
    """Streamlit reports a trigger only where it has a callback; the page reads the value itself."""
