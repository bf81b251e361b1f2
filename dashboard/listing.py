"""The list of runs as HTML: counts, the attention strip and the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dashboard import markup, skill, words
from dashboard.data import Overview
from dashboard.markup import text
from monitor.domain import RunInfo, RunPage, RunStatus

EXAMPLE: Final = """\
import monitor

with monitor.init(project="my-project", config={"lr": 3e-4}) as run:
    for step, batch in enumerate(batches):
        run.log({"train/loss": train(batch)}, step=step)
        if step % 100 == 0:
            run.log({"val/loss": validate()}, step=step)
        if run.should_stop():
            break
"""
"""A whole integration, as the empty page shows it."""

_HEADS: Final = (
    ("", ""), ("Run", "name"), ("Status", "status"), ("Verdict", "verdict"), ("Do", "action"), ("Loss", ""),
    ("Last step", "last_step"), ("Best loss", "val.best"), ("at step", ""), ("Skill", ""), ("Started", "created"),
    ("Took", ""),
)  # fmt: skip
"""Titles of the table's columns, and what a click on each sorts by; the store knows no skill, so none sorts by it."""
SORTED_BY: Final = frozenset(column for _, column in _HEADS if column)
"""What the list can be sorted by."""
_CSS: Final = {
    "Run": "lm-name", "Last step": "lm-num", "Best loss": "lm-num", "Skill": "lm-num", "at step": "lm-num lm-minor",
    "Started": "lm-num", "Took": "lm-num lm-minor",
}  # fmt: skip
"""Classes of a column's cells; minor ones are left out on narrow screens."""


def counts_line(seen: Overview | None) -> str:
    """How many runs are live and how many need a person."""
    if seen is None:
        return ""
    need = len(seen.needy)
    parts = [f"<span><b>{seen.live:,}</b> live</span>"]
    if need:
        parts.append(f'<span class="lm-need"><b>{need:,}</b> {"needs" if need == 1 else "need"} attention</span>')
    parts.append(f"<span><b>{seen.total:,}</b> in all</span>")
    return f'<div class="lm-counts" data-testid="counts">{"".join(parts)}</div>'


def keeping_line(keep_days: float | None, thin_days: float | None) -> str:
    """How long a project's runs are kept and when they are thinned, where the settings say anything of it.

    >>> keeping_line(30.0, None)
    '<span class="lm-dim" data-testid="keeping">Ended runs are deleted after 30 days</span>'
    """
    said = [
        f"{what} after {days:g} {'day' if days == 1 else 'days'}"
        for what, days in (("thinned", thin_days), ("deleted", keep_days))
        if days is not None
    ]
    return f'<span class="lm-dim" data-testid="keeping">Ended runs are {" and ".join(said)}</span>' if said else ""


def attention_strip(needy: Sequence[RunInfo], now_ms: int, *, limit: int = 6) -> str:
    """A card for each run that needs a person now; at most `limit`, the rest as a count."""
    if not needy:
        return ""
    cards = [_need_card(run, now_ms) for run in needy[:limit]]
    if len(needy) > limit:
        cards.append(f'<div class="lm-dim">and {len(needy) - limit} more</div>')
    return f'<div class="lm-strip" data-testid="attention" aria-label="runs that need attention">{"".join(cards)}</div>'


def _need_card(run: RunInfo, now_ms: int) -> str:
    if run.status is RunStatus.RUNNING:
        why, sign = run.recommendation.reason or run.headline, markup.chip(run.verdict)
    else:
        since = words.ago(run.heartbeat_ms if run.status is RunStatus.LOST else run.last_point_ms, now_ms)
        what = "Last heartbeat" if run.status is RunStatus.LOST else "Still beating; last point"
        why, sign = f"{what} {since}, at step {words.step(run.last_step)}.", markup.status(run.status)
    hot = run.status is RunStatus.LOST or words.severity_of(run.verdict) == "critical"
    inner = f'<span class="lm-row"><b>{text(run.name)}</b>{sign}</span><p>{text(why)}</p>'
    return markup.run_link(run.id, inner, css="lm-need-card" + (" lm-hot" if hot else ""))


