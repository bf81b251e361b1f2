"""Explains a run from stored data, for an agent with few tokens or a person who was away."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping
from typing import Any, Final

from monitor import losses
from monitor.domain import (
    AlertInfo,
    AlertState,
    FindingState,
    RunInfo,
    RunQuery,
    RunSnapshot,
    Severity,
    courses,
    most_telling,
    repeats,
    whole,
)
from monitor.domain.formats import number, plain, step
from monitor.domain.plain import leaves
from monitor.insight.economics import snapshot
from monitor.settings import Settings
from monitor.store import Store

MOST_TOKENS: Final = 480
"""Limit for the text, as counted by `tokens`."""
_FINDINGS: Final = 3  # per kind of line, to stay within `MOST_TOKENS`
_CHANGES: Final = 8  # differences listed; the rest are counted
_PEERS: Final = 500  # runs compared at most


def explain(store: Store, settings: Settings, ref: str, *, now_ms: int) -> dict[str, Any]:
    """What is known of a run as strict JSON data; `text` is a summary within `MOST_TOKENS`.

    Args:
        ref: the run's id, a unique prefix of it, or a unique name.
    """
    seen = snapshot(store, settings, ref)
    run, advice, saving = seen.info, seen.info.recommendation, seen.saving
    findings = [each for each in most_telling(seen.findings) if each.state is FindingState.FIRING]
    told: dict[str, Any] = {
        "schema": 1,
        "run": {"id": run.id, "project": run.project, "name": run.name, "group": run.group, "status": str(run.status),
                "attempt": run.attempt, "last_step": run.last_step, "error": run.error},
        "goal": _goal(run),
        "verdict": run.verdict,
        "headline": run.headline,
        "action": str(advice.action),
        "reason": advice.reason,
        "evidence": [
            {"rule": f.rule, "severity": str(f.severity), "onset_step": whole(f.onset_step),
             "fired_step": whole(f.fired_step), "explanation": f.explanation, "evidence": dict(f.evidence)}
            for f in findings
        ],
        "regimes": [regime.to_dict() for regime in seen.regimes],
        "progress": seen.progress.to_dict(),
        "best": {"step": whole(saving.best_step) if saving else None, "loss": advice.best_val_loss,
                 "goal": advice.best_goal, "checkpoint": saving.checkpoint if saving else None,
                 "checkpoint_step": saving.checkpoint_step if saving else None},
        "saving": None if saving is None else saving.to_dict(),
        "stops": [stop.to_dict() for stop in seen.stops],
        "examples": dict(seen.examples),
        "alerts": [_alert(each) for each in store.alerts_of(run.id, now_ms) if each.state is not AlertState.RESOLVED],
        "against_best": against_best(store, run),
        "next": _next(findings),
        "remedies": [dict(remedy) for remedy in seen.remedies],
    }  # fmt: skip
    return {**told, "text": text_of(told, seen)}


def _alert(info: AlertInfo) -> dict[str, Any]:
    names = ("id", "rule", "count", "title", "acked_by", "acked_note", "silenced_until_ms", "mark")
    return {"state": str(info.state), "severity": str(info.severity), **{name: getattr(info, name) for name in names}}


def _goal(run: RunInfo) -> dict[str, Any] | None:
    reading = run.reading or {}
    if run.goal_best is None:
        return None
    rises = bool(reading.get("rises"))
    return {"name": reading.get("goal"), "direction": "max" if rises else "min", "best": run.goal_best,
            "best_step": run.goal_best_step, "last": run.goal_last}  # fmt: skip


def _next(findings: list[Any]) -> list[dict[str, str]]:
    """What to try next, each with its reason: what the rules that fire advise, of good news only without a problem."""
    problems = [each for each in findings if each.severity is not Severity.INFO]
    findings = problems or findings
    return [{"try": f.advice, "because": f"{f.rule} since step {step(f.onset_step)}"}
            for f in findings if f.advice][:_FINDINGS]  # fmt: skip


def against_best(store: Store, run: RunInfo) -> dict[str, Any] | None:
    """The best other run of the group (without a group, of the project), and how its configuration differs.

    The effect of the differences is the difference in what the runs reached; several differences share it.
    """
    found = store.runs(RunQuery(project=run.project, group=run.group, limit=_PEERS, order=_order(run))).items
    rises = bool((run.reading or {}).get("rises"))
    peers = [each for each in found if each.id != run.id and _score(each, run) is not None and _alike(each, run)]
    if not peers:
        return None
    best = min(peers, key=lambda each: (_score(each, run) or 0.0) * (-1 if rises and run.goal_best is not None else 1))
    ours, theirs = _score(run, run), _score(best, run)
    changes = [
        {"key": key, "here": here, "there": there}
        for key, here, there in differences(run.config, best.config)
    ]  # fmt: skip
    return {
        "of": "group" if run.group else "project",
        "run": {"id": best.id, "name": best.name, "status": str(best.status)},
        "metric": str((run.reading or {}).get("goal")) if run.goal_best is not None else "loss",
        "here": ours,
        "there": theirs,
        "effect": None if ours is None or theirs is None else ours - theirs,
        "better": "here" if _better(ours, theirs, rises=rises and run.goal_best is not None) else "there",
        "changes": changes,
        "seed_noise": _seed_noise(run, best, [run, *peers]),
    }


def _alike(one: RunInfo, other: RunInfo) -> bool:
    """True if two runs are measured alike: by a goal of the same name, else by the same loss."""
    if other.goal_best is not None:
        return (one.reading or {}).get("goal") == (other.reading or {}).get("goal")
    return repeats.loss_of(one) == repeats.loss_of(other)


def _seed_noise(run: RunInfo, best: RunInfo, known: list[RunInfo]) -> dict[str, Any] | None:
    """How far apart the means of both runs' repeats are, and how far seeds alone can put them.

    None without repeats.
    """
    groups = [[each for each in known if repeats.setting_of(each) == repeats.setting_of(of)] for of in (run, best)]
    if not all(map(repeats.setting_of, (run, best))) or groups[0] == groups[1]:
        return None
    here, there = ([score for each in group if (score := _score(each, run)) is not None] for group in groups)
    margin = repeats.seed_noise(here, there)
    if margin is None:
        return None
    apart = statistics.fmean(here) - statistics.fmean(there)
    return {"apart": apart, "margin": margin, "within": abs(apart) <= margin, "here": len(here), "there": len(there)}


def _order(run: RunInfo) -> str:
    if run.goal_best is None:
        return "val.best"
    return "-goal.best" if (run.reading or {}).get("rises") else "goal.best"


def _score(run: RunInfo, asked: RunInfo) -> float | None:
    """The compared value: the goal if the explained run has one, else its best loss."""
    return run.goal_best if asked.goal_best is not None else run.recommendation.best_val_loss


def _better(ours: float | None, theirs: float | None, *, rises: bool) -> bool:
    if ours is None or theirs is None:
        return ours is not None
    return ours > theirs if rises else ours < theirs


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[tuple[str, object, object]]:
    """Entries that differ between two configurations, by dotted name; None for a missing entry.

    >>> list(differences({"lr": 1, "o": {"b": 2, "c": 3}}, {"lr": 2, "o": {"c": 3}}))
    [('lr', 1, 2), ('o.b', 2, None)]
    """
    ours, theirs = dict(leaves(here)), dict(leaves(there))
    for key in dict.fromkeys((*ours, *theirs)):
        if ours.get(key) != theirs.get(key):
            yield key, ours.get(key), theirs.get(key)


def text_of(told: Mapping[str, Any], seen: RunSnapshot) -> str:
    """The explanation in few words. The least informative lines are dropped until it fits."""
    run, best, other = told["run"], told["best"], told["against_best"]
    do = "" if seen.info.status.ended else f", do: {told['action']}"
    at = "before its first step" if run["last_step"] is None else f"at step {step(run['last_step'])}"
    lines = [
        f"{run['project']}/{run['name']} ({run['id'][:8]}): {run['status']} {at}, verdict {told['verdict']}{do}.",
        told["reason"],
    ]
    if run["error"]:
        lines.append(f"Error: {run['error'].splitlines()[-1]}")
    if (goal := told["goal"]) is not None:
        lines.append(f"Goal {goal['name']} ({goal['direction']}): best {number(goal['best'])} at step "
                     f"{step(goal['best_step'])}, last {number(goal['last'])}.")  # fmt: skip
    if best["step"] is not None:
        file = f", checkpoint {best['checkpoint']}" if best["checkpoint"] else ", no checkpoint"
        lines.append(f"Best step {step(best['step'])} (loss {number(best['loss'])}){file}.")
    saving = seen.saving
    if saving is not None and saving.amount:
        lines.append(f"A stop now saves {saving.amount}.")
    lines += [f"Evidence: {each['explanation']}" for each in told["evidence"][:_FINDINGS]]
    lines += seen.of_examples()
    lines += [f"Try: {each['try']} ({each['because']})" for each in told["next"]]
    if other is not None:
        lines.append(_other(other))
    lines += [_alerted(each) for each in told["alerts"][:_FINDINGS]]
    lines += [f"Stop {stop['id']}: {stop['state']}, asked by {stop['who']}." for stop in told["stops"][-1:]]
    lines += [f"The {series} curve {course}." for series, course in courses(seen.regimes).items()]
    lines += [*seen.progress.sentences(), losses.meaning_sentence(seen.info.loss, best["loss"], seen.info.config)]
    lines += [f"Then try: {remedy['text']}" for remedy in seen.remedies[:_FINDINGS]]
    return _fitting([line for line in lines if line])


def _alerted(alert: Mapping[str, Any]) -> str:
    by = f" by {alert['acked_by']}" if alert["acked_by"] else ""
    note = f": {_short(alert['acked_note'])}" if alert["acked_note"] else ""
    return f"Alert {alert['id'][:8]} ({alert['rule']}): {alert['state']}{by}{note}."


def _other(other: Mapping[str, Any]) -> str:
    changes = other["changes"][:_CHANGES]
    more = f" and {len(other['changes']) - _CHANGES} more" if len(other["changes"]) > _CHANGES else ""
    told = ", ".join(f"{c['key']} {_short(c['here'])} here, {_short(c['there'])} there" for c in changes)
    return (
        f"Best other run of its {other['of']}: {other['run']['name']} ({other['run']['id'][:8]}), {other['metric']} "
        f"{number(other['there'])} there, {number(other['here'])} here; "
        + (f"differences: {told}{more}." if told else "the configurations are equal.")
        + _noise(other["seed_noise"])
    )


def _noise(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    apart, margin = number(abs(found["apart"]), 3), number(found["margin"], 3)
    what = f"{'smaller' if found['within'] else 'larger'} than the seed noise ({margin} at 95%)"
    return f" Over {found['here']} and {found['there']} seeds they are {apart} apart, {what}."


def _short(value: object) -> str:
    text = plain(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _fitting(lines: list[str]) -> str:
    kept: list[str] = []
    room = MOST_TOKENS
    for line in lines:
        text = line if tokens(line) <= room else _cut(line, room)
        if not text:
            break
        kept.append(text)
        room -= tokens(text) + 1
    return "\n".join(kept)


def _cut(line: str, room: int) -> str:
    """The words of a line that fit; "" if they are too few to be useful."""
    words = line.split(" ")
    while words and tokens(" ".join(words)) + 1 > room:
        words.pop()
    return " ".join(words) + " ..." if len(words) > 3 else ""


_PIECE: Final = re.compile(r"[A-Za-z]+|\d|[^\sA-Za-z\d]")


def tokens(text: str) -> int:
    """An upper estimate of a text's tokens: one per five letters of a word, one per digit or sign.

    >>> tokens("Overfitting since step 620."), tokens("")
    (9, 0)
    """
    return sum(-(-len(piece) // 5) for piece in _PIECE.findall(text))
