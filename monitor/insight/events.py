"""What happened in a run since a cursor.

There is no log of changes, which would cost a row for every batch. Instead a cursor records what its reader has seen,
and the stored state is compared with it. A reader that was away for a day gets each finding, alert, stop and event
once, and of a status that changed several times only the last.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from monitor.domain import AlertInfo, Finding, FindingState, Happened, Happenings, RunInfo, RunStatus
from monitor.errors import WireError
from monitor.store import Store

_KEPT_ELSEWHERE: Final = ("stop", "finish", "run")
"""Event kinds that are covered better by status and stop items."""
_EVENTS: Final = 1000
"""Events per answer, at most; the next answer has the rest."""


def happened(store: Store, ref: str, since: str = "", *, now_ms: int) -> Happenings:
    """What happened in a run since a cursor; with an empty cursor, from its start.

    Args:
        ref: the run's id, a unique prefix of it, or a unique name.
        since: the `cursor` of the previous answer.

    Raises:
        WireError: the cursor is invalid, or belongs to another run.
    """
    run = store.run(ref)
    seen = _opened(since, run.id)
    if seen.get("version") == run.version:
        return Happenings(cursor=since, events=(), ended=run.status.ended)
    found: list[Happened] = []
    now: dict[str, object] = {"run": run.id, "version": run.version}
    _points(store, run, seen, now, found)
    _findings(store, run, seen, now, found, now_ms)
    _advice(run, seen, now, found, now_ms)
    _stops(store, run, seen, now, found)
    _alerts(store, run, seen, now, found, now_ms)
    more = _events(store, run, seen, now, found)
    _status(run, seen, now, found, now_ms)
    if more:
        now["version"] = -1
    return Happenings(cursor=_sealed(now), events=tuple(found), ended=run.status.ended and not more)


def _points(store: Store, run: RunInfo, seen: Mapping[str, Any], now: dict[str, object], found: list[Happened]) -> None:
    now["step"] = place = [run.attempt, run.last_step]
    if run.last_step is None or seen.get("step") == place:
        return
    before = seen.get("step")
    last = {s.key: {"last": s.last, "last_step": s.last_step, "count": s.count, "role": str(s.role)}
            for s in store.series(run.id) if str(s.role) in ("train", "val", "goal")}  # fmt: skip
    data = {
        "attempt": run.attempt, "last_step": run.last_step, "since_step": before[1] if before else None,
        "series": last, "best_step": run.recommendation.best_step, "best_loss": run.recommendation.best_val_loss,
    }  # fmt: skip
    found.append(Happened(kind="points", time_ms=run.last_point_ms or run.created_ms, data=data))


def _findings(
    store: Store, run: RunInfo, seen: Mapping[str, Any], now: dict[str, object], found: list[Happened], now_ms: int
) -> None:
    every = store.findings(run.id)
    last, fired, rules = seen.get("findings", (0, (), ""))
    if _rules(every[:last]) != rules:  # the run was diagnosed again from the start
        last, fired = 0, ()
    firing = [each.number for each in every if each.state is FindingState.FIRING]
    now["findings"] = (len(every), firing, _rules(every))
    news = [each for at, each in enumerate(every) if at >= last or (each.number in fired) != (each.number in firing)]
    found += [Happened(kind="finding", time_ms=now_ms, data=each.to_dict()) for each in news]


def _rules(findings: Sequence[Finding]) -> str:
    return _digest(",".join(each.rule for each in findings).encode()) if findings else ""


def _advice(run: RunInfo, seen: Mapping[str, Any], now: dict[str, object], found: list[Happened], now_ms: int) -> None:
    advice = run.recommendation
    now["advice"] = said = [str(advice.action), advice.rule, run.verdict]
    if seen.get("advice") != said:
        data = {"verdict": run.verdict, "headline": run.headline, **advice.to_dict()}
        found.append(Happened(kind="recommendation", time_ms=now_ms, data=data))


def _stops(store: Store, run: RunInfo, seen: Mapping[str, Any], now: dict[str, object], found: list[Happened]) -> None:
    last, state = seen.get("stops", (0, ""))
    every = store.stops(run.id)
    now["stops"] = (every[-1].id, str(every[-1].state)) if every else (0, "")
    for stop in every:
        if stop.id > last or (stop.id == last and state != stop.state):
            at = getattr(stop, f"{stop.state}_ms")
            found.append(Happened(kind="stop", time_ms=at, data=stop.to_dict()))


def _alerts(
    store: Store, run: RunInfo, seen: Mapping[str, Any], now: dict[str, object], found: list[Happened], now_ms: int
) -> None:
    """Alerts that fired, were acknowledged or resolved since; each with its current state."""
    before: Mapping[str, str] = seen.get("alerts", {})
    every = store.alerts_of(run.id, now_ms)
    now["alerts"] = {each.id[:8]: _standing(each) for each in every}
    news = [each for each in every if before.get(each.id[:8]) != _standing(each)]
    news.sort(key=lambda each: (each.changed_ms, each.id))
    found += [Happened(kind="alert", time_ms=max(e.changed_ms, e.acked_ms or 0), data=e.to_dict()) for e in news]


def _standing(alert: AlertInfo) -> str:
    """What a reader has seen of an alert, in short."""
    return f"{str(alert.state)[:1]}{alert.count}"


def _events(store: Store, run: RunInfo, seen: Mapping[str, Any], now: dict[str, object], found: list[Happened]) -> bool:
    after = int(seen.get("event", 0))
    rows = store.numbered_events(run.id, after, _EVENTS + 1)
    taken = rows[:_EVENTS]
    now["event"] = taken[-1][0] if taken else after
    for _, event in taken:
        if event.kind not in _KEPT_ELSEWHERE:
            data = {"event": event.kind, **event.data}
            found.append(Happened(kind="event", time_ms=event.time_ms, data=data))
    return len(rows) > len(taken)


def _status(run: RunInfo, seen: Mapping[str, Any], now: dict[str, object], found: list[Happened], now_ms: int) -> None:
    now["status"] = said = [str(run.status), run.attempt]
    if seen.get("status") != said:
        over = run.status in (RunStatus.FINISHED, RunStatus.STOPPED, RunStatus.FAILED)
        data = {"status": str(run.status), "attempt": run.attempt, "error": run.error}
        at = run.finished_ms if over and run.finished_ms else run.created_ms if not seen else now_ms
        found.append(Happened(kind="status", time_ms=at, data=data))


def _sealed(seen: Mapping[str, object]) -> str:
    """Encode what a reader has seen into a cursor."""
    text = json.dumps(seen, separators=(",", ":")).encode()
    return f"{_digest(text)}{base64.urlsafe_b64encode(text).decode().rstrip('=')}"


def _opened(cursor: str, run_id: str) -> dict[str, Any]:
    if not cursor:
        return {}
    try:
        text = base64.urlsafe_b64decode(cursor[_MARK:] + "=" * (-len(cursor[_MARK:]) % 4))
        seen = json.loads(text) if _digest(text) == cursor[:_MARK] else None
    except (ValueError, binascii.Error):
        seen = None
    if not isinstance(seen, dict) or seen.get("run") != run_id:
        raise WireError("since", "is not a cursor of this run; give the `cursor` of an earlier answer, or nothing")
    return seen


_MARK: Final = 6  # digits; enough to detect a mistake, and it is not meant as protection


def _digest(text: bytes) -> str:
    """A checksum that detects truncated and made-up cursors."""
    return hashlib.sha256(text).hexdigest()[:_MARK]
