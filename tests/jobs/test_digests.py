"""The digest is sent once when it is due, and says what happened and what needs somebody."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from monitor.alerts import MemoryChannel, Route, alerts_for
from monitor.alerts.specs import read
from monitor.domain import Alert, Severity
from monitor.jobs import Jobs
from monitor.jobs.digests import MOST, compose, due
from monitor.settings import load
from monitor.store import Store
from tests.alerts.conftest import a_finding
from tests.conftest import Feed, event_batch

BERLIN = ZoneInfo("Europe/Berlin")


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=BERLIN).timestamp() * 1000)  # type: ignore[misc,arg-type]  # year to minute


def test_it_is_due_at_its_time_in_its_zone_also_where_the_clock_is_changed() -> None:
    route = Route(digest="0 8 * * *", zone=BERLIN)
    assert due(route, ms(2026, 3, 28, 9, 0), ms(2026, 3, 29, 7, 59)) is None
    assert due(route, ms(2026, 3, 28, 9, 0), ms(2026, 3, 29, 8, 1)) == ms(2026, 3, 29, 8, 0)
    assert due(route, ms(2026, 3, 29, 8, 0), ms(2026, 3, 29, 9, 0)) is None
    assert due(route, ms(2026, 3, 1, 8, 0), ms(2026, 3, 29, 9, 0)) == ms(
        2026, 3, 29, 8, 0
    )  # one for all that were missed
    assert due(Route(), 0, ms(2026, 3, 29, 9, 0)) is None


def test_a_digest_that_a_clock_ahead_has_sent_does_not_stop_the_next() -> None:
    route = Route(digest="0 8 * * *", zone=BERLIN)
    assert due(route, ms(2030, 1, 1, 8, 0), ms(2026, 3, 29, 9, 0)) is None
    assert due(route, ms(2026, 3, 29, 9, 0), ms(2026, 3, 30, 8, 1)) == ms(2026, 3, 30, 8, 0)


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 8 * * 0", [29]), ("0 8 * * 7", [29]), ("0 8 * * sun", [29]), ("0 8 * * 1-5", [23, 24, 25, 26, 27, 30]),
        ("0 8 * * fri-sun", [27, 28, 29]), ("0 8 * * 5-7", [27, 28, 29]), ("0 8 24 * 0", [24, 29]),
        ("0 8 */10 * *", []), ("0 8 23-30/7 * *", [23, 30]),
    ],
)  # fmt: skip
def test_the_fields_mean_what_they_mean_to_cron(cron: str, days: list[int]) -> None:
    route = read("x", {"url": "json://localhost/", "digest": cron, "zone": "Europe/Berlin"}).route
    at = [due(route, ms(2026, 11, day, 7, 0), ms(2026, 11, day, 9, 0)) for day in range(23, 31)]
    assert [day for day, found in zip(range(23, 31), at, strict=True) if found == ms(2026, 11, day, 8, 0)] == days


class Digested(MemoryChannel):
    """A channel that takes a digest at eight, and is down as often as it is told to be."""

    def __init__(self, down: int = 0) -> None:
        super().__init__("digested")
        self.route, self.down = Route(projects=("p",), digest="0 8 * * *", only_digest=True, zone=UTC), down
        self.tries = 0

    def send(self, alert: Alert) -> None:
        self.tries += 1
        if self.down:
            self.down -= 1
            raise ConnectionError("down")
        super().send(alert)


def test_it_is_sent_once_by_one_of_several_servers_and_again_until_it_is_taken(store: Store, tmp_path: object) -> None:
    now, channel = [int(datetime(2026, 3, 3, 7, 0, tzinfo=UTC).timestamp() * 1000)], Digested(down=1)
    servers = [Jobs(store, load(dir=str(tmp_path)), channels=[channel], clock=lambda: now[0]) for _ in range(2)]
    for jobs in servers:
        jobs.run("delivery")
    feed, other = Feed(store, now_ms=now[0]), Feed(store, now_ms=now[0])
    feed.start(name="bad", project="p")
    other.start(name="else", project="q")
    for each in (feed, other):
        with store.write(each.run_id, now[0]) as tx:
            tx.add_alerts(alerts_for(tx.run, [a_finding()], now_ms=now[0]))
    other.event("finish", status="finished", error=None)
    for minute in range(0, 26 * 60, 20):
        now[0] += 20 * 60_000 if minute else 0
        for jobs in servers:
            jobs.run("delivery")
    digests = [alert for alert in channel.sent if alert.kind == "digest"]
    assert [alert.kind for alert in channel.sent] == ["digest"] * len(digests)
    assert len(digests) == 2  # of two mornings
    first = digests[0]
    assert first.title == "Digest: 1 run, 1 need somebody"
    assert first.body.splitlines()[:2] == ["Runs: 1 began, 1 running.", "Alerts: overfitting 1."]
    assert "critical: bad: overfitting since step 900 (p), " in first.body
    assert "else" not in first.body


def test_a_channel_that_is_down_is_tried_every_quarter_of_an_hour(store: Store, tmp_path: object) -> None:
    now, channel = [int(datetime(2026, 3, 3, 7, 59, tzinfo=UTC).timestamp() * 1000)], Digested(down=100)
    jobs = Jobs(store, load(dir=str(tmp_path)), channels=[channel], clock=lambda: now[0])
    tries = []
    for _ in range(32):
        jobs.run("delivery")
        tries.append(channel.tries)
        now[0] += 60_000
    assert tries == [0] + [1] * 15 + [2] * 15 + [3]


def test_it_counts_what_happened_in_its_period_and_names_the_severest_first(store: Store, tmp_path: object) -> None:
    since, hour = ms(2026, 3, 3, 8, 0), 3_600_000

    def ran(name: str, begun_h: float, ended_h: float | None, fired: dict[str, tuple[float, Severity]]) -> None:
        feed = Feed(store, now_ms=since + int(begun_h * hour))
        feed.start(name=name, project="p")
        for rule, (at_h, severity) in fired.items():
            with store.write(feed.run_id, since + int(at_h * hour)) as tx:
                found = a_finding(rule=rule, severity=severity, number=len(rule))
                tx.add_alerts(alerts_for(tx.run, [found], now_ms=tx.now_ms))
        if ended_h is not None:
            feed.now_ms = since + int(ended_h * hour)
            feed.event("finish", status="finished", error=None)

    ran("long ago", -3, -2, {})
    ran("over the line", -1, 1, {})
    ran("old trouble", -1, None, {"nan": (-0.5, Severity.CRITICAL)})
    warnings = ["spike", "stagnation", "oscillation", "divergence", "overfitting", "goal_plateau", "goal_decline"]
    ran("new", 1, None, {rule: (1 + n / 10, Severity.WARNING) for n, rule in enumerate(warnings)})
    ran("newer", 2, None, {rule: (2 + n / 10, Severity.WARNING) for n, rule in enumerate(warnings[:5])})
    ran("newest", 3, None, {})
    late = Feed(store, now_ms=since + hour)  # it ended before, and arrives now
    late.send(event_batch(late.run_id, "w", 0, "run", time_ms=since - 3 * hour, project="p", name="late"))
    late.send(event_batch(late.run_id, "w", 1, "finish", time_ms=since - hour, status="finished", error=None))

    found = compose(store, load(dir=str(tmp_path)), Route(), since, since + 24 * hour, None)
    lines = found.body.splitlines()
    assert lines[0] == "Runs: 3 began, 1 finished, 3 running."
    assert sorted(lines[1].removeprefix("Alerts: ").removesuffix(".").split(", ")) == [
        "divergence 2", "goal decline 1", "goal plateau 1", "oscillation 2", "overfitting 2", "spike 2", "stagnation 2",
    ]  # fmt: skip
    assert lines[2] == "Needs you:" and lines[3].startswith("critical: old trouble: nan since step 900 (p), 24 h ago")
    assert lines[4].startswith("warning: newer: overfitting ")
    assert len(lines) == 3 + MOST + 1 and lines[-1] == "and 3 more"
