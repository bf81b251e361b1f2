"""Images, tables and histograms of a run, as cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from dashboard.markup import pieces
from dashboard.markup.templates import fill
from monitor.domain.formats import NOTHING, number, step
from monitor.domain.media import Media

ROWS: Final = 100
"""Rows of a table that are shown."""
_PAGE: Final = "media"
_WIDTH, _HEIGHT, _FOOT = 320, 120, 16
_BROAD: Final = 4
"""Columns from which on a table takes a whole row."""


def gallery(run_id: str, found: Sequence[Media], bodies: Mapping[int, dict[str, Any]], more: int) -> Markup:
    """A card each.

    Args:
        bodies: the contents of tables and histograms, by id.
        more: those that are not shown.
    """
    if not found:
        return pieces.quiet("No name holds this.")
    cards = [_card(run_id, each, bodies.get(each.id, {})) for each in found]
    return fill(_PAGE, "gallery", cards=cards, more=max(0, more))


def _card(run_id: str, media: Media, body: Mapping[str, Any]) -> Markup:
    broad = media.kind == "table" and len(body["columns"]) >= _BROAD
    if media.kind == "table":
        shown, said = _table(body)
    elif media.kind == "histogram":
        shown, said = _histogram(body)
    else:
        said = media.caption
        alt = f"{media.key} at step {step(media.step)}"
        shown = fill(_PAGE, "image", run_id=run_id, media=media, alt=alt)
    return fill(_PAGE, "card", media=media, shown=shown, said=said, broad=broad)


def _table(body: Mapping[str, Any]) -> tuple[Markup, str]:
    rows = body["rows"]
    numeric = [
        k for k in range(len(body["columns"]))
        if all(row[k] is None or isinstance(row[k], int | float) for row in rows) and rows
    ]  # fmt: skip
    cells = [[_cell(value) for value in row] for row in rows[:ROWS]]
    said = f"{len(rows):,} rows" + (f", the first {ROWS} shown" if len(rows) > ROWS else "")
    return pieces.table(tuple(body["columns"]), cells, css="lm-wrap", numeric=tuple(numeric)), said


def _cell(value: object) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return number(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _histogram(body: Mapping[str, Any]) -> tuple[Markup, str]:
    edges, counts = body["edges"], body["counts"]
    low, wide, top = edges[0], (edges[-1] - edges[0]) or 1.0, max(counts) or 1.0
    bars = []
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        high = (_HEIGHT - _FOOT) * max(0.0, count) / top
        bars.append((
            f"{_WIDTH * (left - low) / wide:.1f}", f"{_HEIGHT - _FOOT - high:.1f}",
            f"{max(0.5, _WIDTH * (right - left) / wide - 0.5):.1f}", f"{high:.1f}",
            f"{number(left)} to {number(right)}: {number(float(count))}",
        ))  # fmt: skip
    said = [f"{number(float(body.get('n', 0)))} values"]
    said += [f"{name} {number(body[name])}" for name in ("mean", "std") if isinstance(body.get(name), int | float)]
    if body.get("not_finite"):
        said.append(f"{body['not_finite']:,} not finite")
    ends = (number(low), number(edges[-1]))
    return fill(_PAGE, "histogram", bars=bars, ends=ends, size=(_WIDTH, _HEIGHT), said=", ".join(said)), ", ".join(said)
