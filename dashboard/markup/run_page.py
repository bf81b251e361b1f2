"""A run's page: its head, and the bodies of its tabs."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final

from markupsafe import Markup

from dashboard import skill, words
from dashboard.charts import loss
from dashboard.markup import pieces
from dashboard.markup.pieces import badge, chip, code, heading, hover, notice, quiet, table
from dashboard.markup.templates import fill, joined
from monitor import losses
from monitor.domain import (
    MAIN_ROLES,
    Action,
    Curve,
    Finding,
    FindingState,
    Pending,
    RunInfo,
    RunSnapshot,
    RunStatus,
    SeriesInfo,
    best_checkpoint,
    courses,
    folded,
    most_telling,
)
from monitor.domain.formats import NOTHING, ago, clock, duration, number, position, step
from monitor.roles import Role

_ROLE_WORDS: Final = {
    Role.TRAIN: "training loss",
    Role.VAL: "validation loss",
    Role.GRAD_NORM: "gradient norm",
    Role.LR: "learning rate",
    Role.PART: "part of the loss",
    Role.GOAL: "goal",
    Role.SYSTEM: "machine",
    Role.UNMAPPED: "unmapped",
}
_INTEREST: Final = (Role.TRAIN, Role.VAL, Role.GOAL, Role.GRAD_NORM, Role.LR, Role.PART, Role.UNMAPPED, Role.SYSTEM)
NOT_A_LOSS: Final = (
    "No series is taken for a loss or a goal, so the rules have nothing to judge and no advice to give. "
    "A loss is found by its name, such as train/loss or val_loss."
)
_NEAREST: Final = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*") \(([0-9a-f]{8})\)""")
"""A name as Python writes it, and the start of an id."""
_PAGE: Final = "run_page"
_NOTHING: Final = Markup("")


def header(seen: RunSnapshot, now_ms: int, *, stale: bool = False, mlflow: str | None = None) -> Markup:
    """Name, status and verdict, and what is wrong with the run.

    Args:
        stale: the server did not answer last.
        mlflow: the address of MLflow's pages, which know the run under the same id.
    """
    run = seen.info
    verdict = (
        pieces.verdict(run)
        if seen.series or run.verdict != "too_early"
        else badge("none", "nothing logged" if run.status.over else "nothing logged yet")
    )
    if seen.series and not _judged(seen):
        verdict = badge("none", "not judged")
    return fill(_PAGE, "header", run=run, verdict=verdict, notes=_notes(seen, now_ms), stale=stale, mlflow=mlflow)


def facts(seen: RunSnapshot, now_ms: int, zone: tzinfo) -> Markup:
    """The numbers that matter; the last step stands in `data-testid="last-step"`."""
    run = seen.info
    train, val = seen.judged(Role.TRAIN), seen.judged(Role.VAL)
    found: list[tuple[str, pieces.Cell]] = [
        (f"last {seen.progress.unit}", fill(_PAGE, "last_step", run=run, unit=seen.progress.unit)),
        *((name, number(of.last)) for name, of in (("train", train), ("validation", val)) if of is not None),
    ]
    if skill.comparable(run):
        found.append(("skill", fill(_PAGE, "score", found=pieces.score(run))))
    goal, gap, rate, unit = seen.judged(Role.GOAL), seen.progress.gap, seen.progress.rate, seen.progress.unit
    if goal is not None:
        found.append((goal.key, number(goal.last)))
    if gap is not None:
        found.append(("gap", hover(number(gap.now, 3), gap.said(unit))))
    if rate is not None and rate.half_life is not None:
        found.append(("half-life", hover(f"{step(round(rate.half_life))} {unit}s", rate.said(unit))))
    found += [
        ("points", _points(seen)),
        ("started", hover(ago(run.created_ms, now_ms), clock(run.created_ms, zone))),
        ("took" if run.finished_ms else "for", duration(run.took_ms(now_ms))),
    ]
    if run.attempt > 1:
        found.append(("attempt", str(run.attempt)))
    said = str((run.reading or {}).get("line") or "") if _judged(seen) else ""
    return fill(_PAGE, "facts", facts=found, said=said)


def examples(seen: RunSnapshot) -> Markup:
    """Which examples and slices make the loss, in plain words; nothing where that was not logged."""
    return pieces.listed(seen.of_examples(), testid="examples")


def remedies(seen: RunSnapshot) -> Markup:
    """What to try where the run overfits."""
    return pieces.listed(seen.of_remedies(), testid="remedies")


def _judged(seen: RunSnapshot) -> bool:
    """True where the rules have something to judge: a loss, or the metric that the training is for."""
    return any(seen.judged(role) is not None for role in MAIN_ROLES)


