"""Building blocks of pages: chips, sparklines, findings, tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from markupsafe import Markup

from dashboard import skill, words
from dashboard.markup.templates import fill
from monitor.domain import (
    Action,
    Finding,
    FindingState,
    Forecast,
    Pending,
    Recommendation,
    RunInfo,
    RunStatus,
    Severity,
)
from monitor.domain.formats import NOTHING, number, plain, position, step
from monitor.errors import MonitorError

Cell = str | Markup
"""Text, which is escaped, or HTML."""
_PIECES: Final = "pieces"


def run_link(run_id: str, body: Cell) -> Markup:
    """A link to a run's page; it works as a plain link in a new tab and as a page switch when clicked."""
    return link("run", [("id", run_id)], body)


def link(page: str, query: Sequence[tuple[str, str]], body: Cell) -> Markup:
    """A link to a page of the dashboard.

    Args:
        page: its path, "." for the front page.
        query: what the page is to show.
    """
    return fill(_PIECES, "link", page=page, query=list(query), body=body)


def chip(verdict: str, *, severity: str = "") -> Markup:
    """A verdict as a coloured chip with a mark for its severity."""
    return fill(_PIECES, "chip", verdict=verdict, kind=severity)


def verdict(run: RunInfo) -> Markup:
    """A run's verdict as a chip; it is not too early for one that is over."""
    if run.status.over and run.verdict == "too_early":
        judged = run.recommendation.best_step is not None or run.goal_best is not None
        return badge("none", "nothing logged" if run.last_step is None else "too short" if judged else "not judged")
    return chip(run.verdict, severity=words.kind_of(run))


def badge(kind: str, said: str, mark: str = "") -> Markup:
    """A chip that says anything but a verdict."""
    return fill(_PIECES, "badge", kind=kind, mark=mark or words.MARKS[kind], words=said)


def status(state: RunStatus) -> Markup:
    """A run's status: a dot that differs in form, and the word."""
    return fill(_PIECES, "status", state=state)


def action(rec: Recommendation, *, live: bool) -> Markup:
    """The recommendation in one word, with its reason as hover text; muted for an ended run."""
    return fill(_PIECES, "action", rec=rec, live=live)


def code(value: object) -> Markup:
    """Monospaced text."""
    return fill(_PIECES, "code", value=value)


def dim(value: object) -> Markup:
    """Dimmed text."""
    return fill(_PIECES, "dim", value=value)


def hover(value: object, title: str) -> Markup:
    """Content with a hover text."""
    return fill(_PIECES, "hover", value=value, title=title)


def quiet(value: object, *, testid: str = "quiet") -> Markup:
    """A dimmed paragraph, such as an empty state."""
    return fill(_PIECES, "quiet", value=value, testid=testid)


def heading(value: str) -> Markup:
    """A heading within a page."""
    return fill(_PIECES, "heading", value=value)


def head(title: str) -> Markup:
    """The head of a page that has nothing but a title."""
    return fill(_PIECES, "head", title=title)


def caption(parts: Sequence[str], *, testid: str = "") -> Markup:
    """The caption under a chart."""
    return fill(_PIECES, "caption", parts=parts, testid=testid)


def listed(said: Sequence[str], *, testid: str) -> Markup:
    """Sentences as a list; nothing where there are none."""
    return fill(_PIECES, "listed", said=said, testid=testid) if said else Markup("")


def sparkline(train: Sequence[float], val: Sequence[float], *, width: int = 132, height: int = 30) -> Markup:
    """Train and validation as two small lines on one linear scale.

    A NaN is a gap. Returns a dash where there is no finite value.
    """
    finite = [v for v in (*train, *val) if math.isfinite(v)]
    if not finite:
        return dim(NOTHING)
    low, high = min(finite), max(finite)
    span = (high / 2 - low / 2) or 1.0  # halves, since the difference of two floats may be beyond them

    def path(values: Sequence[float]) -> str:
        parts, pen = [], "M"
        for i, value in enumerate(values):
            if not math.isfinite(value):
                pen = "M"
                continue
            x = 2 + (width - 4) * (i / (len(values) - 1) if len(values) > 1 else 0.5)
            y = height - 3 - (height - 6) * ((value / 2 - low / 2) / span)
            parts.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
        if len(parts) == 1:
            parts.append("h2")
        return "".join(parts)

    lines = [(css, drawn) for css, values in (("lm-sp-train", train), ("lm-sp-val", val)) if (drawn := path(values))]
    said = f"loss between {number(low)} and {number(high)}"
    return fill(_PIECES, "sparkline", lines=lines, said=said, width=width, height=height)


