"""A run's page as HTML: its head, and the bodies of its tabs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final

from dashboard import charts, markup, skill, words
from dashboard.data import Snapshot
from dashboard.marks import most_telling
from dashboard.markup import text
from monitor.domain import SET_ASIDE, Curve, Finding, FindingState, Pending, RunInfo, SeriesInfo
from monitor.roles import Role
from monitor.wire import Event

_ROLE_WORDS: Final = {
    Role.TRAIN: "training loss",
    Role.VAL: "validation loss",
    Role.GRAD_NORM: "gradient norm",
    Role.LR: "learning rate",
    Role.GOAL: "goal",
    Role.PART: "part of the loss",
    Role.SYSTEM: "machine",
    Role.UNMAPPED: "unmapped",
}
_INTEREST: Final = (Role.TRAIN, Role.VAL, Role.GOAL, Role.GRAD_NORM, Role.LR, Role.PART, Role.UNMAPPED, Role.SYSTEM)
EVENT_LIMIT: Final = 200


def header(seen: Snapshot, now_ms: int, zone: tzinfo, *, stale: bool = False) -> str:
    """Name, verdict and the numbers that matter; the last step stands in `data-testid="last-step"`."""
    run = seen.info
    train, val = seen.judged(Role.TRAIN), seen.judged(Role.VAL)
    facts = [
        ("last step", f'<span data-testid="last-step">step {words.step(run.last_step)}</span>'),
        ("train", words.number(train.last if train else None)),
        ("validation", words.number(val.last if val else None)),
        ("points", _points(seen)),
        ("started", f'<span title="{words.clock(run.created_ms, zone)}">{words.ago(run.created_ms, now_ms)}</span>'),
        ("took" if run.finished_ms else "for", words.duration(_end(run, now_ms) - run.created_ms)),
    ]
    if skill.comparable(run):
        facts.insert(3, ("skill", f'<span data-testid="skill">{skill.figure(run)}</span>'))
    if run.attempt > 1:
        facts.append(("attempt", str(run.attempt)))
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    group = f" · {text(run.group)}" if run.group else ""
    name = f'<h1 data-testid="run-name">{text(run.name)}</h1>'
    return (
        f'<div class="{"lm-stale" if stale else ""}"><div class="lm-head">{name}'
        f'{markup.status(run.status)}<span class="lm-dim">{text(run.project)}{group} · <code>{run.id[:8]}</code></span>'
        f"{markup.link('compare', [('run', run.id)], 'Compare with…')}"
        f'</div><div class="lm-headline">{markup.chip(run.verdict)}<span data-testid="headline">{text(run.headline)}'
        f'</span></div>{_notes(run, now_ms)}<dl class="lm-facts">{listed}</dl></div>'
    )


def stop_control(run: RunInfo, problem: str = "") -> str:
    """The button that asks a live run to stop, and below it the panel that confirms it; the browser keeps both.

    Args:
        run: one that has ended, or was asked already, has no button.
        problem: why the last request was not taken.
    """
    if not run.status.live or run.stop_requested:
        return ""
    failed = markup.notice("critical", "Not asked.", problem, testid="stop-failed") if problem else ""
    return (
        '<div class="lm-stop"><button class="lm-button" data-opens="stop" aria-expanded="false">■ Ask to stop</button>'
        f'<div class="lm-panel" data-panel="stop" role="group" aria-label="ask the loop to stop" hidden>'
        f"<p><code>run.should_stop()</code> of <b>{text(run.name)}</b> becomes true with its next batch or "
        "heartbeat.</p>"
        '<label>Who asks <input name="who" value="dashboard" maxlength="100"></label>'
        '<button class="lm-button lm-primary" data-act="stop" data-field="who" data-busy="Asking the server…">'
        f"Ask it to stop</button></div>{failed}</div>"
    )


def _points(seen: Snapshot) -> str:
    """How many points the run has; of a thinned one how many of those that were logged are kept."""
    count, thinned = sum(s.count for s in seen.series), seen.info.warnings.get("thinned", 0)
    return f"{count:,}" + (f" of {count + thinned:,} kept" if thinned else "")


def _end(run: RunInfo, now_ms: int) -> int:
    return run.finished_ms or (now_ms if run.status.live else run.last_point_ms) or run.created_ms


def _notes(run: RunInfo, now_ms: int) -> str:
    """A failed run's error, a stop that was asked for, a heartbeat that is missing."""
    notes = ""
    if run.error:
        notes += markup.notice("critical", "Failed.", run.error, testid="error")
    if run.stop_requested and run.status.live:
        notes += markup.notice(
            "info", "Asked to stop", f"by {run.stop_requested}; waiting for the loop.", testid="asked"
        )
    if str(run.status) == "lost":
        notes += markup.notice("critical", "Lost.", f"The last heartbeat was {words.ago(run.heartbeat_ms, now_ms)}.")
    return notes


