// Polls for changes, and asks Python to redraw the page after one; `dashboard/news.py` is its other half.

const PATIENCE_MS = 5000;  // after this time an unanswered request to redraw is repeated

async function look(root) {
  clearTimeout(root.__timer);
  if (!root.isConnected) return;
  if (!document.hidden) {
    const { url, run, mark, fresh } = root.__data, now = performance.now();
    let found = null;
    try {
      const answer = await fetch(`${url}?${new URLSearchParams({ run })}`, { cache: "no-store" });
      if (answer.ok) found = await answer.text();
    } catch { /* the dashboard itself does not answer, which Streamlit shows */ }
    const old = now - root.__drawn > 1000 * fresh;
    const asked = root.__asked?.mark === found && now - root.__asked.at < PATIENCE_MS;
    if (found !== null && mark === root.__data.mark && (found !== mark || old) && !asked) {
      root.__asked = { mark: found, at: now };
      root.__tell("mark", `${found} ${now}`);
    }
  }
  clearTimeout(root.__timer);
  if (root.isConnected) root.__timer = setTimeout(() => look(root), 1000 * root.__data.every);
}

export default function ({ data, parentElement, setStateValue }) {
  let root = parentElement.querySelector(":scope > .lm-news");
  const first = !root;
  if (first) {
    root = parentElement.appendChild(document.createElement("div"));
    root.className = "lm-news";
    root.__seen = () => { if (!document.hidden) look(root); };
    document.addEventListener("visibilitychange", root.__seen);
  }
  Object.assign(root, { __data: data, __tell: setStateValue, __drawn: performance.now(), __asked: null });
  if (first) root.__timer = setTimeout(() => look(root), 1000 * data.every);
  return () => setTimeout(() => {
    if (root.isConnected) return;
    clearTimeout(root.__timer);
    document.removeEventListener("visibilitychange", root.__seen);
  }, 0);
}
