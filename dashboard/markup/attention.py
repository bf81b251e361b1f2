"""HTML of the front page: a card per open run that needs attention, and the fleet in numbers."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from dashboard import words
from dashboard.markup import pieces
from dashboard.markup.templates import fill, joined
from monitor.domain import AlertState, Attention, Item, RunPage
from monitor.domain.economics import amount
from monitor.domain.formats import ago, number

_PAGE: Final = "attention"
_URGENT: Final = 0.8


def cards(seen: Attention, failed: str = "", why: str = "", *, may_act: bool = True, firing: int = 0) -> Markup:
    """The runs that need a person, the most urgent first.

    Args:
        failed: the run, or the alert, of what was asked for and not done.
        may_act: whether to offer a stop, and to answer alerts.
        firing: alerts that fire, of runs that have ended too.
    """
    if not seen.items:
        return fill(_PAGE, "calm", open=seen.running + seen.stalled + seen.lost, firing=firing)
    found = [_card(item, why if failed in _ids(item) else "", may_act=may_act) for item in seen.items]
    more = max(0, seen.total - len(seen.items))
    return joined([fill(_PAGE, "strip", cards=found), fill(_PAGE, "more", more=more) if more else Markup("")])


def newest(page: RunPage, now_ms: int) -> Markup:
    """The newest runs, on a page that would else be empty."""
    rows = []
    for run in page.items:
        lines = page.sparklines.get(run.id, {})
        at = [run.created_ms, run.finished_ms or run.created_ms]
        rows.append((
            fill(_PAGE, "named", run=run), pieces.status(run.status), pieces.verdict(run),
            pieces.sparkline(lines.get("train", ()), lines.get("val", ())),
            number(run.recommendation.best_val_loss), ago(max(at), now_ms),
        ))  # fmt: skip
    head = ("Run", "Status", "Verdict", "Loss", "Best loss", "Last change")
    return pieces.heading("Newest runs") + pieces.table(head, rows, numeric=(4,)) if rows else Markup("")


def _ids(item: Item) -> tuple[str, ...]:
    return (item.run.id,) if item.alert is None else (item.run.id, item.alert.id)


def _card(item: Item, problem: str, *, may_act: bool) -> Markup:
    run = item.run
    sign = pieces.status(run.status) if item.kind in ("lost", "stalled") else pieces.chip(item.kind)
    spark = (
        pieces.sparkline(item.sparkline.get("train", ()), item.sparkline.get("val", ()), width=220, height=84)
        if item.sparkline
        else Markup("")
    )
    kind = "critical" if item.severity >= _URGENT else "warning"
    asked = f"Asked to stop by {run.stop_requested}." if run.stop_requested else ""
    why = (
        f"Severity {item.severity:g}, cost still to burn {item.burn:.3g}, novelty {item.novelty:.2g}: "
        f"score {item.score:.3g}"
    )
    return fill(
        _PAGE, "card", run=run, sign=sign, kind=kind, sentence=item.sentence, spark=spark, saving=item.saving.sentence,
        asked=asked, stoppable=may_act and run.status.live and not asked, may=may_act,
        problem=problem, why=why,
        label=words.label(item.kind), alert=item.alert, answer=_answer(item),
    )  # fmt: skip


def _answer(item: Item) -> str:
    """Who has it in hand."""
    alert = item.alert
    if alert is None or alert.state not in (AlertState.ACKNOWLEDGED, AlertState.SILENCED):
        return ""
    if alert.acked_by is None:
        return "Its alert is silenced."
    return f"Acknowledged by {alert.acked_by}{': ' + alert.acked_note if alert.acked_note else '.'}"


def fleet(seen: Attention) -> Markup:
    """The fleet: running, stalled, lost, ended today, saved this month."""
    saved = amount(seen.saved_hours, seen.saved_gpu_hours or None, seen.saved_cost or None, seen.currency)
    facts = [
        ("Running", f"{seen.running:,}", "running"),
        ("Stalled", f"{seen.stalled:,}", "stalled"),
        ("Lost", f"{seen.lost:,}", "lost"),
        ("Ended today", f"{seen.finished_today:,}", ""),
        ("Saved this month by stops", saved if seen.saved_hours else "nothing yet", ""),
    ]
    return fill(_PAGE, "fleet", facts=facts)