def caption(drawn: Sequence[Curve], known: Mapping[str, float], seen: Snapshot, said: Sequence[str]) -> str:
    """What the chart leaves out, in one line under it.

    Args:
        drawn: the curves as the chart has them.
        known: the reference values, on the chart's axis.
        seen: the run.
        said: what there is to say besides.
    """
    parts = [*said, *_beyond(known, drawn)]
    hidden = len([s for s in seen.series if s.role in (Role.TRAIN, Role.VAL)]) - sum(
        seen.judged(role) is not None for role in (Role.TRAIN, Role.VAL)
    )
    if hidden:
        parts.append(f"{hidden} more loss series under More series")
    spans = "".join(f"<span>{text(part)}</span>" for part in parts)
    return f'<div class="lm-caption" data-testid="caption">{spans}</div>'


def _beyond(known: Mapping[str, float], drawn: Sequence[Curve]) -> list[str]:
    """The reference values that lie outside the axis, and so have no line."""
    inside = charts.within(known, drawn)
    return [f"{name} {words.number(value)} lies off the axis" for name, value in known.items() if name not in inside]


def describe(seen: Snapshot) -> str:
    """The chart in a sentence, for those who cannot see it."""
    found = "; ".join(
        f"{words.label(f.rule)} from step {words.step(f.onset_step)}" for f in most_telling(seen.findings)[:4]
    )
    return f"Train and validation loss up to step {words.step(seen.info.last_step)}. {found or 'No findings'}."


def no_curves(seen: Snapshot) -> str:
    """What stands where the chart would be."""
    if seen.series:
        names = ", ".join(s.key for s in seen.series[:6])
        body = (
            f"Stored and shown under More series: {names}. A loss is found by its name, such as train/loss or val_loss."
        )
        return markup.notice("info", "No series is taken for a loss.", body, testid="no-loss")
    said = ("No point has arrived yet.", "The chart appears with the first one.")
    if not seen.info.status.live:
        said = ("No point was logged.", "The run ended before its first one.")
    return markup.notice("info", *said, testid="no-points")


def references(run: RunInfo) -> dict[str, float]:
    """Lines that the loss' own specification gives: the chance level and the floor."""
    found = {}
    for key, name in (("chance_level", "chance level"), ("floor", "floor")):
        value = (run.loss or {}).get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = float(value)
    return found


def findings(seen: Snapshot) -> str:
    """A card for each finding that fires, those that matter most first; then what is pending, and what is over."""
    pending = to_come(seen.info)
    if not seen.findings and not pending:
        return '<p class="lm-dim" data-testid="no-findings">The rules have found nothing so far.</p>'
    ranked = most_telling(seen.findings)
    over = [f for f in ranked if f.state is FindingState.RESOLVED]
    cards = "".join(markup.finding_card(f) for f in ranked if f not in over)
    waiting = markup.pending_table(pending) if pending else ""
    return (cards or '<p class="lm-dim">Nothing fires now.</p>') + waiting + _resolved(over)


def to_come(run: RunInfo) -> tuple[Pending, ...]:
    """What is pending while a run lives; of one that is over, what was likely when it ended, and so told it to stop."""
    return tuple(p for p in run.recommendation.pending if run.status.live or p.likely)


def _resolved(findings: Sequence[Finding]) -> str:
    """Findings that are over, a row each, the newest first."""
    if not findings:
        return ""
    rows = [
        (markup.chip(f.rule, severity="resolved"), text(f.severity), words.step(f.onset_step), words.step(f.fired_step),
         words.step(f.resolved_step), _lasted(f))
        for f in sorted(findings, key=lambda f: -f.fired_step)
    ]  # fmt: skip
    heads = ("rule", "severity", "onset", "fired", "resolved", "steps")
    table = markup.table(heads, rows, css="lm-wrap lm-flow", numeric=(2, 3, 4, 5))
    return f"<h2>Resolved ({len(findings)})</h2>" + table


def _lasted(finding: Finding) -> str:
    """Steps from the onset to the end."""
    return words.NOTHING if finding.resolved_step is None else words.step(finding.resolved_step - finding.onset_step)


def config(run: RunInfo) -> str:
    """The run's configuration, flat."""
    rows = [(f"<code>{text(k)}</code>", markup.shown(v)) for k, v in sorted(markup.flat(run.config).items())]
    if not rows:
        return '<p class="lm-dim">No configuration was logged: <code>monitor.init(config={…})</code>.</p>'
    return markup.table(("key", "value"), rows, css="lm-wrap")


