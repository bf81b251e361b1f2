// The labels of a chart, moved so that none covers another. Only the browser knows how large they are.

// How far each label moves from where it stands best. The first one stands best; each later one takes the place nearest
// to its own that none before it covers.
//
// labels: { left, top, width, height, frame, fixed } in pixels. `frame` is { left, right, top, bottom }; a `fixed` label
// does not move. Returns { dx, dy } for each, or null for one that has no place and is hidden.
// taken: what no label covers, as { left, right, top, bottom }.
export function laid(labels, taken = []) {
  const placed = [...taken];
  return labels.map(({ left, top, width, height, frame, fixed }) => {
    const x = fixed ? left : Math.max(frame.left, Math.min(left, frame.right - width));
    const near = placed.filter((other) => other.left < x + width && x < other.right);
    const fits = (y) => x >= frame.left && x + width <= frame.right && y >= frame.top && y + height <= frame.bottom
      && near.every((other) => other.bottom <= y || y + height <= other.top);
    const best = fixed ? top : Math.max(frame.top, Math.min(top, frame.bottom - height));
    const others = fixed ? [] : near.flatMap((other) => [other.bottom, other.top - height]);
    const y = [best, ...others].filter(fits).sort((a, b) => Math.abs(a - top) - Math.abs(b - top))[0];
    if (y === undefined) return null;
    placed.push({ left: x, right: x + width, top: y, bottom: y + height });
    return { dx: x - left, dy: y - top };
  });
}

// Where a label may stand: within its panel, and one with a `width` in its name within that much of the x axis.
function frame(layout, note, rect) {
  const x = layout.xaxis, y = layout[note.yref.replace(" domain", "").replace("y", "yaxis")];
  if (!x || !y) return { frame: { left: 0, right: layout.width, top: 0, bottom: layout.height }, fixed: true };
  const found = { left: x._offset, right: x._offset + x._length, top: y._offset, bottom: y._offset + y._length };
  const width = /^width (.+)$/.exec(note.name ?? "")?.[1];
  if (!width) return { frame: found, fixed: false };
  const half = Math.abs(x.l2p(Number(width)) - x.l2p(0)) / 2, middle = rect.left + rect.width / 2;
  return { frame: { ...found, left: middle - half, right: middle + half }, fixed: true };
}

const STAR = 8;  // half its size, pixels

// Where the best steps are marked.
function stars(box) {
  return (box._fullData ?? []).filter((trace) => trace.marker?.symbol === "star" && trace.visible === true).map((trace) => {
    const x = box._fullLayout.xaxis, y = box._fullLayout[trace.yaxis.replace("y", "yaxis")];
    const [left, top] = [x._offset + x.d2p(trace.x[0]), y._offset + y.d2p(trace.y[0])];
    return { left: left - STAR, right: left + STAR, top: top - STAR, bottom: top + STAR };
  });
}

// Plotly's buttons are links without an address, which the keyboard passes over.
function reach(box) {
  for (const button of box.querySelectorAll(".modebar-btn:not([tabindex])")) {
    button.tabIndex = 0;
    button.setAttribute("role", "button");
    button.setAttribute("aria-label", button.dataset.title);
    button.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      button.click();
    });
  }
}

// Move the labels of a chart that Plotly has drawn, and let the keyboard reach its buttons.
export function place(box) {
  reach(box);
  const layout = box._fullLayout, at = box.getBoundingClientRect();
  const drawn = [...box.querySelectorAll(".annotation")].filter((each) => layout.annotations?.[each.dataset.index]?.visible);
  drawn.forEach((each) => each.removeAttribute("transform"));
  const labels = drawn.map((each) => {
    const found = each.getBoundingClientRect();
    const rect = { left: found.left - at.left, top: found.top - at.top, width: found.width, height: found.height };
    return { ...rect, ...frame(layout, layout.annotations[each.dataset.index], rect) };
  });
  box.__moved = {};
  laid(labels, stars(box)).forEach((move, i) => {
    box.__moved[drawn[i].dataset.index] = move;
    drawn[i].style.visibility = move ? "" : "hidden";
    if (move) drawn[i].setAttribute("transform", `translate(${move.dx},${move.dy})`);
  });
}

// The chart as it is seen, for a picture of it.
export function picture(box) {
  const annotations = (box.layout.annotations ?? []).map((note, i) => {
    const move = box.__moved?.[i];
    if (move === null) return { ...note, visible: false };
    return move ? { ...note, xshift: (note.xshift ?? 0) + move.dx, yshift: (note.yshift ?? 0) - move.dy } : note;
  });
  return { data: box.data, layout: { ...box.layout, annotations } };
}
