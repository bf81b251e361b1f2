"""Pieces of pages as HTML: chips, sparklines, findings, tables. Everything that a user wrote is escaped here.

A button with `data-act` (and `data-arg`) asks the page for something, through `dashboard.live`. A link with
`data-go` leads to another page of the dashboard without a new session.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final
from urllib.parse import urlencode

from dashboard import words
from monitor.domain import Action, Finding, FindingState, Forecast, Pending, Recommendation, RunStatus, Severity, inert

MARKS: Final = {"critical": "▲", "warning": "◆", "info": "●", "good": "✓", "none": "…", "resolved": "○", "pending": "◌"}
ACTION_WORDS: Final = {Action.CONTINUE: "Continue", Action.STOP: "Stop", Action.INVESTIGATE: "Investigate"}
PAST_WORDS: Final = {
    Action.CONTINUE: "No reason to stop",
    Action.STOP: "Stop was advised",
    Action.INVESTIGATE: "Worth a look",
}
ACTION_MARKS: Final = {Action.CONTINUE: "→", Action.STOP: "■", Action.INVESTIGATE: "?"}


def text(value: object) -> str:
    """A value as escaped text, fit for an element's body and for a quoted attribute; control characters are shown."""
    return escape(inert(str(value), lines=True), quote=True)


def run_link(run_id: str, body: str, *, css: str = "") -> str:
    """A link to a run's page; it works as a plain link in a new tab and as a page switch when clicked.

    Args:
        run_id: 32 hex digits.
        body: HTML, already escaped.
        css: extra classes.
    """
    return link("run", [("id", run_id)], body, css=css)


def link(page: str, query: Sequence[tuple[str, str]], body: str, *, css: str = "", ticks: str = "") -> str:
    """A link to a page of the dashboard.

    Args:
        page: its path, "." for the list of runs.
        query: what the page is to show.
        body: HTML, already escaped.
        css: extra classes.
        ticks: parameter of the query that takes what is ticked in the browser when the link is clicked.
    """
    href = f"{page}?{urlencode(query)}" if query else page
    picks = f' data-ticks="{text(ticks)}"' if ticks else ""
    return f'<a class="lm-link {css}" href="{text(href)}" data-go{picks}>{body}</a>'


def chip(verdict: str, *, severity: str | None = None) -> str:
    """A verdict as a coloured chip with a mark for its severity."""
    kind = severity or words.severity_of(verdict)
    return f'<span class="lm-chip lm-{kind}"><i aria-hidden="true">{MARKS[kind]}</i>{text(words.label(verdict))}</span>'


def status(state: RunStatus) -> str:
    """A run's status: a dot that differs in form, and the word."""
    return (
        f'<span class="lm-status lm-st-{state}" title="{text(words.STATUS_MEANING[state])}">'
        f'<i aria-hidden="true"></i>{text(state)}</span>'
    )


def action(rec: Recommendation, *, live: bool) -> str:
    """The recommendation in one word, its reason as hover text; muted for a run that is over."""
    if not live and rec.action is Action.CONTINUE:
        return f'<span class="lm-dim" title="{text(rec.reason)}">{words.NOTHING}</span>'
    return (
        f'<span class="lm-action{f" lm-act-{rec.action}" if live else ""}" title="{text(rec.reason)}">'
        f'<i aria-hidden="true">{ACTION_MARKS[rec.action]}</i>{ACTION_WORDS[rec.action]}</span>'
    )


def sparkline(train: Sequence[float], val: Sequence[float], *, width: int = 132, height: int = 30) -> str:
    """Train and validation as two small lines on one scale; logarithmic where the values range widely.

    A NaN is a gap. Returns a dash where there is no finite value.
    """
    finite = [v for v in (*train, *val) if math.isfinite(v)]
    if not finite:
        return f'<span class="lm-dim">{words.NOTHING}</span>'
    low, high = min(finite), max(finite)
    log = low > 0 and high / low > 50
    if log:
        low, high = math.log(low), math.log(high)
    span = (high - low) or 1.0

    def path(values: Sequence[float], css: str) -> str:
        parts, pen = [], "M"
        for i, value in enumerate(values):
            if not math.isfinite(value):
                pen = "M"
                continue
            x = 2 + (width - 4) * (i / (len(values) - 1) if len(values) > 1 else 0.5)
            y = height - 3 - (height - 6) * (((math.log(value) if log else value) - low) / span)
            parts.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
        if len(parts) == 1:
            parts.append("h0.01")
        return f'<path class="{css}" d="{"".join(parts)}"/>' if parts else ""

    drawn = path(train, "lm-sp-train") + path(val, "lm-sp-val")
    said = f"loss between {words.number(min(finite))} and {words.number(max(finite))}" + (", log scale" if log else "")
    return (
        f'<svg class="lm-spark" role="img" aria-label="{said}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><title>{said}</title>{drawn}</svg>'
    )