def banner(rec: Recommendation, *, live: bool, tone: str = "", unit: str = "step") -> Markup:
    """The recommendation with its reason and what it rests on; for a run that is over, in the past tense.

    Args:
        live: whether the run may continue.
        tone: "none" where "no reason to stop" is not good news, since the run failed or is too young to be judged.
        unit: what the run's steps count, "step" or "epoch".
    """
    facts = []
    if rec.best_step is not None:
        facts.append((f"best {unit}", step(rec.best_step), "best-step"))
        facts.append(("loss there", number(rec.best_val_loss), "best-loss"))
    if rec.best_goal is not None:
        facts.append((f"best {rec.goal}", number(rec.best_goal), "best-goal"))
        facts.append((f"at {unit}", step(rec.best_goal_step), "best-goal-step"))
    if rec.stop_step is not None:
        facts.append(("stop advised since", position(unit, rec.stop_step), "stop-step"))
    elif rec.first_stop_step is not None:
        facts.append(("stop advised, then withdrawn", position(unit, rec.first_stop_step), "stop-step"))
    if rec.confidence is not None:
        facts.append(("confidence", f"{rec.confidence:.0%}", "confidence"))
    facts += _outlook(rec.forecast, unit)
    notes = [rec.patience.explanation] if rec.patience else []
    if live:
        notes += [pending.explanation for pending in rec.pending if pending.severity is not Severity.INFO][:2]
    said = (words.ACTION_WORDS if live else words.PAST_WORDS)[rec.action]
    tone = tone if tone and rec.action is Action.CONTINUE else str(rec.action)
    mark = "…" if tone == "none" else words.ACTION_MARKS[rec.action]
    return fill(
        _PIECES, "banner", reason=rec.reason, tone=tone, mark=mark, said=said, facts=facts, notes=notes, over=not live
    )


def not_judged(said: str, reason: str) -> Markup:
    """Shown instead of the banner if the rules have nothing to judge."""
    return fill(_PIECES, "banner", reason=reason, tone="none", mark="…", said=said, facts=(), notes=(), over=False)


def _outlook(forecast: Forecast | None, unit: str) -> list[tuple[str, str, str]]:
    """What continuing would bring, as label, value and test id: the expected loss with its interval."""
    if forecast is None:
        return []
    expected = f"{number(forecast.expected, 3)} ({number(forecast.low, 2)} to {number(forecast.high, 2)})"
    return [(f"in {step(math.ceil(forecast.steps))} more {unit}s", expected, "forecast")]


def pending_table(pending: Sequence[Pending]) -> Markup:
    """Findings that may come, a row each: for how long the condition has held, and for how long it must."""
    rows = [
        (chip(p.rule, severity="pending"), str(p.severity), step(p.onset_step), step(p.since_step),
         "likely" if p.likely else f"{number(p.held, 3)} of {number(p.needed, 3)} {p.unit}", p.explanation)
        for p in pending
    ]  # fmt: skip
    heads = ("rule", "severity", "onset", "seen since", "has held for", "what is seen")
    return heading(f"Pending ({len(pending)})") + table(heads, rows, css="lm-wrap", numeric=(2, 3))


def finding_card(found: Finding) -> Markup:
    """A finding with its steps, explanation, evidence and advice."""
    over = found.state is FindingState.RESOLVED
    good = found.severity is Severity.INFO and words.severity_of(found.rule) == "good"
    kind = "resolved" if over else "good" if good else str(found.severity)
    card = "resolved" if over else str(found.severity)
    return fill(_PIECES, "finding", found=found, kind=kind, card=card, evidence=sorted_evidence(found), over=over)


def sorted_evidence(finding: Finding) -> list[tuple[str, object]]:
    """The evidence with every threshold right after the number that it is held against.

    A key such as `rise_threshold`, `rise_limit` or `min_rise` belongs to `rise`; the order is kept otherwise.
    """
    keys = list(finding.evidence)
    stems = {k: _stem(k) for k in keys}
    measured = [k for k in keys if stems[k] == k or stems[k] not in keys]
    ordered = [k for m in measured for k in (m, *(o for o in keys if o != m and stems[o] == m))]
    return [(k, finding.evidence[k]) for k in ordered]