def compare_bar(picked: Sequence[str]) -> str:
    """What can be done with the runs that are ticked."""
    if not picked:
        return ""
    return (
        f'<div class="lm-bar" data-testid="compare-bar"><b>{words.count(len(picked), "run")} picked</b>'
        f"{markup.link('compare', [('run', p) for p in picked], 'Compare', css='lm-button', ticks='run')}"
        '<button class="lm-button" data-untick>Clear</button></div>'
    )


def runs_table(page: RunPage, picked: Sequence[str], now_ms: int, *, stale: bool = False) -> str:
    """The runs of one page.

    Args:
        page: the runs with their sparklines; the column that they are sorted by is marked.
        picked: ids of the ticked runs.
        now_ms: milliseconds since the epoch.
        stale: True where the server did not answer and this is what was read last.
    """
    if not page.items:
        return '<p class="lm-dim" data-testid="no-match">No run matches these filters.</p>'
    scored = any(skill.comparable(run) for run in page.items)
    shown = [(title, column) for title, column in _HEADS if scored or title != "Skill"]
    heads = "".join(_head(title, column, page.order) for title, column in shown)
    rows = "".join(_row(run, page.sparklines.get(run.id, {}), run.id in picked, now_ms, scored) for run in page.items)
    by = page.order.removeprefix("-")
    note = ""
    if by not in SORTED_BY:
        way = "falling" if page.order != by else "rising"
        note = f'<p class="lm-dim" data-testid="sorted-by">Sorted by {text(by)}, {way}, as the query says.</p>'
    return (
        f'{note}<div class="lm-scroll{" lm-stale" if stale else ""}">'
        f'<table class="lm-table lm-runs" data-testid="runs">'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _head(title: str, column: str, order: str) -> str:
    css = f' class="{_CSS[title]}"' if title in _CSS else ""
    if title == "Loss":
        return '<th>Loss <span class="lm-key">train</span> <span class="lm-key lm-k-val">val</span></th>'
    if title == "Skill":
        return f'<th{css} title="{text(f"Of the best loss. {skill.MEANING}.")}">Skill</th>'
    if not column:
        return f"<th{css}>{title}</th>"
    down = order == f"-{column}"
    arrow = " ↓" if down else " ↑" if order == column else ""
    follow = column if down else f"-{column}" if order == column or column in ("created", "last_step") else column
    sort = "none" if not arrow else "descending" if down else "ascending"
    return (
        f'<th{css} aria-sort="{sort}"><button class="lm-sort" aria-pressed="{"true" if arrow else "false"}" '
        f'data-act="sort" data-arg="{follow}">{title}{arrow}</button></th>'
    )


def _label(title: str) -> str:
    """What a number is of, for narrow screens, where it does not stand below its column's title."""
    return f' data-head="{text(title.lower())}"' if "lm-num" in _CSS.get(title, "") else ""


def _row(run: RunInfo, spark: object, ticked: bool, now_ms: int, scored: bool) -> str:
    lines = spark if isinstance(spark, dict) else {}
    rec = run.recommendation
    end = run.finished_ms or (now_ms if run.status.live else run.last_point_ms) or run.created_ms
    tick = (
        f'<input type="checkbox" data-tick="{run.id}" aria-label="pick {text(run.name)} to compare"'
        f"{' checked' if ticked else ''}>"
    )
    sub = run.project + (f" · {run.group}" if run.group else "")
    cells = (
        tick,
        f'{markup.run_link(run.id, text(run.name))}<span class="lm-dim">{text(sub)}</span>',
        markup.status(run.status),
        f'<span title="{text(run.headline)}">{markup.chip(run.verdict)}</span>',
        markup.action(rec, live=not run.status.over),
        markup.sparkline(lines.get("train", ()), lines.get("val", ())),
        words.step(run.last_step),
        words.number(rec.best_val_loss),
        words.step(rec.best_step),
        skill.figure(run),
        f'<span title="{words.clock(run.created_ms)} UTC">{words.ago(run.created_ms, now_ms)}</span>',
        words.duration(end - run.created_ms),
    )
    body = "".join(
        f'<td class="{_CSS.get(title, "")}"{_label(title)}>{cell}</td>'
        for (title, _), cell in zip(_HEADS, cells, strict=True)
        if scored or title != "Skill"
    )
    return f'<tr id="run-{run.id}" data-testid="run-row">{body}</tr>'