def banner(rec: Recommendation, *, live: bool) -> str:
    """The recommendation with its reason and what it rests on; of a run that is over it is told in the past."""
    facts = []
    if rec.best_step is not None:
        facts.append(("best step", words.step(rec.best_step), "best-step"))
        facts.append(("loss there", words.number(rec.best_val_loss), "best-loss"))
    if rec.stop_step is not None:
        facts.append(("stop advised since", f"step {words.step(rec.stop_step)}", "stop-step"))
    elif rec.first_stop_step is not None:
        facts.append(("stop advised, then withdrawn", f"step {words.step(rec.first_stop_step)}", "stop-step"))
    if rec.confidence is not None:
        facts.append(("confidence", f"{rec.confidence:.0%}", "confidence"))
    facts += _outlook(rec.forecast)
    beside = [rec.patience.explanation] if rec.patience else []
    if live:
        beside += [pending.explanation for pending in rec.pending if pending.severity is not Severity.INFO][:2]
    notes = "".join(f'<span class="lm-beside">{text(note)}</span>' for note in beside)
    over = "" if live else " lm-over"
    said = (ACTION_WORDS if live else PAST_WORDS)[rec.action]
    listed = "".join(f'<div><dt>{text(k)}</dt><dd data-testid="{t}">{text(v)}</dd></div>' for k, v, t in facts)
    return (
        f'<section class="lm-banner lm-act-{rec.action}{over}" data-testid="recommendation" aria-label="advice">'
        f'<div class="lm-banner-head"><i aria-hidden="true">{ACTION_MARKS[rec.action]}</i>{said}'
        f"</div><p>{text(rec.reason)}{notes}</p><dl>{listed}</dl></section>"
    )


def _outlook(forecast: Forecast | None) -> list[tuple[str, str, str]]:
    """What continuing would bring, as label, value and test id: the expected loss with its interval."""
    if forecast is None:
        return []
    return [
        (
            f"in {words.step(math.ceil(forecast.steps))} more steps",
            f"{words.number(forecast.expected, 3)} ({words.number(forecast.low, 2)} to "
            f"{words.number(forecast.high, 2)})",
            "forecast",
        )
    ]


def pending_table(pending: Sequence[Pending]) -> str:
    """Findings that may come, a row each: for how long the condition has held, and for how long it must."""
    rows = [
        (chip(p.rule, severity="pending"), text(p.severity), words.step(p.onset_step), words.step(p.since_step),
         "likely" if p.likely else f"{words.number(p.held, 3)} of {words.number(p.needed, 3)} {text(p.unit)}",
         text(p.explanation))
        for p in pending
    ]  # fmt: skip
    heads = ("rule", "severity", "onset", "seen since", "has held for", "what is seen")
    return f"<h2>Pending ({len(pending)})</h2>" + table(heads, rows, css="lm-wrap", numeric=(2, 3))


