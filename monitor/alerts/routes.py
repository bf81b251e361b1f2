"""Decides which due messages a channel is sent, which are skipped, and which wait. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase
from typing import Final

from monitor.domain import RUN_DELETED, Alert, AlertInfo, AlertState, Delivery, Severity, Silence, alert_id, alert_key
from monitor.domain.clocks import is_past
from monitor.errors import SettingsError
from monitor.rules.registry import spec_of

AGAIN_MS: Final = 10_000
"""A silenced message is checked again after this long, as the silence may be lifted."""
SETTLE_MS: Final = 10 * 60_000
"""Warnings of rules and of stalled runs wait this long before they are sent: most pass by themselves meanwhile."""
HEARD_MS: Final = 5 * 60_000
"""A threshold that a rule explains is checked again after this long."""
_LOUD: Final = frozenset({"spike", "oscillation", "rising_part", "goal_decline", "goal_unstable"})
INHIBITS: Final[Mapping[str, frozenset[str]]] = {
    "nan": _LOUD
    | {"divergence", "gradient_explosion", "goal_plateau", "stagnation", "parts_sum", "impossible_loss"}
    | {"metric_missing"},
    "divergence": _LOUD,
    "overfitting": frozenset({"goal_plateau", "stagnation"}),
    "lost": frozenset({"stalled"}),
}
"""While the first fires, nothing is sent about the others on the same run: it says more about the same trouble."""

_RANK: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
_QUIET: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the day in which only critical messages are sent.

    Attributes:
        start, end: minutes since midnight; the period may span midnight.
    """

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Quiet:
        """Read `22:00-07:00`.

        Raises:
            SettingsError: it has another form.

        >>> Quiet.parse("22:00-07:00")
        Quiet(start=1320, end=420)
        """
        found = _QUIET.fullmatch(text.strip())
        hours = [int(each) for each in found.groups()] if found else []
        if not hours or hours[:2] == hours[2:]:
            raise SettingsError("quiet", f"{text!r:.40} is not a period of the day", 'write "22:00-07:00"')
        return cls(60 * hours[0] + hours[1], 60 * hours[2] + hours[3])

    def until(self, now_ms: int, zone: tzinfo) -> int | None:
        """When the current quiet period ends, in milliseconds since the epoch; None outside of quiet hours."""
        now = datetime.fromtimestamp(now_ms / 1000, zone)
        minute = 60 * now.hour + now.minute
        within = self.start <= minute < self.end if self.start < self.end else not self.end <= minute < self.start
        if not within:
            return None
        day = now.date() + timedelta(days=int(self.start > self.end and minute >= self.start))
        end = datetime(day.year, day.month, day.day, self.end // 60, self.end % 60, tzinfo=zone)
        return max(int(end.timestamp() * 1000), now_ms + 60_000)  # at the end of daylight saving time


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a channel takes.

    Attributes:
        projects: globs; the run's project must match one.
        level: lowest severity that is sent.
        finished: whether finished and stopped runs are reported.
        resolved: whether resolutions are sent; None for those of critical alerts only.
        quiet: hours in which only critical messages are sent.
        digest: when to send a summary, as a cron expression of five fields; None for never.
        only_digest: whether nothing else is sent.
        zone: the time zone of `quiet` and `digest`.
    """

    projects: tuple[str, ...] = ("*",)
    level: Severity = Severity.INFO
    finished: bool = False
    resolved: bool | None = None
    quiet: Quiet | None = None
    digest: str | None = None
    only_digest: bool = False
    zone: tzinfo = UTC

    def wants(self, project: str) -> bool:
        """Whether the channel takes messages about a project."""
        return any(fnmatchcase(project, glob) for glob in self.projects)


@dataclass(frozen=True, slots=True)
class Sorted:
    """What to do with the messages due to a channel.

    Attributes:
        send: to send now.
        skip: not to send, each with the reason.
        wait: to check again, each with the time.
    """

    send: list[Delivery] = field(default_factory=list)
    skip: list[tuple[Delivery, str]] = field(default_factory=list)
    wait: list[tuple[Delivery, int]] = field(default_factory=list)


def sort(
    due: Sequence[Delivery],
    told: Iterable[tuple[str, int, str]],
    standing: Sequence[AlertInfo],
    silences: Sequence[Silence],
    route: Route,
    now_ms: int,
) -> Sorted:
    """Decide what to do with due messages.

    Args:
        due: messages that the channel has not taken, oldest first.
        told: what the channel was sent about the same runs, oldest first: `dedup_key`, time, state.
        standing: the current alerts of these runs.
        silences: those in force.
    """
    done = Sorted()
    by_id = {info.id: info for info in standing}
    firing: dict[str, set[str]] = {}
    loud: dict[str, set[str]] = {}
    for info in standing:
        if info.state is not AlertState.RESOLVED:
            firing.setdefault(info.run_id, set()).add(info.rule)
            if info.severity is Severity.CRITICAL and spec_of(info.rule) is not None:
                loud.setdefault(info.run_id, set()).add(f"{info.run_id}:{info.rule}")
    last_told = {family(key): (state, when_ms if is_past(when_ms, now_ms) else 0) for key, when_ms, state in told}
    families: dict[str, list[Delivery]] = {}
    for each in due:
        reason = _unwanted(each, route)
        if reason is not None:
            done.skip.append((each, reason))
        else:
            families.setdefault(family(each.alert.dedup_key), []).append(each)
    sent = {name for name, (state, _) in last_told.items() if state == "firing"}
    for name, members in sorted(families.items(), key=lambda one: one[1][-1].alert.kind == "threshold"):
        last = members[-1].alert
        stands = by_id.get(alert_id(last.run_id, last.key[:250]))
        state, told_ms = last_told.get(name, (None, 0))
        reason = _settled(members, state, told_ms, stands)
        reason = reason or _inhibited(last.kind, firing.get(last.run_id, ())) or _over(last, stands)
        if reason is not None:
            done.skip.extend((each, reason) for each in members)
            continue
        until = _until(members[-1], stands, silences, route, now_ms)
        if until is None and last.judged and last.state == "firing" and sent & loud.get(last.run_id, set()):
            until = now_ms + HEARD_MS
        if until is None:
            done.send.extend(members)
            sent.add(name)
        else:
            done.wait.extend((each, until) for each in members)
    return done


def family(dedup_key: str) -> str:
    """The key that all messages about one alert of a run share."""
    return f"{dedup_key.partition(':')[0]}:{alert_key(dedup_key)}"


def _unwanted(delivery: Delivery, route: Route) -> str | None:
    alert = delivery.alert
    if route.only_digest:
        return "the channel takes digests only"
    if not route.wants(alert.project):
        return "of another project"
    if alert.kind == "finished":
        return None if route.finished else "not asked for"
    if _RANK[alert.severity] < _RANK[route.level]:
        return "below the channel's level"
    wanted = alert.severity is Severity.CRITICAL if route.resolved is None else route.resolved
    if alert.state == "resolved" and not wanted:
        return "the channel takes no resolutions"
    return None


def _settled(members: Sequence[Delivery], told: str | None, told_ms: int, info: AlertInfo | None) -> str | None:
    """Why messages about an alert need not be sent, given its current state and what was sent before."""
    last = members[-1].alert
    if info is not None and info.resolution == RUN_DELETED:
        return RUN_DELETED
    if last.state == "resolved":
        return None if told == "firing" else "resolved before it was sent"
    over = info is not None and info.state is AlertState.RESOLVED and (info.resolved_ms or 0) >= last.created_ms
    if info is not None and over and (info.resolution is None or last.severity is not Severity.CRITICAL):
        return "resolved before it was sent"  # it passed while it waited
    if info is not None and info.acked_ms is not None and info.acked_ms >= last.created_ms:
        return f"acknowledged by {info.acked_by}"
    since_ms = info.fired_ms if info is not None else None
    flapped = any(each.alert.state == "resolved" for each in members)
    still = since_ms is not None and since_ms <= told_ms and _of_finding(last)
    return "it fires, as was sent before" if (flapped or still) and told == "firing" else None


def _of_finding(alert: Alert) -> bool:
    """Whether it reports a new finding, not a repetition and not an advised stop."""
    return spec_of(alert.kind) is not None and alert.dedup_key.rpartition(":")[2].isdecimal()


def _over(alert: Alert, info: AlertInfo | None) -> str | None:
    """Why a passing trouble such as a spike is not worth a message until it happens again."""
    spec = spec_of(alert.kind)
    if spec is None or not spec.passing or info is None or info.count > 1 or alert.severity is Severity.CRITICAL:
        return None
    return "it happened once and is over"


def _inhibited(kind: str, firing: Collection[str]) -> str | None:
    """Why a firing rule of the same run makes a message redundant; None if none does."""
    by = next((rule for rule in sorted(firing) if kind in INHIBITS.get(rule, ())), None)
    return None if by is None else f"inhibited by {by}"


def _until(
    delivery: Delivery, info: AlertInfo | None, silences: Sequence[Silence], route: Route, now_ms: int
) -> int | None:
    alert = delivery.alert
    tags = info.tags if info is not None else {}
    for silence in silences:
        if silence.covers(
            project=alert.project,
            run_id=alert.run_id,
            run_name=alert.run_name,
            rule=alert.kind,
            severity=str(alert.severity),
            tags=tags,
        ):
            return min(silence.until_ms, now_ms + AGAIN_MS)
    if alert.severity is Severity.CRITICAL:
        return None
    asked = alert.kind in ("alert", "threshold", "finished") or alert.state == "resolved"
    if not asked and is_past(alert.created_ms, now_ms) and now_ms < alert.created_ms + SETTLE_MS:
        return alert.created_ms + SETTLE_MS
    return None if route.quiet is None else route.quiet.until(now_ms, route.zone)