def advice(seen: RunSnapshot) -> Markup:
    """What is advised and why; that there is nothing to judge, where no series is taken for a loss."""
    run, judged = seen.info, _judged(seen)
    if not judged and seen.series:
        return pieces.not_judged("Not judged", NOT_A_LOSS)
    if not judged:
        over = "The run ended before its first point." if not run.status.live else "No point has arrived yet."
        return pieces.not_judged("Nothing to judge", over)
    if run.verdict == "not_judged":
        return pieces.not_judged("Not judged", run.recommendation.reason)
    bad = run.status is RunStatus.FAILED or (run.status.over and words.severity_of(run.verdict) != "good")
    tone = "none" if bad or run.verdict == "too_early" else ""
    banner = pieces.banner(run.recommendation, live=not run.status.over, tone=tone, unit=seen.progress.unit)
    return joined([banner, fill(_PAGE, "saving", said=_saving(seen))])


def _saving(seen: RunSnapshot) -> str:
    """What a stop saves, where one is advised, and what the run would have been stopped for."""
    run, said = seen.info, []
    if run.stop_step is not None:
        said.append(f"Would have stopped at {position(seen.progress.unit, run.stop_step)}.")
    saves = seen.saving is not None and (seen.saving.hours is not None or seen.saving.checkpoint is not None)
    if seen.saving is not None and saves and run.status.live and run.recommendation.action is Action.STOP:
        said.append(seen.saving.sentence)
    return " ".join(said)


def controls(run: RunInfo, problem: str = "") -> Markup:
    """What can be done with a run: ask its loop to stop, rename it, delete it.

    Args:
        run: one that has ended, or was asked already, has no button to stop it.
        problem: why the last request was not taken.
    """
    stops = run.status.live and not run.stop_requested
    return fill(_PAGE, "controls", run=run, problem=problem, stops=stops)


def several(ref: str, runs: Sequence[RunInfo], now_ms: int) -> Markup:
    """The page of a link that several runs match: a list to choose from."""
    rows = [
        (
            pieces.run_link(run.id, run.name),
            run.project,
            code(run.id[:8]),
            pieces.status(run.status),
            ago(run.created_ms, now_ms),
        )
        for run in runs
    ]
    said = notice("info", f"Several runs match {ref}.", "Choose one.", testid="several")
    return said + (table(("run", "project", "id", "status", "started"), rows) if rows else _NOTHING)


def nearest(said: str) -> Markup:
    """Links to runs whose names are similar to one that no run has.

    Args:
        said: as `RunNotFound.nearest` names them; "" for none.
    """
    found = [(ast.literal_eval(name), ref) for name, ref in _NEAREST.findall(said)]
    return fill(_PAGE, "nearest", found=found) if found else _NOTHING


def gone(run: RunInfo, days: float, lacks: str = "") -> Markup:
    """What stands in the place of a run that was deleted: the button that restores it, or the role that it takes."""
    return fill(_PAGE, "gone", run=run, days=days, lacks=lacks)


def _points(seen: RunSnapshot) -> str:
    """How many points the run has; of a downsampled one how many of those that were logged are kept."""
    count, thinned = sum(s.count for s in seen.series), seen.info.warnings.get("thinned", 0)
    return f"{count:,}" + (f" of {count + thinned:,} kept" if thinned else "")


def _notes(seen: RunSnapshot, now_ms: int) -> Markup:
    """A failed run's error, a stop that was asked for, a heartbeat that is missing."""
    run, stop = seen.info, next((stop for stop in seen.stops if stop.open), None)
    notes = []
    if run.error:
        notes.append(notice("critical", "Failed.", run.error, testid="error"))
    if run.stop_requested and run.status.live:
        asked = f"by {run.stop_requested}; {stop.state}." if stop else f"by {run.stop_requested}; waiting for the loop."
        notes.append(notice("info", "Asked to stop", asked, testid="asked"))
    if run.status is RunStatus.LOST:
        notes.append(notice("critical", "Lost.", f"The last heartbeat was {ago(run.heartbeat_ms, now_ms)}."))
    return joined(notes)


def caption(drawn: Sequence[Curve], known: Mapping[str, float], seen: RunSnapshot, said: Sequence[str]) -> Markup:
    """What the chart leaves out, in one line under it.

    Args:
        drawn: the curves as the chart has them.
        known: the reference values, on the chart's axis.
    """
    inside = loss.within(known, drawn)
    beyond = [f"{name} {number(value)} lies off the axis" for name, value in known.items() if name not in inside]
    hidden = sum(max(0, len(seen.of_role(role)) - 1) for role in MAIN_ROLES)
    more = [f"{hidden} more loss series under Charts"] if hidden else []
    return pieces.caption((*said, *beyond, *more), testid="caption")


def course(seen: RunSnapshot) -> Markup:
    """What the curves did and how the run gets on, in a line each under the chart."""
    told = [f"{series}: {line}" for series, line in courses(seen.regimes).items()]
    did = pieces.caption(told, testid="course") if told else _NOTHING
    run = seen.info
    means = losses.meaning_sentence(run.loss, run.recommendation.best_val_loss, run.config)
    lines = [*seen.progress.sentences(), *([means] if means else [])]
    return joined([did, *(pieces.caption([line], testid="progress") for line in lines)])