def finding_card(finding: Finding) -> str:
    """A finding with its steps, explanation, evidence and advice."""
    state = str(finding.state)
    when = [("onset", finding.onset_step), ("fired", finding.fired_step)]
    if finding.resolved_step is not None:
        when.append(("resolved", finding.resolved_step))
    path = ' <span aria-hidden="true">→</span> '.join(f"{k} <b>{words.step(v)}</b>" for k, v in when)
    rows = "".join(
        f"<tr><th>{text(words.label(k))}</th><td>{text(_value(v))}</td></tr>" for k, v in sorted_evidence(finding)
    )
    evidence = f"<table>{rows}</table>" if rows else ""
    advice = f'<p class="lm-advice"><b>Try</b> {text(finding.advice)}</p>' if finding.advice else ""
    kind = finding.severity if finding.state is not FindingState.RESOLVED else "resolved"
    return (
        f'<article class="lm-card lm-card-{kind}" data-testid="finding">'
        f'<header>{chip(finding.rule, severity=_chip_kind(finding))}<span class="lm-when">{path}</span>'
        f'<span class="lm-dim">{state} · {finding.severity} · v{finding.version}</span></header>'
        f'<div class="lm-card-body"><div><p>{text(finding.explanation)}</p>{advice}</div>{evidence}</div></article>'
    )


def sorted_evidence(finding: Finding) -> list[tuple[str, object]]:
    """The evidence with every threshold right after the number that it is held against.

    A key such as `rise_threshold`, `rise_limit` or `min_rise` belongs to `rise`; the order is kept otherwise.
    """
    keys = list(finding.evidence)
    stems = {k: _stem(k) for k in keys}
    measured = [k for k in keys if stems[k] == k or stems[k] not in keys]
    ordered = [k for m in measured for k in (m, *(o for o in keys if o != m and stems[o] == m))]
    return [(k, finding.evidence[k]) for k in ordered]


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    css: str = "",
    numeric: Sequence[int] = (),
    matrix: bool = False,
) -> str:
    """A table; cells are HTML, already escaped, the heads plain text.

    On a narrow screen a row of more than two columns stands as a block, each value beside its column's title, which the
    cell carries in `data-head`.

    Args:
        head: column titles.
        rows: cells.
        css: extra classes.
        numeric: indices of columns that are set to the right.
        matrix: the columns are read against each other, so the rows stay rows on a narrow screen.
    """
    ends = set(numeric)
    stacked = len(head) > 2 and not matrix
    css = f"{css} lm-stack".strip() if stacked else css

    def cell(tag: str, i: int, body: str) -> str:
        label = f' data-head="{text(head[i])}"' if stacked and tag == "td" else ""
        return f"<{tag}{' class=lm-num' if i in ends else ''}{label}>{body}</{tag}>"

    top = "".join(cell("th", i, text(h)) for i, h in enumerate(head))
    body = "".join("<tr>" + "".join(cell("td", i, c) for i, c in enumerate(row)) + "</tr>" for row in rows)
    inner = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="lm-scroll"><table class="lm-table {css}">{inner}</table></div>'


def notice(kind: str, title: str, body: str, *, testid: str = "notice") -> str:
    """A calm note across the page.

    Args:
        kind: "info", "warning" or "critical".
        title: plain text.
        body: plain text; where it has lines, they are kept, in letters of one width.
        testid: how tests find it.
    """
    head, _, rest = body.partition("\n")
    lines = f"<pre>{text(rest)}</pre>" if rest else ""
    return (
        f'<div class="lm-notice lm-{kind}" role="status" data-testid="{testid}">'
        f'<i aria-hidden="true">{MARKS[kind]}</i><div><b>{text(title)}</b> {text(head)}{lines}</div></div>'
    )


def flat(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """A nested mapping with dotted keys.

    >>> flat({"opt": {"lr": 0.1}, "seed": 3})
    {'opt.lr': 0.1, 'seed': 3}
    """
    found: dict[str, object] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def shown(value: object, *, limit: int = 120) -> str:
    """A value as escaped text; one of more than `limit` characters is cut, with the whole in the hover text."""
    full = _value(value)
    return text(full) if len(full) <= limit else f'<span title="{text(full[:2000])}">{text(full[: limit - 1])}…</span>'


def _value(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {None: words.NOTHING, True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return words.number(value, 5)
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def _stem(key: str) -> str:
    for prefix in ("min_", "max_"):
        key = key.removeprefix(prefix)
    for suffix in ("_threshold", "_limit", "_min", "_max", "_needed", "_allowed"):
        key = key.removesuffix(suffix)
    return key


def _chip_kind(finding: Finding) -> str:
    if finding.state is FindingState.RESOLVED:
        return "resolved"
    good = finding.severity is Severity.INFO and words.severity_of(finding.rule) == "good"
    return "good" if good else str(finding.severity)
