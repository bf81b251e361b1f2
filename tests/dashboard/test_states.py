"""Every page in every state that a store can be in, run as Streamlit runs it, over a real embedded store."""

from __future__ import annotations

import base64
import math

import pytest
from streamlit.testing.v1 import AppTest

from monitor.alerts import alerts_for
from monitor.domain import AlertQuery, Silence
from monitor.store import Store
from monitor.wire import Batch, Event
from tests.conftest import LOCAL
from tests.variants import some

from .conftest import MAIN, NOW_MS, Show, finding, logged


def test_an_empty_store_welcomes_with_an_integration(show: Show) -> None:
    body = show()
    assert "No runs yet" in body
    assert "monitor.init(" in body


def test_a_filter_that_nothing_passes_is_no_welcome(embedded: Store, show: Show) -> None:
    logged(embedded, "one", [1.0])
    body = show(q="nothing like it")
    assert "No run matches these filters." in body
    assert "No runs yet" not in body


def test_the_search_box_takes_a_query_too(embedded: Store, show: Show) -> None:
    logged(embedded, "low", [1.0], [0.9, 0.2])
    logged(embedded, "high", [1.0], [0.9, 0.8])
    body = show(q="val.best < 0.3")
    assert "low" in body and body.count('data-testid="run-row"') == 1
    ordered = show(q="order by val.best desc")
    assert ordered.index(">high<") < ordered.index(">low<")


def test_a_query_that_cannot_be_read_is_shown_with_the_place(embedded: Store, show: Show) -> None:
    logged(embedded, "one", [1.0])
    body = show(q="vall.best < 0.3")
    assert 'data-testid="query-error"' in body
    assert "character 1" in body
    assert "<pre>  vall.best &lt; 0.3\n  ^</pre>" in body


def test_a_name_that_looks_like_a_query_is_found_all_the_same(embedded: Store, show: Show) -> None:
    logged(embedded, "sweep lr=0.1", [1.0])
    logged(embedded, "sweep lr=0.2", [1.0])
    assert show(q="lr=0.1").count('data-testid="run-row"') == 1


def test_two_hundred_runs_come_in_pages(embedded: Store, show: Show) -> None:
    for i in range(200):
        logged(embedded, f"run {i:03d}", [1.0, 0.5])
    assert show(sort="name").count('data-testid="run-row"') == 50
    last = show(sort="name", page="4")
    assert "run 150" in last
    assert "151 to 200 of 200 runs" in last
    assert "151 to 200 of 200 runs" in show(page="99")


@pytest.mark.parametrize(
    "order", ["-created", "name", "-last_step", "val.best", "status", "verdict", "action", "nonsense"]
)
def test_every_column_can_be_sorted_by(embedded: Store, show: Show, order: str) -> None:
    logged(embedded, "one", [1.0])
    assert 'data-testid="run-row"' in show(sort=order)


@pytest.mark.parametrize(
    ("train", "val", "said"),
    [
        ([], [], "No point has arrived yet."),
        ([1.5], [], "train: 1 point"),
        ([math.nan] * 5, [], "NaN at"),
        ([3.0, 2.0, 1.0], [], "train: 3 points"),
        ([], [3.0, 2.0], "validation: 2 points"),
        ([-1.0, -2.0, -3.0], [-1.0, -1.5, -2.0], "validation: 3 points"),
        ([math.inf, -math.inf, 1.0], [], "2 infinite values"),
    ],
)
@pytest.mark.parametrize("axis", some([("step",), ("epoch",), ("elapsed",), ("clock",)], every=4))
def test_a_runs_page_shows_whatever_was_logged(
    embedded: Store, show: Show, train: list[float], val: list[float], said: str, axis: str
) -> None:
    feed = logged(embedded, "odd one", train, val)
    body = show("run", id=feed.run_id, x=axis)
    assert "odd one" in body
    if axis != "epoch":  # none was logged
        assert said in body


