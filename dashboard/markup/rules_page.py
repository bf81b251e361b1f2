"""The rules: what each means, its thresholds, and what a change of them would have done to stored runs."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final

from markupsafe import Markup

from dashboard.markup import pieces
from dashboard.markup.templates import fill
from monitor.domain.formats import NOTHING, ago, clock, number, step
from monitor.domain.rules_version import RulesVersion, SavedRule
from monitor.rules import RulesConfig
from monitor.rules.lab.backtest import Replayed, RuleSummary, stops
from monitor.rules.rule import Rule

LISTED: Final = 20
"""Runs that one list names, at most."""


def meaning(rule: Rule) -> Markup:
    """What the rule asks of a run, as its author wrote it down, and where that comes from."""
    text, _, source = (inspect.getdoc(type(rule)) or "").partition("\nSource:")
    paragraphs = [_parts(" ".join(part.split())) for part in text.split("\n\n") if part.strip()]
    return fill("rules_page", "meaning", paragraphs=paragraphs, source=" ".join(source.split()))


def _parts(paragraph: str) -> list[tuple[str, bool]]:
    """A paragraph in pieces, each with whether it stands between backticks: a name of the code."""
    return [(part, at % 2 == 1) for at, part in enumerate(paragraph.split("`")) if part]


def facts(rule: Rule, config: RulesConfig) -> Markup:
    """Version, severity, what it reads and advises, and how long its condition must hold, in a line."""
    spec, chosen = rule.spec, config.settings[rule.spec.name]
    after = _checks(spec.patience) if chosen.patience is None else f"{number(chosen.patience)} {chosen.unit}"
    said = [
        f"version {spec.version}",
        f"severity {chosen.severity}" if chosen.enabled else "off",
        f"reads {', '.join(str(role) for role in spec.reads)}",
        f"fires after {after}",
        f"advises to {spec.action}",
    ]
    return pieces.caption(said, testid="rule-facts")


def _checks(patience: int) -> str:
    return "one check" if patience == 1 else f"{patience} checks in a row"


def thresholds(rule: Rule, config: RulesConfig) -> Markup:
    """Every threshold with its meaning, its value in effect, its default and its range."""
    limits = config.settings[rule.spec.name].limits
    rows = [
        (
            name,
            limit.doc,
            _marked(limits[name], limit.default),
            f"{limit.default:g}",
            f"{limit.low:g} to {limit.high:g}",
        )
        for name, limit in rule.spec.thresholds.items()
    ]
    if not rows:
        return pieces.quiet("This rule has no thresholds of its own; it can be turned off, or made to wait.")
    return pieces.table(("Threshold", "Meaning", "In effect", "Default", "Range"), rows, css="lm-wrap", numeric=(2, 3))


def every(rules: Sequence[Rule], config: RulesConfig) -> Markup:
    """All rules, each with a link to itself; a star marks what is not the default."""
    rows = []
    for rule in rules:
        spec, chosen = rule.spec, config.settings[rule.spec.name]
        severity = str(chosen.severity) + ("" if chosen.severity is spec.severity else "*")
        own = ", ".join(f"{key} = {value}" for key, value in sorted(config.overrides.get(spec.name, {}).items()))
        name = pieces.link("rules", [("rule", spec.name)], spec.name)
        rows.append((name, severity if chosen.enabled else "off*", str(spec.version), own or NOTHING))
    table = pieces.table(("Rule", "Severity", "Version", "Set otherwise than by default"), rows, css="lm-wrap")
    return table + pieces.quiet(f"Hash {config.hash}. Every finding carries the hash and the version that judged it.")


def summary(done: Sequence[Replayed]) -> Markup:
    """What the stops of both configurations save and miss, next to simple early stopping."""
    named = (
        ("in effect", stops(run.sides[0].stop for run in done)),
        ("as tried", stops(run.sides[1].stop for run in done)),
        ("patience 10", stops(run.patience for run in done)),
    )
    head = ("Stops", "Runs stopped", "Steps saved", "Saved", "Best missed", "Mean regret")
    rows = [
        (
            name,
            f"{of.stopped:,} of {of.runs:,}",
            step(of.saved_steps),
            f"{100 * of.saved:.0f}%",
            f"{of.missed:,} of {of.judged:,}",
            NOTHING if of.regret_mean is None else f"{of.regret_mean:.3f}",
        )
        for name, of in named
    ]
    return pieces.table(head, rows, numeric=(1, 2, 3, 4, 5))


def fired(now: RuleSummary, tried: RuleSummary) -> Markup:
    """On how many runs the rule fires under each configuration."""
    rows = [
        (
            name,
            f"{row.fired:,}",
            f"{row.firing:,}",
            NOTHING if row.position is None else f"{100 * row.position:.0f}%",
            NOTHING if row.precision is None else f"{row.precision:.2f}",
            NOTHING if row.recall is None else f"{row.recall:.2f}",
        )
        for name, row in (("in effect", now), ("as tried", tried))
    ]
    head = (now.rule, "Fired on", "At the end", "Median at", "Precision", "Recall")
    return pieces.table(head, rows, numeric=(1, 2, 3, 4, 5))


def differing(title: str, runs: Sequence[Replayed], rule: str) -> Markup:
    """Runs on which the rule does otherwise, with the steps and the verdicts of both sides; nothing where none does."""
    if not runs:
        return Markup("")
    rows = []
    for run in runs[:LISTED]:
        steps = [side.hits[rule].stop.step if rule in side.hits else None for side in run.sides]
        cells = [NOTHING if at is None else step(at) for at in steps]
        rows.append((pieces.run_link(run.ref, run.name), *cells, *(side.verdict for side in run.sides)))
    head = ("Run", "Fires now at", "As tried", "Verdict now", "As tried")
    table = pieces.table(head, rows, numeric=(1, 2))
    more = pieces.quiet(f"And {len(runs) - LISTED:,} more.") if len(runs) > LISTED else Markup("")
    return pieces.heading(f"{title} ({len(runs):,})") + table + more


def history(versions: Sequence[RulesVersion], now_ms: int, zone: tzinfo, rule: str | None = None) -> Markup:
    """Which rules were in effect since when, who set them, and what changed.

    Args:
        rule: only what was changed of this one; None: of all.

    Returns:
        Nothing where nothing was changed.
    """
    rows: list[Sequence[pieces.Cell]] = []
    for at, each in enumerate(versions):
        before = next((older for older in versions[at + 1 :] if older.project == each.project), None)
        changes = [(of, said) for of, said in each.since(before) if rule in (None, of)]
        if not changes and (rule is not None or before is not None):
            continue
        said = [what if rule is not None else f"{of}.{what}" for of, what in changes]
        rows.append((
            pieces.hover(ago(each.time_ms, now_ms), clock(each.time_ms, zone)), each.who, each.project or "all",
            pieces.code(each.hash), fill("rules_page", "changes", said=said),
        ))  # fmt: skip
    if not rows:
        return Markup("")
    head = ("When", "Set by", "Project", "Hash", "What changed")
    return pieces.table(head, rows[:LISTED], css="lm-wrap")


def saved(rows: Sequence[SavedRule], now_ms: int, zone: tzinfo) -> Markup:
    """What is saved of a rule: where it applies, the settings, who saved them and when."""
    table = [
        (
            each.project or "all",
            ", ".join(f"{key} = {_written(value)}" for key, value in sorted(each.settings.items())),
            each.who,
            pieces.hover(ago(each.saved_ms, now_ms), clock(each.saved_ms, zone)),
        )
        for each in rows
    ]
    return pieces.table(("Project", "Settings", "Saved by", "When"), table, css="lm-wrap")


def as_toml(rule: str, given: Mapping[str, object], project: str | None) -> str:
    """The settings of a rule as `monitor.toml` holds them.

    >>> print(as_toml("spike", {"enabled": False, "jump": 0.1, "unit": "evals"}, "vision"))
    [projects."vision".rules.spike]
    enabled = false
    jump = 0.1
    unit = "evals"
    """
    above = f"projects.{_quoted(project)}.rules" if project is not None else "rules"
    return "\n".join([f"[{above}.{rule}]", *(f"{key} = {_written(value)}" for key, value in given.items())])


def _written(value: object) -> str:
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """A text as TOML takes it: JSON's escapes, but every letter as itself."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _marked(value: float, default: float) -> str:
    return f"{value:g}" + ("" if value == default else "*")
