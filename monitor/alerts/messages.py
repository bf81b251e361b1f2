"""Groups due alerts into messages, so that a storm is one message. Pure.

- Changes of a flapping finding become one message with a count. After two messages about a rule of a run the next waits
  for `HOLD_MS`, then four times as long, and so on.
- The same news about many runs is one message. Lost and stalled runs are reported once no more of them come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Final

from monitor.alerts.routes import family
from monitor.domain import Alert, Delivery, Saving, Severity, alert_id, headline, whole
from monitor.domain.clocks import is_past

HOLD_MS: Final = 5 * 60_000
"""How long a flapping alert is quiet after its second message; four times as long after each further one."""
LONGEST_HOLD_MS: Final = 12 * 3_600_000
"""Longest quiet time of a flapping alert."""
WINDOW_MS: Final = 24 * 3_600_000
"""Messages older than this do not count as flapping."""
BURST: Final = 2
"""Messages about an alert that are never held back: the first firing and the first resolution."""
GROUP_FROM: Final = 5
"""So many messages with the same news become one."""
QUIET_MS: Final = 5_000
"""Runs are lost together: the message waits until no further one was lost for this long."""
PATIENCE_MS: Final = 60_000
"""Longest wait for further lost runs."""
NAMED: Final = 5
"""Runs or alerts that a grouped message lists by name."""
_TOGETHER: Final = ("lost", "stalled")
_BAIT: Final = re.compile(r"(?<![\w@])@(?=\w)|<(?=[!@#&/a-zA-Z])")
_ZERO_WIDTH: Final = "\u200b"

Row = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Alert):
    """An alert as it is sent; it may stand for several.

    Attributes:
        id: the same on every delivery, so that a receiver can drop duplicates.
        count: alerts in the message.
        run_ids: the runs concerned, at most 100.
        link: the run's page; None without a dashboard.
        facts: what a person needs to act; None for several runs and for resolutions.
        picture: the curve as a PNG with the onset marked, if there is one.
    """

    id: str
    count: int = 1
    run_ids: tuple[str, ...] = ()
    link: str | None = None
    facts: Facts | None = None
    picture: bytes | None = field(default=None, repr=False)

    @property
    def alert_id(self) -> str | None:
        """The id of the alert; None if the message is about several, or about none."""
        if (self.count > 1 and len(self.run_ids) > 1) or self.kind in ("finished", "digest", "test"):
            return None
        return alert_id(self.run_id, self.key[:250])

    @property
    def links(self) -> dict[str, str]:
        """Pages of the dashboard: the run, and where to answer the alert. Opening a link changes nothing."""
        if self.link is None:
            return {}
        base, found = self.link.rsplit("/", 1)[0], {"run": self.link}
        if self.alert_id is not None and self.state == "firing":
            found |= {
                "acknowledge": f"{base}/alerts?ack={self.alert_id}",
                "silence": f"{base}/alerts?silence={self.alert_id}",
            }
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a person needs to act on a message.

    Attributes:
        onset_step: where the trouble begins, if it has a place in the curve.
        best: the best series' name, such as "validation loss", with its value and step.
        checkpoint: the saved file nearest to the best step, and its step.
        action: continue, stop or investigate.
        reason: for the action.
        then: what happens to advice to stop that does not reach the loop; empty if it does.
        saves: what a stop now saves, if one is advised and the saving is known.
    """

    onset_step: float | None = None
    best: tuple[str, float, float] | None = None
    checkpoint: tuple[str, int] | None = None
    action: str = ""
    reason: str = ""
    then: str = ""
    saves: Saving | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A message, and the outbox rows that it settles.

    Attributes:
        tries: failed attempts so far.
    """

    message: Message
    rows: tuple[Row, ...]
    tries: int


def plan(
    due: Sequence[Delivery],
    told: Sequence[tuple[str, int, str]],
    now_ms: int,
    link: Callable[[str], str | None] = lambda _: None,
) -> list[Planned]:
    """The messages to send now; alerts in none of them wait.

    Args:
        due: the alerts that the channel has not taken, oldest first.
        told: what it was sent about the same runs: `dedup_key`, time, state.
        link: gives the URL of a run's page.
    """
    lately: dict[str, set[int]] = {}
    for key, taken_ms, _ in told:
        if taken_ms > now_ms - WINDOW_MS and is_past(taken_ms, now_ms):
            lately.setdefault(family(key), set()).add(taken_ms)
    families: dict[str, list[Delivery]] = {}
    for delivery in due:
        families.setdefault(family(delivery.alert.dedup_key), []).append(delivery)
    groups: dict[tuple[str, str, str], list[list[Delivery]]] = {}
    for name, found in families.items():
        if not _held(lately.get(name, set()), now_ms):
            groups.setdefault(_news(found[-1].alert), []).append(found)
    planned: list[Planned] = []
    for (kind, *_), members in groups.items():
        rows = [delivery for found in members for delivery in found]
        if kind in _TOGETHER and _still_coming(rows, now_ms):
            continue
        if len(members) >= GROUP_FROM:
            planned.append(_planned(_of_many(members, link), rows))
        else:
            planned += [_planned(_of_one(found, link), found) for found in members]
    return sorted(planned, key=lambda one: (one.message.created_ms, one.rows))


def inert(text: str) -> str:
    """Text in which no chat service finds a mention or a hidden link: anyone can choose a run's name.

    >>> inert("@everyone <!channel> <@U123> acc@5 a@b.c x < y") == (
    ...     "@\u200beveryone <\u200b!channel> <\u200b@\u200bU123> acc@5 a@b.c x < y"
    ... )
    True
    """
    return _BAIT.sub(lambda found: found[0] + _ZERO_WIDTH, text)


def body_fields(message: Message) -> dict[str, object]:
    """The fields of a webhook besides title and text."""
    facts = message.facts or Facts()
    best = facts.best or (None, None, None)
    return {
        "id": message.id,
        "alert_id": message.alert_id,
        "dedup_key": message.dedup_key,
        "run_id": message.run_id,
        "run": inert(message.run_name),
        "run_ids": list(message.run_ids),
        "project": inert(message.project),
        "rule": message.kind,
        "state": message.state,
        "severity": str(message.severity),
        "step": message.to_dict()["step"],
        "count": message.count,
        "created_ms": message.created_ms,
        "link": message.link,
        "links": message.links,
        "best": None if facts.best is None else {"of": best[0], "value": best[1], "step": whole(best[2])},
        "checkpoint": None if facts.checkpoint is None else {"path": facts.checkpoint[0], "step": facts.checkpoint[1]},
        "recommendation": {"action": facts.action, "reason": inert(facts.reason)} if facts.action else None,
        "saves": None if facts.saves is None else facts.saves.to_dict(),
    }


def _held(sent: set[int], now_ms: int) -> bool:
    """Whether an alert that was sent at these times is held back now."""
    if len(sent) < BURST:
        return False
    hold_ms: int = min(HOLD_MS * 4 ** (len(sent) - BURST), LONGEST_HOLD_MS)
    return max(sent) > now_ms - hold_ms


def _news(alert: Alert) -> tuple[str, str, str]:
    """The grouping key: lost and stalled runs across projects, findings within a project."""
    if alert.kind == "alert":
        return (alert.kind, alert.run_id, "")
    return (alert.kind, alert.state, "" if alert.kind in _TOGETHER else alert.project)


def _still_coming(rows: Sequence[Delivery], now_ms: int) -> bool:
    times = [row.alert.created_ms for row in rows if is_past(row.alert.created_ms, now_ms)]
    return bool(times) and max(times) > now_ms - QUIET_MS and min(times) > now_ms - PATIENCE_MS


def _planned(message: Message, rows: Sequence[Delivery]) -> Planned:
    places = tuple((row.alert.run_id, row.id) for row in rows)
    return Planned(message, places, min(row.attempts for row in rows))


def _message(first: Delivery, alert: Alert, **more: object) -> Message:
    ident = f"{first.alert.run_id}-{first.id}"
    values: Mapping[str, object] = {**asdict(alert), "severity": alert.severity, "id": ident, **more}
    return Message(**values)  # type: ignore[arg-type]  # an alert's own fields


def _of_one(found: Sequence[Delivery], link: Callable[[str], str | None]) -> Message:
    first, last = found[0], _named(found[-1].alert)
    message = _message(first, last, run_ids=(last.run_id,), count=len(found), link=link(last.run_id))
    states = [row.alert.state for row in found]
    fired, resolved = states.count("firing"), states.count("resolved")
    if len(found) == 1 or (not resolved and last.kind != "alert"):  # it fired, and was repeated
        return message
    times = f"It fired {fired} and was resolved {resolved} times" if resolved else f"It fired {fired} times"
    body = f"{last.body}\n{times} since {_clock(first.alert.created_ms)}."
    return replace(message, title=f"{last.title}, {len(found)} changes", body=body)


def _named(alert: Alert) -> Alert:
    """The alert with its run in the text; what a loop raises itself need not name it."""
    if alert.kind != "alert" or not alert.body.strip():
        return replace(alert, title=headline(alert))
    return replace(alert, title=headline(alert), body=f"{alert.body}\nRun {alert.run_id} of project {alert.project}.")


def _of_many(members: Sequence[Sequence[Delivery]], link: Callable[[str], str | None]) -> Message:
    firsts = sorted((found[0] for found in members), key=lambda row: (row.alert.created_ms, row.alert.run_id, row.id))
    first, alerts = firsts[0], [row.alert for row in firsts]
    runs = list(dict.fromkeys(alert.run_id for alert in alerts))
    projects = sorted({alert.project for alert in alerts})
    severest = min((alert.severity for alert in alerts), key=list(Severity)[::-1].index)
    about = first.alert.kind.replace("_", " ")
    since = _clock(first.alert.created_ms)
    if first.alert.kind == "alert":
        title = f"{first.alert.run_name}: {len(alerts):,} alerts since {since}"
        named = [alert.title for alert in alerts[:NAMED]]
    else:
        resolved = " resolved" if members[0][-1].alert.state == "resolved" else ""
        news = f"{about}" if first.alert.kind in (*_TOGETHER, "failed") else f"with {about}"
        title = f"{len(runs):,} runs {news}{resolved} since {since}"
        named = [f"{alert.run_name} ({alert.project})" for alert in alerts[:NAMED]]
    more = f", and {len(alerts) - NAMED:,} more" if len(alerts) > NAMED else ""
    lines = [f"{', '.join(named)}{more}.", *(f"First: {line}" for line in first.alert.body.splitlines()[:1])]
    return _message(
        first,
        first.alert,
        severity=severest,
        title=title,
        body="\n".join(lines),
        project=projects[0] if len(projects) == 1 else ", ".join(projects[:NAMED]),
        run_name=first.alert.run_name if len(runs) == 1 else f"{len(runs):,} runs",
        state=members[0][-1].alert.state,
        dedup_key=f"many:{first.alert.kind}:{members[0][-1].alert.state}:{first.alert.dedup_key}",
        count=sum(len(found) for found in members),
        run_ids=tuple(runs[:100]),
        link=link(first.alert.run_id),
        step=first.alert.step if len(runs) == 1 else None,
    )


def _clock(time_ms: int) -> str:
    """The server's local time of day: "03:10"."""
    return datetime.fromtimestamp(time_ms / 1000).astimezone().strftime("%H:%M")