def tags(run: RunInfo) -> str:
    """The run's tags and what identifies it."""
    rows = [(f"<code>{text(k)}</code>", markup.shown(v)) for k, v in sorted(run.tags.items())]
    about = [
        ("id", f"<code>{run.id}</code>"),
        ("project", text(run.project)),
        ("group", text(run.group or words.NOTHING)),
    ]
    for key, value in markup.flat(run.loss or {}, "loss.").items():
        if value not in (None, [], {}):
            listed = "; ".join(_plain(v) for v in value) if isinstance(value, list) else value
            about.append((f"<code>{text(key)}</code>", markup.shown(listed)))
    return markup.table(("tag", "value"), [*rows, *about], css="lm-wrap")


def _plain(value: object) -> str:
    return words.number(value) if value is None or isinstance(value, float) else str(value)


def by_interest(series: Sequence[SeriesInfo]) -> tuple[SeriesInfo, ...]:
    """Series in the order in which they are looked at: losses, gradient norm, learning rate, parts, the rest."""
    return tuple(sorted(series, key=lambda s: (_INTEREST.index(s.role), s.key)))


def series(seen: Snapshot) -> str:
    """Every series with its extremes, and what the rules take it for."""
    judged = {s.key for role in Role if (s := seen.judged(role)) is not None}
    rows = []
    for s in by_interest(seen.series):
        role = _ROLE_WORDS[s.role] + ("" if s.key in judged or s.role in (Role.PART, Role.SYSTEM) else ", not judged")
        unmapped = '<span class="lm-chip lm-none">unmapped</span>' if s.role is Role.UNMAPPED else text(role)
        bad = " ".join(f"{n:,} {kind}" for n, kind in ((s.nan_count, "NaN"), (s.inf_count, "inf")) if n)
        rows.append(
            (f"<code>{text(s.key)}</code>", unmapped, f"{s.count:,}", words.step(s.last_step), words.number(s.last),
             f"{words.number(s.min)} <span class=lm-dim>@ {words.step(s.min_step)}</span>",
             f"{words.number(s.max)} <span class=lm-dim>@ {words.step(s.max_step)}</span>", bad or words.NOTHING)
        )  # fmt: skip
    heads = ("series", "taken for", "points", "last step", "last", "lowest", "highest", "not finite")
    return markup.table(heads, rows, numeric=(2, 3, 4, 5, 6, 7))


def checkpoints(seen: Snapshot, now_ms: int) -> str:
    """The files that the loop saved; the one nearest to the best step is marked."""
    if not seen.checkpoints:
        return '<p class="lm-dim">No checkpoint was recorded: <code>run.checkpoint(step, path)</code>.</p>'
    best = seen.info.recommendation.best_step
    nearest = min(seen.checkpoints, key=lambda c: abs(c.step - best)).step if best is not None else None
    rows = [
        (words.step(c.step), f"<code>{text(c.path)}</code>", words.ago(c.time_ms, now_ms),
         '<span class="lm-chip lm-good">★ nearest to the best step</span>' if c.step == nearest else "")
        for c in sorted(seen.checkpoints, key=lambda c: -c.step)
    ]  # fmt: skip
    return markup.table(("step", "path", "saved", ""), rows, numeric=(0,))


def _said(fields: Mapping[str, object]) -> str:
    """An event's fields in a line, those that hold nothing left out."""
    return ", ".join(f"{k}: {v}" for k, v in markup.flat(fields).items() if v not in (None, {}, [], ""))


def events(seen: Snapshot, happened: Sequence[Event], zone: tzinfo) -> str:
    """What was set aside, by counter, and the run's events, newest first."""
    body = ""
    rows = [(text(k), f"{n:,}", text(SET_ASIDE.get(k, ""))) for k, n in sorted(seen.info.warnings.items()) if n]
    if rows:
        body += "<h2>What was not taken as it came</h2>" + markup.table(("", "count", "meaning"), rows, numeric=(1,))
    newest = list(happened)[::-1]
    lines = [
        (words.clock(h.time_ms, zone), text(h.kind), markup.shown(_said(h.data), limit=400))
        for h in newest[:EVENT_LIMIT]
    ]
    if lines:
        more = f" ({EVENT_LIMIT} of {len(newest):,})" if len(newest) > EVENT_LIMIT else ""
        body += f"<h2>Events{more}</h2>" + markup.table(("time", "event", "what"), lines, css="lm-wrap lm-events")
    return body or '<p class="lm-dim">Nothing was dropped, converted or late, and no event was recorded.</p>'
