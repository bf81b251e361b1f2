"""Alerts and their states, over HTTP and from the embedded store alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from monitor.alerts import alerts_for, deliver
from monitor.alerts.channels import MemoryChannel
from monitor.api import create_api
from monitor.domain import AlertInfo, FindingState, RunStatus, Severity, Silence
from monitor.errors import AlertNotFound, RunNotFound, SettingsError, WireError
from monitor.ingest import liveness
from monitor.ingest.engines import Engines
from monitor.jobs import Jobs
from monitor.reader.api import Api
from monitor.settings import Settings, load
from monitor.store import Store
from monitor.store.alerts import standing
from monitor.store.outbox import NEVER_MS
from tests.alerts.conftest import Webhook, a_finding, webhook  # noqa: F401  # a fixture
from tests.api.conftest import served
from tests.conftest import LOCAL, NOW_MS, Feed

HOUR = 3_600_000
KEY = "ttlV4dVWQAdkPQRBRNBkpPnlmHVg069u9mU277le3aY="


@pytest.fixture
def settings(store_url: str, tmp_path: object) -> Settings:
    return load(dir=str(tmp_path), database_url=store_url, secret_key=KEY)


@pytest.fixture(params=["embedded", "http"])
def api(request: pytest.FixtureRequest, store: Store, settings: Settings) -> Iterator[Api]:
    if request.param == "embedded":
        with Api(settings=settings) as found:
            yield found
        return
    with served(create_api(store, Engines(), settings)) as address, Api(address) as found:
        yield found


def change(feed: Feed, *, rule: str = "overfitting", resolved: bool = False, **more: object) -> None:
    """Have a finding of the run fire, or be resolved."""
    state = FindingState.RESOLVED if resolved else FindingState.FIRING
    found = a_finding(rule=rule, state=state, resolved_step=1300.0 if resolved else None, **more)
    with feed.store.write(feed.run_id, feed.now_ms) as tx:
        tx.add_alerts(alerts_for(tx.run, [found], now_ms=feed.now_ms))


def only(api: Api, **filters: object) -> AlertInfo:
    (found,) = api.alerts(**filters).items  # type: ignore[arg-type]  # filters by name
    return found


def states(api: Api) -> dict[str, int]:
    return {state: n for state, n in api.alerts().counts.items() if n}


def test_a_finding_that_fires_is_an_alert_that_says_what_and_where(api: Api, feed: Feed) -> None:
    change(feed)
    found = only(api, state="firing")
    assert (found.rule, found.severity, found.count, found.project) == ("overfitting", Severity.CRITICAL, 1, "p")
    assert found.fired_ms == found.changed_ms == NOW_MS
    assert "overfitting since step 900" in found.title
    assert api.alert(found.id[:6]) == found
    assert api.alerts(state="resolved").items == ()


def test_a_rule_whose_condition_holds_not_long_enough_yet_is_pending(api: Api, feed: Feed) -> None:
    from monitor.domain import Pending

    soon = Pending(
        rule="spike", severity=Severity.WARNING, onset_step=4, since_step=5, held=1, needed=3, explanation="It rises."
    )
    with feed.store.write(feed.run_id, NOW_MS) as tx:
        tx.pend_alerts([soon])
    found = only(api, state="pending")
    assert (found.rule, found.count, found.fired_ms, found.body) == ("spike", 0, None, "It rises.")
    change(feed, rule="spike", severity=Severity.WARNING)
    assert only(api).state == "firing"
    change(feed, rule="spike", severity=Severity.WARNING, resolved=True)
    with feed.store.write(feed.run_id, NOW_MS + 5) as tx:
        tx.pend_alerts([soon])
    assert only(api, state="pending").count == 1  # it fired before
    with feed.store.write(feed.run_id, NOW_MS + 9) as tx:
        tx.pend_alerts([])
    assert only(api, state="resolved").count == 1


def test_what_may_come_and_does_not_leaves_nothing(api: Api, feed: Feed) -> None:
    feed.log("train/loss", range(100), [1.0] * 100)
    feed.log("train/loss", range(100, 104), [40.0] * 4)
    with feed.store.write(feed.run_id, NOW_MS) as tx:
        tx.pend_alerts([])
    assert api.alerts(state="pending").items == ()


def test_an_acknowledged_alert_says_who_and_is_open_again_once_it_fires_anew(api: Api, feed: Feed) -> None:
    change(feed)
    found = api.acknowledge(only(api).id[:8], " ada ", "I lower the rate")
    assert (found.state, found.acked_by, found.acked_note) == ("acknowledged", "ada", "I lower the rate")
    assert states(api) == {"acknowledged": 1}
    change(feed, resolved=True)
    assert only(api).state == "resolved"
    change(feed, number=4)
    again = only(api)
    assert (again.state, again.acked_by, again.count) == ("firing", None, 2)


def test_a_flapping_finding_is_one_alert_with_a_count(api: Api, feed: Feed) -> None:
    for number in range(7):
        change(feed, number=number)
        change(feed, number=number, resolved=True)
    change(feed, number=8)
    assert (only(api).count, states(api)) == (8, {"firing": 1})


def test_a_silence_covers_what_it_matches_until_it_ends(api: Api, feed: Feed) -> None:
    other = Feed(feed.store)
    other.start(project="q", name="noisy", tags={"team": "vision"})
    change(feed)
    change(other)
    silence = api.silence({"project": "q*", "tag": "team=vis*"}, reason="known", by="ada", for_s=3600)
    assert states(api) == {"firing": 1, "silenced": 1}
    covered = only(api, state="silenced")
    assert (covered.run_name, covered.silenced_by, covered.silenced_until_ms) == ("noisy", silence.id, silence.until_ms)
    change(other, rule="nan")  # what fires later is covered too
    assert states(api) == {"firing": 1, "silenced": 2}
    assert [each.reason for each in api.silences()] == ["known"]
    assert api.unsilence(silence.id).ended_ms is not None
    assert (states(api), api.silences()) == ({"firing": 3}, ())
    assert [each.id for each in api.silences(over=True)] == [silence.id]


def test_alerts_are_filtered_and_come_in_pages(api: Api, feed: Feed) -> None:
    for number, rule in enumerate(("nan", "spike", "divergence", "overfitting", "stagnation")):
        feed.now_ms = NOW_MS + number
        change(feed, rule=rule, severity=Severity.WARNING if rule == "spike" else Severity.CRITICAL)
    first = api.alerts(limit=2)
    second = api.alerts(limit=2, cursor=first.cursor)
    third = api.alerts(limit=2, cursor=second.cursor)
    rules = [info.rule for page in (first, second, third) for info in page.items]
    assert rules == ["stagnation", "overfitting", "divergence", "spike", "nan"]
    assert (third.cursor, first.counts["firing"]) == (None, 5)
    assert only(api, severity="warning").rule == "spike"
    assert only(api, rule="nan", project="p", run=feed.run_id).rule == "nan"
    assert only(api, search="SPIKE since").rule == "spike"
    assert api.alerts(search="%").items == ()
    assert api.alerts(project="q").counts["firing"] == 0


def test_a_mark_is_kept_and_counted_by_rule(api: Api, feed: Feed) -> None:
    change(feed)
    change(feed, rule="spike")
    assert api.mark(only(api, rule="spike").id, "false alarm", "ada").mark == "false alarm"
    api.mark(only(api, rule="overfitting").id, "helpful", "ada")
    assert api.alert_marks() == {"spike": {"false alarm": 1}, "overfitting": {"helpful": 1}}
    api.mark(only(api, rule="spike").id, None, "ada")
    assert api.alert_marks("p") == {"overfitting": {"helpful": 1}}
    assert api.alert_marks("q") == {}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (lambda api: api.alerts("burning"), "state"),
        (lambda api: api.alerts(severity="huge"), "severity"),
        (lambda api: api.alerts(limit=0), "limit"),
        (lambda api: api.alerts(cursor="what"), "cursor"),
        (lambda api: api.acknowledge("x", ""), "by"),
        (lambda api: api.mark("x", "fine", "ada"), "mark"),
        (lambda api: api.silence({}, reason="r", by="ada", for_s=9), "silence"),
        (lambda api: api.silence({"color": "x"}, reason="r", by="ada", for_s=9), "silence"),
        (lambda api: api.silence({"run": "x"}, reason="", by="ada", for_s=9), "reason"),
        (lambda api: api.silence({"run": "x"}, reason="r", by="ada"), "until"),
        (lambda api: api.silence({"run": "x"}, reason="r", by="ada", until=datetime(2000, 1, 1)), "until"),
    ],
)
def test_what_cannot_be_used_is_named(api: Api, wrong: object, field: str) -> None:
    with pytest.raises(WireError, match=f"^{field}|{field}"):
        wrong(api)  # type: ignore[operator]  # one of the above


def test_what_is_not_there_is_named(api: Api, feed: Feed) -> None:
    change(feed)
    change(feed, rule="nan", resolved=True)
    with pytest.raises(WireError, match="resolved; only one that fires"):
        api.acknowledge(only(api, state="resolved").id, "ada")
    for ask in (api.alert, lambda ref: api.acknowledge(ref, "ada"), lambda ref: api.mark(ref, "helpful", "ada")):
        with pytest.raises(AlertNotFound, match="'zz'"):
            ask("zz")
    with pytest.raises(AlertNotFound, match="silence"):
        api.unsilence("zz")
    with pytest.raises(AlertNotFound, match="channel"):
        api.test_channel("zz")
    with pytest.raises(RunNotFound):
        api.alerts(run="zz")


@pytest.mark.parametrize(("end", "why"), [("finish", "the run finished"), ("delete", "")])
def test_alerts_of_a_run_that_is_over_are_resolved_without_a_message(api: Api, feed: Feed, end: str, why: str) -> None:
    change(feed)
    feed.store.set_status(feed.run_id, RunStatus.STALLED, now_ms=NOW_MS)
    messages = len(feed.store.alerts())
    if end == "finish":
        feed.event("finish", status="finished", error=None)
        assert (only(api).state, only(api).resolution) == ("resolved", why)
        assert [d.alert.kind for d in feed.store.alerts()][: -messages or None] == ["finished"]
    else:
        api.delete(feed.run_id)
        assert api.alerts().items == ()
        with feed.store._read() as connection:
            assert {info.resolution for info in standing(connection, [feed.run_id])} == {"the run was deleted"}
        api.restore(feed.run_id)
        assert (only(api).state, only(api).resolution, only(api).resolved_ms) == ("firing", None, None)
        assert len(feed.store.alerts()) == messages


def lose(feed: Feed) -> None:
    settings = load(lost_after_s=1.0)
    assert liveness.check(feed.store, settings, feed.now_ms + 10 * HOUR) == 1
    feed.now_ms += 10 * HOUR


def test_a_lost_run_that_is_resumed_is_lost_no_longer(api: Api, feed: Feed) -> None:
    lose(feed)
    assert only(api, state="firing").rule == "lost"
    again = Feed(feed.store, run_id=feed.run_id, writer="second", now_ms=feed.now_ms)
    again.start(resume="must")
    assert (only(api).state, only(api).rule) == ("resolved", "lost")


def test_a_failed_run_is_an_alert_with_its_error_until_it_is_resumed(api: Api, feed: Feed) -> None:
    feed.event("finish", status="failed", error="ValueError: bad batch")
    assert only(api, state="firing").rule == "failed"
    assert "ValueError: bad batch" in only(api).body
    again = Feed(feed.store, run_id=feed.run_id, writer="second")
    again.start(resume="must")
    assert only(api).state == "resolved"


def test_what_nobody_answers_ages_out_once_its_run_is_not_running(api: Api, feed: Feed) -> None:
    lose(feed)
    change(feed, rule="nan")
    assert feed.store.sweep_alerts(feed.now_ms, now_ms=feed.now_ms + 1) == 0
    assert feed.store.sweep_alerts(feed.now_ms + 1, now_ms=feed.now_ms + HOUR) == 2
    assert {(info.rule, info.resolution) for info in api.alerts(state="resolved").items} == {
        ("lost", "nobody answered"),
        ("nan", "nobody answered"),
    }


def test_a_critical_alert_that_nobody_answers_is_sent_again(api: Api, feed: Feed) -> None:
    change(feed)
    change(feed, rule="nan")
    api.acknowledge(only(api, rule="nan").id, "ada")
    later = NOW_MS + 30 * HOUR
    assert feed.store.repeat_alerts(NOW_MS + 6 * HOUR, (Severity.CRITICAL,), now_ms=later) == 1
    assert feed.store.repeat_alerts(NOW_MS + 6 * HOUR, (Severity.CRITICAL,), now_ms=later) == 0
    newest = feed.store.alerts()[0].alert
    assert newest.title.startswith("Still: ")
    assert "It has fired for 1 d 6 h, and nobody has answered." in newest.body
    assert (only(api, rule="overfitting").count, states(api)) == (1, {"firing": 1, "acknowledged": 1})


def test_a_silence_of_an_hour_takes_an_hour_whatever_the_clock_of_who_asks_says(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitor.reader import alerting

    if api.server is None:
        return  # the clock is the same
    monkeypatch.setattr(alerting, "now_ms", lambda: time.time_ns() // 1_000_000 - 7_200_000)
    before = time.time_ns() // 1_000_000
    made = api.silence({"rule": "nan"}, reason="r", by="ada", for_s=3600)
    assert before <= made.until_ms - 3_600_000 <= time.time_ns() // 1_000_000


def test_a_silence_that_hardly_ever_ends_is_refused(api: Api) -> None:
    for seconds in (11 * 366 * 86_400, 1e300):
        with pytest.raises(WireError, match="until"):
            api.silence({"rule": "nan"}, reason="r", by="ada", for_s=seconds)
    assert api.silences() == ()


def test_a_second_answer_takes_over_and_keeps_the_first(api: Api, feed: Feed) -> None:
    change(feed)
    found = only(api)
    api.acknowledge(found.id, "ada", "I lower the learning rate")
    again = api.acknowledge(found.id, "ada", "and clip gradients")
    assert (again.acked_by, again.acked_note) == ("ada", "and clip gradients")
    taken = api.acknowledge(found.id, "bob", "ada is away")
    assert taken.acked_by == "bob"
    assert taken.acked_note == "ada is away (taken over from ada: and clip gradients)"
    third = api.acknowledge(found.id, "eve", "x" * 2000)
    assert (third.acked_by, len(third.acked_note or "")) == ("eve", 2000)


def test_open_alerts_are_listed_however_many_were_resolved_since(api: Api, feed: Feed) -> None:
    change(feed)
    for number in range(4):
        other = Feed(feed.store, now_ms=NOW_MS + 1000 + number)
        other.start()
        change(other)
        change(other, resolved=True)
    assert [info.run_id for info in api.alerts(open=True, limit=3).items] == [feed.run_id]
    assert api.alerts(open=True, limit=3).cursor is None
    assert len(api.alerts(limit=3).items) == 3


def test_a_silenced_alert_is_repeated_a_day_after_its_silence_and_not_within(api: Api, feed: Feed) -> None:
    change(feed)
    store, day = feed.store, 24 * HOUR
    made = Silence(id="", run="*", reason="r", by="ada", created_ms=NOW_MS + HOUR, until_ms=NOW_MS + 3 * day)
    store.silence(made, by=LOCAL)
    told = len(store.alerts())
    for hour in range(1, 3 * 24, 6):
        now = NOW_MS + hour * HOUR
        assert store.repeat_alerts(now - day, (Severity.CRITICAL,), now_ms=now) == 0
    assert len(store.alerts()) == told
    later = NOW_MS + 4 * day
    assert store.repeat_alerts(later - day, (Severity.CRITICAL,), now_ms=later) == 1


@pytest.mark.parametrize(("hours", "outcome"), [(3, ["overfitting"]), (60, ["overfitting"]), (1, [])])
def test_a_silence_that_ends_while_no_server_runs_ends(
    feed: Feed, settings: Settings, hours: int, outcome: list[str]
) -> None:
    now, channel = [NOW_MS], MemoryChannel()

    def server() -> None:
        jobs = Jobs(feed.store, settings, channels=[channel], clock=lambda: now[0])
        jobs.run("delivery")
        jobs.run("alerts")
        jobs.run("delivery")

    server()
    end = {"created_ms": NOW_MS, "until_ms": NOW_MS + 2 * HOUR}
    feed.store.silence(Silence(id="", rule="over*", reason="r", by="ada", **end), by=LOCAL)
    change(feed)
    server()
    now[0] += hours * HOUR
    server()
    assert [alert.kind for alert in channel.sent] == outcome


def test_an_alert_of_a_clock_that_was_ahead_is_repeated(feed: Feed) -> None:
    feed.now_ms = NOW_MS + 1000 * 24 * HOUR
    change(feed)
    assert feed.store.repeat_alerts(NOW_MS - 24 * HOUR, (Severity.CRITICAL,), now_ms=NOW_MS) == 0  # not all at once
    assert feed.store.repeat_alerts(NOW_MS, (Severity.CRITICAL,), now_ms=NOW_MS + 24 * HOUR) == 0
    assert feed.store.repeat_alerts(NOW_MS + 1, (Severity.CRITICAL,), now_ms=NOW_MS + 24 * HOUR + 1) == 1


def test_a_channel_that_is_added_again_gets_what_happens_from_then_on(
    feed: Feed,
    settings: Settings,
    webhook: Webhook,  # noqa: F811  # the fixture
) -> None:
    now = [NOW_MS]
    jobs = Jobs(feed.store, settings, channels=[MemoryChannel()], clock=lambda: now[0])

    def at(minute: int) -> None:
        now[0] = feed.now_ms = NOW_MS + 60_000 * minute
        jobs.run("channels")
        for job in [name for name in jobs.health() if name.startswith("delivery")]:
            jobs.run(job)

    with Api(settings=settings) as api:
        api.add_channel("team", url=webhook.url)
        at(1)
        webhook.statuses = [500]
        change(feed)
        at(2)
        assert feed.store.alerts()[0].delivered_ms is None
        api.remove_channel("team")
        at(3)
        assert feed.store.alerts()[0].delivered_ms is not None  # nobody waits for the one that is gone
        change(feed, rule="nan")
        at(4)
        api.add_channel("team", url=webhook.url)
        at(5)
        assert webhook.bodies == []
        change(feed, rule="mine")
        at(6)
    assert [body["rule"] for body in webhook.bodies] == ["mine"]


def test_what_was_given_up_is_listed_and_sent_again_on_demand(api: Api, feed: Feed) -> None:
    store, channel = feed.store, MemoryChannel()
    store.register_channels(["memory"], NOW_MS)
    change(feed)
    ((row, number),) = [(d.alert.run_id, d.id) for d in store.alerts()]
    store.failed("memory", [(row, number)], NEVER_MS, "memory: is down")
    store.settle_deliveries(["memory"], NOW_MS + 1)
    (dead,) = api.dead_letters()
    assert (dead.id, dead.error, dead.attempts, dead.channel) == (f"{row}-{number}", "memory: is down", 1, "memory")
    assert api.retry("nosuch-1") == 0
    assert api.retry(dead.id) == 1
    assert api.dead_letters() == ()
    deliver(store, channel, lambda: time.time_ns() // 1_000_000, channels=["memory"])
    assert [alert.kind for alert in channel.sent] == ["overfitting"]


def test_a_channel_is_added_tested_and_removed_and_its_secret_is_never_shown(
    api: Api,
    webhook: Webhook,  # noqa: F811  # the fixture
    store: Store,
) -> None:
    secret = webhook.url.replace("/alerts", "/t0psecret")
    added = api.add_channel("team-a", url=secret, projects=["digits"], level="critical", quiet="22:00-07:00")
    assert (added["name"], added["stored"], added["problem"]) == ("team-a", True, None)
    api.test_channel("team-a")
    assert webhook.bodies[0]["title"] == "A test of the channel team-a"
    assert "t0psecret" not in str(api.channels()) + str(store.channel_settings())
    assert api.alert_channels() == 1
    api.remove_channel("team-a")
    assert api.channels() == ()
    with pytest.raises(AlertNotFound, match="channel"):
        api.remove_channel("team-a")
    with pytest.raises(SettingsError, match=r"channels\.x\.levle.*'level'"):
        api.add_channel("x", url=secret, levle="critical")
    for name in ("", ".", "..", "a/b", "a b", "\u00e9", "a" * 65, "-x", "x\n"):
        with pytest.raises(SettingsError, match="is not a name of a channel"):
            api.add_channel(name, url=secret)
        with pytest.raises(AlertNotFound, match="no channel is"):
            api.remove_channel(name)


def test_a_name_that_several_runs_have_is_told_from_one_that_none_has(api: Api, feed: Feed) -> None:
    for _ in range(2):
        Feed(feed.store).start(name="twice")
    for ask in (api.run, api.explain, lambda ref: api.alerts(run=ref)):
        with pytest.raises(RunNotFound, match=r"^run 'twice': several runs have this name; give an id: "):
            ask("twice")
        with pytest.raises(RunNotFound, match="no run 'nobody';"):
            ask("nobody")


def test_an_error_names_the_runs_that_may_be_meant(api: Api, feed: Feed) -> None:
    Feed(feed.store).start(name="brave-jaguar-46")
    for ref in ("brave", "JAGUAR", "brave-jaguar-64"):
        with pytest.raises(RunNotFound, match=rf"^no run '{ref}'; did you mean 'brave-jaguar-46' \("):
            api.run(ref)
    with pytest.raises(RunNotFound, match="no run 'b';"):
        api.run("b")


@pytest.mark.parametrize("ref", ["", " ", ".", "..", "a/b", "?", "#", "%2e", "\u00e9", "x" * 200])
def test_a_reference_of_any_characters_names_no_alert_silence_or_channel(api: Api, feed: Feed, ref: str) -> None:
    change(feed)
    asked = (api.alert, lambda ref: api.acknowledge(ref, "ada"), api.unsilence, api.test_channel)
    for ask in asked:
        with pytest.raises(AlertNotFound, match=r"no (alert|silence|channel) is"):
            ask(ref)


def test_without_a_key_no_secret_is_stored(store: Store, store_url: str, tmp_path: object) -> None:
    with Api(settings=load(dir=str(tmp_path), database_url=store_url)) as api, pytest.raises(SettingsError) as caught:
        api.add_channel("team", url="json://localhost/hook")
    assert "secret_key: is not set" in str(caught.value)
    assert store.channel_settings() == ()


def test_messages_of_a_run_that_is_not_there_are_refused_by_its_name(api: Api) -> None:
    with pytest.raises(RunNotFound, match="nobody"):
        api.deliveries("nobody")
