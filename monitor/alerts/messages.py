"""What a channel is sent: due alerts, folded so that a storm is one message; pure.

- What a flapping finding did between two messages is one message with a count. After two messages about the same rule
  of the same run the next waits for `HOLD_MS`, then for four times as long, and so on.
- The same news of many runs is one message. Lost or stalled runs are reported once no more of them come.
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
"""How long after its second message a rule of a run that keeps on changing is quiet; four times as long after each."""
LONGEST_HOLD_MS: Final = 12 * 3_600_000
"""But not longer than this."""
WINDOW_MS: Final = 24 * 3_600_000
"""How far back messages about an alert count."""
BURST: Final = 2
"""Messages about one alert that are sent at once: that it fired, and that it resolved."""
GROUP_FROM: Final = 5
"""Messages of the same news that become one."""
QUIET_MS: Final = 5_000
"""Runs are lost together: the message waits until no further run was lost for so long."""
PATIENCE_MS: Final = 60_000
"""But not longer than this."""
NAMED: Final = 5
"""Runs, or alerts, that a message about many names."""
_TOGETHER: Final = ("lost", "stalled")
_BAIT: Final = re.compile(r"(?<![\w@])@(?=\w)|<(?=[!@#&/a-zA-Z])")
_ZERO_WIDTH: Final = "\u200b"

Row = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Alert):
    """An alert as it is sent; it may stand for many.

    Attributes:
        id: the same whenever this alert is sent again, so that a receiver can drop duplicates.
        count: alerts that it stands for.
        run_ids: the runs that it is about, the first hundred.
        link: the run's page; None without a dashboard.
        facts: what a person needs to act; None where the message is about several runs, or of a resolution.
        picture: the curve as a PNG, the onset marked; None where there is none.
    """

    id: str
    count: int = 1
    run_ids: tuple[str, ...] = ()
    link: str | None = None
    facts: Facts | None = None
    picture: bytes | None = field(default=None, repr=False)

    @property
    def alert_id(self) -> str | None:
        """The id of the alert that it is about; None where it is about several, or about none."""
        if (self.count > 1 and len(self.run_ids) > 1) or self.kind in ("finished", "digest", "test"):
            return None
        return alert_id(self.run_id, self.key[:250])

    @property
    def links(self) -> dict[str, str]:
        """Pages of the dashboard: the run, and where its alert is answered; opening one acts on nothing."""
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
        onset_step: where the trouble begins; None where it has no place in the curve.
        best: the name of what is best by, such as "validation loss"; with its value and step.
        checkpoint: the saved file whose step is nearest to the best one, and that step.
        action: continue, stop or investigate, with the reason.
        then: what becomes of an advice to stop that does not reach the loop; empty where it does.
        saves: what a stop now saves; None where that is not advised or not known.
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
    """A message, and the rows of the outbox that are done with once it was taken.

    Attributes:
        tries: failed tries so far.
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
    """The messages to send now; alerts that are in none of them wait.

    Args:
        due: the alerts that the channel has not taken, the oldest first.
        told: what it was sent about the runs of these: `dedup_key`, when, and the state that the message gave.
        now_ms: milliseconds since the epoch.
        link: the address of a run's page by the run's id.
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
    """A text in which no chat service finds a mention or a hidden link: anyone can choose the name of a run.

    >>> inert("@everyone <!channel> <@U123> acc@5 a@b.c x < y") == (
    ...     "@\u200beveryone <\u200b!channel> <\u200b@\u200bU123> acc@5 a@b.c x < y"
    ... )
    True
    """
    return _BAIT.sub(lambda found: found[0] + _ZERO_WIDTH, text)


def body_fields(message: Message) -> dict[str, object]:
    """What a webhook is sent besides title and text."""
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
    """Whether an alert that was told of at these times is quiet for now."""
    if len(sent) < BURST:
        return False
    hold_ms: int = min(HOLD_MS * 4 ** (len(sent) - BURST), LONGEST_HOLD_MS)
    return max(sent) > now_ms - hold_ms


def _news(alert: Alert) -> tuple[str, str, str]:
    """What many runs may have in common; runs of all projects are lost together, findings are grouped by project."""
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
    if len(found) == 1 or (not resolved and last.kind != "alert"):  # one that fires, and was told of anew
        return message
    times = f"It fired {fired} and was resolved {resolved} times" if resolved else f"It fired {fired} times"
    body = f"{last.body}\n{times} since {_clock(first.alert.created_ms)}."
    return replace(message, title=f"{last.title}, {len(found)} changes", body=body)


def _named(alert: Alert) -> Alert:
    """An alert whose text says of which run it is; that of a loop's own alert says what the loop said."""
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
    """The time of day where the server is: "03:10"."""
    return datetime.fromtimestamp(time_ms / 1000).astimezone().strftime("%H:%M")