def describe(seen: RunSnapshot) -> str:
    """The chart in a sentence, for those who cannot see it."""
    unit = seen.progress.unit
    told = most_telling(seen.findings)[:4]
    found = "; ".join(f"{words.label(f.rule)} from {position(unit, f.onset_step)}" for f in told)
    goal, losses = seen.judged(Role.GOAL), seen.judged(Role.TRAIN) or seen.judged(Role.VAL)
    drawn = " and ".join([*(["train and validation loss"] if losses else []), *([goal.key] if goal else [])])
    return f"{drawn[:1].upper()}{drawn[1:]} up to {unit} {step(seen.info.last_step)}. {found or 'No findings'}."


def no_curves(seen: RunSnapshot) -> Markup:
    """What stands where the chart would be."""
    if seen.series:
        names = ", ".join(s.key for s in seen.series[:6]) + (", …" if len(seen.series) > 6 else "")
        body = f"Stored, and shown under Charts: {names}."
        return notice("info", "No series is taken for a loss or a goal.", body, testid="no-loss")
    said = ("No point has arrived yet.", "The chart appears with the first one.")
    if not seen.info.status.live:
        said = ("No point was logged.", "The run ended before its first one.")
    return notice("info", *said, testid="no-points")


def references(run: RunInfo) -> dict[str, float]:
    """Lines that the loss' own specification gives: the chance level and the floor."""
    found = {}
    for key, name in (("chance_level", "chance level"), ("floor", "floor")):
        value = (run.loss or {}).get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = float(value)
    return found


def findings(seen: RunSnapshot) -> Markup:
    """A card for each finding that fires, those that matter most first; then what is pending, and what is over."""
    pending = to_come(seen.info)
    if not seen.findings and not pending:
        return quiet("The rules have found nothing so far.", testid="no-findings")
    shown, hidden = folded(seen.findings)
    cards = joined(pieces.finding_card(f) for f in shown if f.state is not FindingState.RESOLVED)
    waiting = pieces.pending_table(pending) if pending else _NOTHING
    over = [f for f in shown if f.state is FindingState.RESOLVED]
    return joined([cards or quiet("Nothing fires now."), waiting, _resolved(over, hidden)])


def to_come(run: RunInfo) -> tuple[Pending, ...]:
    """What is pending while a run lives; of one that is over, what was likely when it ended, and so told it to stop."""
    return tuple(p for p in run.recommendation.pending if run.status.live or p.likely)


def _resolved(over: Sequence[Finding], hidden: Sequence[Finding]) -> Markup:
    """Findings that are over, a row each, those that matter most first; `hidden` are folded."""
    if not over and not hidden:
        return _NOTHING
    body = [heading(f"Resolved ({len(over) + len(hidden)})"), _over(over) if over else _NOTHING]
    if hidden:
        body.append(fill(_PAGE, "folded", count=len(hidden), table=_over(hidden)))
    return joined(body)


def _over(found: Sequence[Finding]) -> Markup:
    rows = [
        (chip(f.rule, severity="resolved"), str(f.severity), step(f.onset_step), step(f.fired_step),
         step(f.resolved_step), f.explanation)
        for f in found
    ]  # fmt: skip
    heads = ("rule", "severity", "onset", "fired", "resolved", "what was seen")
    return table(heads, rows, css="lm-wrap lm-flow", numeric=(2, 3, 4))


def by_interest(series: Sequence[SeriesInfo]) -> tuple[SeriesInfo, ...]:
    """Series in the order in which they are looked at: losses, gradient norm, learning rate, parts, the rest."""
    return tuple(sorted(series, key=lambda s: (_INTEREST.index(s.role), s.key)))


def series(seen: RunSnapshot) -> Markup:
    """Every series with its extremes, and what the rules take it for."""
    judged = {s.key for role in Role if (s := seen.judged(role)) is not None}
    rows = []
    for s in by_interest(seen.series):
        role = _ROLE_WORDS[s.role] + ("" if s.key in judged or s.role in (Role.PART, Role.SYSTEM) else ", not judged")
        bad = " ".join(f"{n:,} {kind}" for n, kind in ((s.nan_count, "NaN"), (s.inf_count, "inf")) if n)
        rows.append(
            (code(s.key), fill(_PAGE, "unmapped") if s.role is Role.UNMAPPED else role, f"{s.count:,}",
             step(s.last_step), number(s.last), fill(_PAGE, "extreme", value=s.min, at=s.min_step),
             fill(_PAGE, "extreme", value=s.max, at=s.max_step), bad or NOTHING)
        )  # fmt: skip
    heads = ("series", "taken for", "points", f"last {seen.progress.unit}", "last", "lowest", "highest", "not finite")
    return table(heads, rows, numeric=(2, 3, 4, 5, 6, 7))


def checkpoints(seen: RunSnapshot, now_ms: int) -> Markup:
    """The files that the loop saved; the one nearest to the best step is marked."""
    if not seen.checkpoints:
        return fill(_PAGE, "no_checkpoint")
    best = best_checkpoint(seen.info.recommendation, seen.checkpoints)
    rows = [
        (step(c.step), code(c.path), ago(c.time_ms, now_ms),
         badge("good", "nearest to the best step", "★") if c == best else "")
        for c in sorted(seen.checkpoints, key=lambda c: -c.step)
    ]  # fmt: skip
    return table(("step", "path", "saved", ""), rows, numeric=(0,))