@pytest.mark.parametrize(
    "tab",
    [
        "Charts",
        "Findings",
        "More series",
        "Config",
        "Environment",
        "Tags",
        "Notes",
        "Series",
        "Checkpoints",
        "Events",
        "Output",
        "Alerts",
        "Download",
    ],
)
def test_every_tab_opens(embedded: Store, show: Show, tab: str) -> None:
    feed = logged(embedded, "full", [3.0, 2.0], [3.0], config={"lr": 0.1}, tags={"team": "vision"})
    feed.log("tokens_seen", [0], [0.5])
    feed.event("checkpoint", step=1, path="one.pt")
    feed.event("warning", name="converted", key="acc", count=2, example="'0.5'")
    wanted = {
        "Findings": "found nothing", "Environment": "Nothing of the environment was captured.",
         "More series": "tokens_seen", "Charts": "tokens_seen", "Notes": "vision", "Alerts": "raised no alert",
        "Download": ".parquet", "Config": "<code>lr</code>",
        "Tags": "vision", "Series": "unmapped", "Checkpoints": "one.pt", "Events": "converted",
        "Output": "No output was kept",
    }  # fmt: skip
    assert wanted[tab] in show("run", id=feed.run_id, tab=tab)


def test_a_run_without_a_loss_says_how_one_is_found(embedded: Store, show: Show) -> None:
    feed = logged(embedded, "no loss", [])
    feed.log("queue/depth", [0, 1], [0.5, 0.6])
    assert "No series is taken for a loss or a goal." in show("run", id=feed.run_id)


def test_a_run_that_is_not_there_and_a_page_without_one_say_so(show: Show) -> None:
    assert "This run is not here." in show("run", id="f" * 32)
    assert "No run is named." in show("run")


def test_a_misspelt_name_leads_to_the_runs_with_similar_ones(embedded: Store, show: Show) -> None:
    ids = [logged(embedded, name, [1.0]).run_id for name in ("resnet-a", "it's a resnet")]
    body = show("run", id="resnet")
    assert "Did you mean" in body
    assert all(f"id={run_id[:8]}" in body for run_id in ids)
    assert "it&#39;s a resnet" in body
    assert "Did you mean" not in show("run", id="f" * 32)


def test_a_link_that_several_runs_match_lists_them(embedded: Store, show: Show) -> None:
    ids = [logged(embedded, "twin", [1.0]).run_id for _ in range(2)]
    body = show("run", id="twin")
    assert "Several runs match twin." in body
    assert all(f"id={run_id}" in body for run_id in ids)


def test_a_comparison_of_runs_with_and_without_points(embedded: Store, show: Show) -> None:
    one, two = logged(embedded, "one", [3.0, 2.0], config={"lr": 1}), logged(embedded, "two", [], config={"lr": 2})
    app = AppTest.from_file(str(MAIN), default_timeout=120).run()
    app.switch_page("comparison.py")
    app.query_params["run"] = [one.run_id, two.run_id]
    app.run()
    assert not app.exception
    assert app.multiselect[0].value == [one.run_id, two.run_id]


def test_alerts_stand_by_state_and_an_empty_page_says_how_to_have_them_sent(embedded: Store, show: Show) -> None:
    assert "Nothing fires" in show("alerts")
    assert "MONITOR_ALERT_URLS" in show("alerts", tab="channels")
    feed = logged(embedded, "breaks", [1.0, 0.9, 0.8, math.nan, math.nan, math.nan])
    body = show("alerts")
    assert "breaks" in body
    assert "These are sent to nobody." in body
    assert "Numbers: " not in body
    assert "not sent" in show("alerts", tab="deliveries")
    (info, *_) = embedded.alert_page(AlertQuery(rule="nan"), NOW_MS).items
    embedded.acknowledge(info.id, "ada", "I look at the data", now_ms=NOW_MS, by=LOCAL)
    assert "ada: I look at the data" in show("alerts", tab="acknowledged")
    silence = Silence(id="", run="breaks", reason="known", by="ada", created_ms=NOW_MS, until_ms=NOW_MS + 10**11)
    embedded.silence(silence, by=LOCAL)
    assert "run = breaks" in show("alerts", tab="silences")
    embedded.delete(feed.run_id, now_ms=NOW_MS)
    assert "Nothing fires" in show("alerts")


