"""What a program can wait for in runs, and whether it has happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, sleep, time_ns
from typing import Final

from monitor.domain import Action, Happenings, Outcome, RunInfo, RunStatus
from monitor.errors import WireError, suggestion
from monitor.insight.events import happened
from monitor.rules import RULE_NAMES
from monitor.rules.registry import spec_of
from monitor.store import Store

LOOK_S: Final = 0.25
"""Seconds between checks of the local store, which another process writes."""
KINDS: Final = ("finish", "stop", "alert", "verdict")
VERDICTS: Final = ("healthy", "too_early", "not_judged", *RULE_NAMES)


@dataclass(frozen=True, slots=True)
class Until:
    """A condition to wait for: the end of a run, advice or a request to stop, an alert, or a verdict."""

    kind: str
    verdict: str | None = None

    def __str__(self) -> str:
        """As it is written."""
        return self.kind if self.verdict is None else f"{self.kind}={self.verdict}"


def until_of(words: Iterable[str]) -> tuple[Until, ...]:
    """Parse conditions; the end of the run if there are none.

    Raises:
        WireError: a word is not a condition; suggests the nearest.

    >>> [str(each) for each in until_of(["verdict=overfitting", "stop"])]
    ['verdict=overfitting', 'stop']
    """
    return tuple(_until(word.strip()) for word in words) or (Until("finish"),)


def _until(word: str) -> Until:
    kind, equals, verdict = word.partition("=")
    if kind not in KINDS or (kind == "verdict") != bool(equals):
        usage = "give finish, stop, alert or verdict=NAME"
        hint = usage if kind in KINDS else suggestion(kind, KINDS, usage)
        raise WireError("for", f"{word!r} is not something to wait for; {hint}")
    if kind == "verdict" and verdict not in VERDICTS and spec_of(verdict) is None:
        raise WireError("for", f"{verdict!r} is not a verdict; {suggestion(verdict, VERDICTS)}")
    return Until(kind, verdict if equals else None)


def outcomes(store: Store, run_ids: Sequence[str], until: Sequence[Until]) -> tuple[Outcome, ...]:
    """The runs whose wait is over: a condition is met, or cannot be met any more.

    A lost run ends the wait too. It may come back, but its process seems to be gone.
    """
    infos = store.infos(run_ids)
    found = []
    for run_id in run_ids:
        run = infos[run_id]
        met = next((each for each in until if _met(store, run, each)), None)
        if met is not None or run.status.over:
            what = None if met is None else str(met)
            found.append(_outcome(run, what))
    return tuple(found)


def wait_for_outcomes(
    store: Store, run_ids: Sequence[str], until: Sequence[Until], wait_s: float
) -> tuple[Outcome, ...]:
    """Wait until `outcomes` returns something, or time is up."""
    deadline = monotonic() + wait_s
    while True:
        seen = store.versions(run_ids)
        found = outcomes(store, run_ids, until)
        if found or not _changed(store, seen, deadline):
            return found


def wait_for_events(store: Store, ref: str, since: str, wait_s: float) -> Happenings:
    """Wait until `happened` returns something, or time is up."""
    cursor, run_id = since, store.run(ref).id
    deadline = monotonic() + wait_s
    while True:
        seen = store.versions([run_id])
        found = happened(store, run_id, cursor, now_ms=time_ns() // 1_000_000)
        cursor = found.cursor
        if found.events or found.ended or not _changed(store, seen, deadline):
            return found


def _changed(store: Store, seen: Mapping[str, int], deadline: float) -> bool:
    """Wait until a run has a new version; False on a timeout."""
    while True:
        left = deadline - monotonic()
        if left <= 0:
            return False
        sleep(min(LOOK_S, left))
        if store.versions(list(seen)) != seen:
            return True


def _met(store: Store, run: RunInfo, until: Until) -> bool:
    if until.kind == "finish":
        return run.status in (RunStatus.FINISHED, RunStatus.STOPPED)
    if until.kind == "stop":
        return run.recommendation.action is Action.STOP or run.stop_requested is not None
    if until.kind == "verdict":
        return run.verdict == until.verdict
    return any(row.alert.state == "firing" and row.alert.kind != "finished" for row in store.alerts(run.id, 100))


def _outcome(run: RunInfo, what: str | None) -> Outcome:
    why = run.error if run.status is RunStatus.FAILED and run.error else run.headline or run.recommendation.reason
    return Outcome(
        run_id=run.id, name=run.name, project=run.project, what=what, status=str(run.status), verdict=run.verdict,
        action=str(run.recommendation.action), why=why,
    )  # fmt: skip
