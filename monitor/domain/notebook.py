"""Shows a run or a diagnosis in a notebook: verdict, sentence and a small curve, as self-contained HTML.

All user text is escaped, and control characters are made visible.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from monitor.domain.formats import number, step
from monitor.domain.texts import inert
from monitor.domain.verdicts import Diagnosis, FindingState

WIDTH: Final = 420
HEIGHT: Final = 120
_COLOURS: Final = {"train": "#2f6fd0", "val": "#d9660a"}
_OTHER: Final = "#8a5cd0"
_NAMES: Final = {"train": "training loss", "val": "validation loss"}
_FRAME: Final = (
    '<div style="font:14px/1.5 system-ui,sans-serif;max-width:46rem;border:1px solid #8886;border-radius:6px;'
    'padding:.6rem .9rem">{}</div>'
)
FINDINGS: Final = 5
"""Most findings that are listed."""


def diagnosis_html(found: Diagnosis) -> str:
    """A diagnosis as HTML: its headline, the advice, and the firing findings."""
    rec = found.recommendation
    advised = "" if rec.ended else f" · advice: {_text(str(rec.action))}"
    lines = [f"<b>{_text(found.verdict.replace('_', ' '))}</b>{advised}", f"<div>{_text(found.headline)}</div>"]
    if rec.reason and rec.reason != found.headline:
        lines.append(f'<div style="opacity:.75">{_text(rec.reason)}</div>')
    firing = [f for f in found.findings if f.state is FindingState.FIRING]
    if firing:
        rows = "".join(
            f"<li><b>{_text(f.rule.replace('_', ' '))}</b> ({_text(str(f.severity))}) since step "
            f"{_text(step(f.onset_step))}: {_text(f.explanation)}</li>"
            for f in firing[:FINDINGS]
        )
        lines.append(f'<ul style="margin:.3rem 0 0;padding-left:1.2rem">{rows}</ul>')
    return _FRAME.format("".join(lines))


def run_html(
    name: str, status: str, verdict: str, headline: str, curves: Mapping[str, Sequence[tuple[float, float]]]
) -> str:
    """A run as HTML.

    Args:
        name: with its project.
        verdict: as in `Diagnosis`.
        curves: points of the training ("train") and the validation loss ("val"), or of other series by their keys.
    """
    head = f"<b>{_text(name)}</b> · {_text(status)} · {_text(verdict.replace('_', ' '))}<div>{_text(headline)}</div>"
    return _FRAME.format(head + _picture(curves))


def _text(value: str) -> str:
    return escape(inert(value))


def _picture(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """The curves as lines on one linear scale; empty if there is no finite value."""
    kept = {
        role: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)] for role, points in curves.items()
    }
    values = [y for points in kept.values() for _, y in points]
    places = [x for points in kept.values() for x, _ in points]
    if not values:
        return ""
    low, high, left, right = min(values), max(values), min(places), max(places)
    tall, wide = (high / 2 - low / 2) or 1.0, (right / 2 - left / 2) or 1.0  # halves, so that no float overflows

    def at(x: float, y: float) -> str:
        px = 4 + (WIDTH - 8) * ((x / 2 - left / 2) / wide)
        py = HEIGHT - 6 - (HEIGHT - 12) * ((y / 2 - low / 2) / tall)
        return f"{px:.1f} {py:.1f}"

    colours = {role: _COLOURS.get(role, _OTHER) for role in kept}
    lines = "".join(
        f'<path fill="none" stroke="{colours[role]}" stroke-width="1.6" d="M{"L".join(at(x, y) for x, y in points)}"/>'
        for role, points in kept.items()
        if points
    )
    said = ", ".join(
        f'<span style="color:{colours[role]}">{_text(_NAMES.get(role, role))} {escape(number(points[-1][1]))}</span>'
        for role, points in kept.items()
        if points
    )
    label = f"between {escape(number(low))} and {escape(number(high))}"
    return (
        f'<svg role="img" aria-label="curves {label}" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"{lines}</svg><div>{said}</div>"
    )