def test_messages_wait_where_there_is_a_channel(embedded: Store, show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_ALERT_URLS", "json://127.0.0.1:9/ json://127.0.0.1:8/")
    logged(embedded, "breaks", [1.0, 0.9, 0.8, math.nan, math.nan, math.nan])
    body = show("alerts", tab="deliveries")
    assert "waiting" in body
    assert "These are sent to nobody." not in body
    assert "json://127.0.0.1:8/" in show("alerts", tab="channels")


def test_a_list_of_alerts_is_filtered_folded_by_run_and_comes_in_pages(embedded: Store, show: Show) -> None:
    for i in range(60):
        logged(embedded, f"breaks {i}", [1.0, 0.9, 0.8, math.nan, math.nan, math.nan])
    assert "50 of 120 alerts" in show("alerts")
    assert "50 of 60 alerts" in show("alerts", rule="NaN")
    cursor = embedded.alert_page(AlertQuery(rule="nan", limit=50), NOW_MS).cursor
    assert "10 of 60 alerts" in show("alerts", rule="NaN", after=cursor)
    assert "No alert matches these filters." in show("alerts", text="nowhere")
    many = logged(embedded, "many", [1.0])
    with embedded.write(many.run_id, NOW_MS + 9) as tx:
        found = [finding(rule, number=n) for n, rule in enumerate(("spike", "divergence", "stagnation", "overfitting"))]
        tx.add_alerts(alerts_for(tx.run, [*found, finding("nan"), finding("low_start")], now_ms=NOW_MS + 9))
    assert "and 1 more of this run" in show("alerts", text="many")


def test_a_link_in_a_message_leads_to_a_form_and_acts_on_nothing(embedded: Store, show: Show) -> None:
    logged(embedded, "breaks", [1.0, 0.9, 0.8, math.nan, math.nan, math.nan])
    (info, *_) = embedded.alert_page(AlertQuery(rule="nan"), NOW_MS).items
    for what in ("ack", "silence"):
        body = show("alerts", **{what: info.id})
        assert 'data-testid="asked"' in body
        assert embedded.alert(info.id, NOW_MS).state == "firing"
    assert "leads to no alert" in show("alerts", ack="nosuch")


def test_every_tab_of_a_run_with_everything_is_drawn(embedded: Store, show: Show) -> None:
    feed = logged(embedded, "full", [2.0, 1.0], [2.0, 1.5], config={"lr": 0.1, "width": {"inner": 64}})
    rows = base64.b64encode(b'{"columns":["kept here"],"rows":[[1]]}').decode()
    for at in range(8):
        data = {"key": f"t{at}", "kind": "table", "step": 1, "mime": "application/json", "content": rows}
        event = Event(kind="media", record=feed.acked, time_ms=1, data=data)
        feed.send(Batch(run_id=feed.run_id, writer="w", first=feed.acked, count=1, events=(event,)))
    for tab, says in (
        ("Config", "width.inner"),
        ("Media", "kept here"),
        ("Series", "train/loss"),
        ("Notes", "No tags"),
    ):
        assert says in show("run", id=feed.run_id, tab=tab), tab


def test_attention_shows_cards_and_the_fleet(embedded: Store, show: Show) -> None:
    assert "No runs yet" in show("attention")
    logged(embedded, "fine", [1.0, 0.5])
    assert "No open run needs you." in show("attention")
    rising = [2.0 - step / 25 if step < 25 else 1.0 + (step - 25) / 10 for step in range(50)]
    feed = logged(embedded, "ill <b>", [2.0 / (1 + step) for step in range(50)], rising, config={"max_steps": 10_000})
    body = show("attention")
    assert body.count('data-testid="attention-card"') == 1
    assert "ill &lt;b&gt;" in body and "ill <b>" not in body
    assert "1 open run needs you" in body
    assert f'data-act="stop {feed.run_id}"' in body
    assert ">Acknowledge<" in body and ">Silence…<" in body
    assert 'data-testid="fleet"' in body


def test_the_run_page_says_what_a_stop_saves_and_how_far_a_stop_is(embedded: Store, show: Show) -> None:
    rising = [2.0 - step / 25 if step < 25 else 1.0 + (step - 25) / 10 for step in range(50)]
    feed = logged(embedded, "ill", [2.0 / (1 + step) for step in range(50)], rising, config={"max_steps": 10_000})
    assert 'data-testid="saving"' not in show("run", id=feed.run_id)  # how long a step takes is not known yet
    feed.now_ms += 3_600_000
    feed.log("train/loss", [50], [0.04])
    assert "top now saves" in show("run", id=feed.run_id)
    embedded.request_stop(feed.run_id, "ada", reason="enough", now_ms=1)
    assert "by ada; requested." in show("run", id=feed.run_id)