def _stem(key: str) -> str:
    for prefix in ("min_", "max_"):
        key = key.removeprefix(prefix)
    for suffix in ("_threshold", "_limit", "_min", "_max", "_needed", "_allowed"):
        key = key.removesuffix(suffix)
    return key


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    css: str = "",
    numeric: Sequence[int] = (),
    matrix: bool = False,
    values: Sequence[Sequence[object]] = (),
    order: str = "",
) -> Markup:
    """A table.

    Args:
        numeric: indices of columns that are set to the right.
        matrix: the columns are read against each other, so the rows stay rows on a narrow screen.
        values: what each cell is sorted by; a click on a title then asks for `sort`. None of them: as they are.
        order: the title of the column that the rows are sorted by, after "-" for the largest first.
    """
    shown, by = list(rows), order.removeprefix("-")
    if values and by in head:
        at = list(head).index(by)
        shown = [shown[i] for i in _ordered([row[at] for row in values], falling=order != by)]
    return fill(
        _PIECES, "table", head=head, rows=shown, css=css, numeric=set(numeric), matrix=matrix, sorts=bool(values),
        order=order,
    )  # fmt: skip


def _ordered(values: Sequence[object], *, falling: bool) -> list[int]:
    """Places of values in their order: numbers before texts, what is missing or NaN last either way.

    >>> _ordered([2, None, 1, "a"], falling=False), _ordered([2, None, 1, "a"], falling=True)
    ([2, 0, 3, 1], [3, 0, 2, 1])
    """

    def rank(i: int) -> tuple[bool, float, str]:
        value = values[i]
        return (False, value, "") if isinstance(value, int | float) else (True, 0.0, str(value).casefold())

    known = [i for i, v in enumerate(values) if v is not None and not (isinstance(v, float) and math.isnan(v))]
    return [*sorted(known, key=rank, reverse=falling), *(i for i in range(len(values)) if i not in set(known))]


def notice(kind: str, title: str, body: str, *, testid: str = "notice") -> Markup:
    """A calm note across the page.

    Args:
        kind: "info", "warning" or "critical".
        body: plain text; where it has lines, they are kept, in letters of one width.
        testid: how tests find it.
    """
    first, _, rest = body.partition("\n")
    return fill(_PIECES, "notice", kind=kind, title=title, head=first, lines=rest, testid=testid)


def problem(error: MonitorError | None, *, testid: str = "notice") -> Markup:
    """A note on what could not be read; nothing where all could."""
    return notice("warning", *words.explain(error), testid=testid) if error is not None else Markup("")


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


def odd_keys(values: Sequence[Mapping[str, object]]) -> tuple[list[str], int]:
    """The keys whose value is not the same in all mappings, or that one lacks; and how many keys there are in all.

    >>> odd_keys([{"lr": 0.1, "seed": 1}, {"lr": 0.1, "seed": 2, "new": None}])
    (['new', 'seed'], 3)
    """
    keys = sorted({key for each in values for key in each})
    return [key for key in keys if not all(_agree(values[0], each, key) for each in values)], len(keys)


def _agree(left: Mapping[str, object], right: Mapping[str, object], key: str) -> bool:
    """Whether two mappings have the same value: 1 and 1.0 look alike, and so do two NaN."""
    if key not in left or key not in right:
        return key not in left and key not in right
    return left[key] == right[key] or repr(left[key]) == repr(right[key])


def by_key(names: Sequence[str], values: Sequence[Mapping[str, object]], keys: Sequence[str]) -> Markup:
    """A table with a row for each key, and a column for each mapping."""
    rows = [(code(key), *(value_of(each, key) for each in values)) for key in keys]
    return table(("", *names), rows, css="lm-wrap", matrix=True)


def value_of(values: Mapping[str, object], key: str, limit: int = 120) -> Cell:
    """A value as `shown`, or that there is none."""
    return shown(values[key], limit=limit) if key in values else dim("not set")


def shown(value: object, *, limit: int = 120) -> Cell:
    """A value as text; one of more than `limit` characters is cut, with the whole in the hover text."""
    full = plain(value)
    return full if len(full) <= limit else hover(f"{full[: limit - 1]}…", full[:2000])


def score(run: RunInfo) -> Markup:
    """The skill score, with how it comes about as hover text; a dash where there is none."""
    found = skill.of_run(run)
    if not skill.comparable(run):
        why = "no specification of the loss" if run.loss is None else "this loss has no chance level and floor to use"
        return fill(_PIECES, "no_score", title=f"No skill: {why}. {skill.MEANING}.")
    if found is None:
        return hover(NOTHING, f"No finite loss so far. {skill.MEANING}.")
    chance, floor = skill.levels(run)
    how = f"1 - ({number(run.recommendation.best_val_loss)} - {number(floor)}) / ({number(chance)} - {number(floor)})"
    return hover(f"{found:.3f}", f"{how}, of the best loss. {skill.MEANING}.")
