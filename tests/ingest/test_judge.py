"""The stored verdict is the engine's, however the stream was cut."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from monitor.domain import Action, Diagnosis, FindingState, RunStatus
from monitor.errors import RunNotFound
from monitor.ingest import rejudge
from monitor.ingest.engines import Engines
from monitor.rules import RulesConfig, diagnose
from monitor.rules.describe import progress
from monitor.store import Store
from monitor.store.sql.schema import ENGINES
from monitor.wire import Batch, Columns, Event
from tests.conftest import NOW_MS, Feed
from tests.variants import SQLITE_FIRST

STEPS = np.arange(0, 1200)
TRAIN = 2.0 * 0.995**STEPS + 0.05
VAL = 2.0 * 0.995**STEPS + 4e-4 * np.maximum(0, STEPS - 300)


@pytest.fixture(params=SQLITE_FIRST)
def store_url(request: pytest.FixtureRequest) -> str:
    """A database of this test's own; that PostgreSQL gives the same is left to the slow suite."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def stream() -> Columns:
    """A run that overfits: a training loss each step, a validation loss each tenth."""
    rows = [row for i in STEPS for row in ((0, i, TRAIN[i]), *([(1, i, VAL[i])] if i % 10 == 0 else []))]
    key, step, value = (np.array(column) for column in zip(*rows, strict=True))
    return Columns(key.astype("u2"), step.astype("i8"), value.astype("f8"), np.full(len(step), NOW_MS))


def cut(feed: Feed, columns: Columns, borders: list[int]) -> Diagnosis:
    """Send the stream in pieces."""
    for a, b in zip([0, *borders], [*borders, len(columns)], strict=True):
        if a == b:
            continue
        part = Columns(columns.key[a:b], columns.step[a:b], columns.value[a:b], columns.time_ms[a:b])
        keys = ("train/loss", "val/loss")
        feed.send(Batch(run_id=feed.run_id, writer="w", first=feed.acked, count=b - a, keys=keys, points=part))
    return feed.store.diagnosis(feed.run_id)


@pytest.fixture(scope="module")
def wanted() -> Diagnosis:
    return diagnose(np.column_stack([STEPS, TRAIN]), np.column_stack([STEPS[::10], VAL[::10]]), config=RulesConfig())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One SQLite store for many runs."""
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('cuts')}/m.db") as store:
        yield store


def test_an_overfitting_run_is_told_to_stop(feed: Feed, wanted: Diagnosis) -> None:
    found = cut(feed, stream(), [])
    assert found.verdict == "overfitting"
    assert found == wanted
    assert [d.alert.kind for d in feed.store.alerts(feed.run_id)].count("overfitting") == 1


@given(borders=st.lists(st.integers(0, 1319), max_size=8))
@settings(max_examples=15)
def test_the_verdict_does_not_depend_on_the_cuts(plain: Store, wanted: Diagnosis, borders: list[int]) -> None:
    feed = Feed(plain)
    feed.start()
    assert cut(feed, stream(), sorted(borders)) == wanted


@given(
    tau=st.floats(5, 300), noise=st.floats(0, 0.1), every=st.integers(1, 40), size=st.integers(1, 60),
    n=st.integers(1, 240), resumed=st.booleans(),
)  # fmt: skip
@settings(max_examples=25)
def test_the_list_holds_the_gap_and_the_half_life_of_the_page_after_every_batch(
    plain: Store, tau: float, noise: float, every: int, size: int, n: int, resumed: bool
) -> None:
    values = 0.3 + 2 * np.exp(-np.arange(n) / tau) + noise * np.random.default_rng(n).normal(size=n)
    feed = Feed(plain)
    feed.start()
    begins = [*range(0, n, size), *(range(n // 2, n, size) if resumed else ())]
    for begin in begins:
        at = range(begin, min(begin + size, n))
        feed.log("train/loss", at, values[begin : begin + size].tolist())
        if begin // size % every == every - 1:
            feed.log("val/loss", [at[-1]], [math.nan if begin < n // 8 else values[at[-1]] + 0.01 * begin])
        (row,) = plain.runs(query=f"id = '{feed.run_id}'").items
        progress = plain.diagnosis(feed.run_id).progress
        assert row.gap == (progress.gap and progress.gap.now)
        assert row.half_life == (progress.rate and progress.rate.half_life)


def test_the_half_life_is_not_fitted_at_each_point_or_bucket(plain: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[int] = []
    monkeypatch.setattr(progress._Part, "_determine", lambda part: fitted.append(len(part.levels)))
    feed = Feed(plain)
    feed.start()
    for step in range(300):
        feed.log("train/loss", [step], [float(np.exp(-step / 50))])
    # To the later half and to all of 8, 9, 10 ... points, then of buckets of 2, 4, 8 and 16 points.
    assert sorted({n for n in fitted if n >= 16}) == [16, 18, 20, 22, 24, 26, 28, 30, 32, 36]
    assert len(fitted) <= 2 * (18 + 3 * 8)


@pytest.mark.parametrize("size", [7, 100, 600])
def test_what_came_and_went_keeps_its_numbers_whether_it_was_stored_or_replayed(feed: Feed, size: int) -> None:
    t = np.arange(600)
    train = (1.0 + np.exp(-t / 40)) * (1 + 0.01 * np.random.default_rng(0).normal(size=600))
    train[300:303] *= 4
    for begin in range(0, 600, size):
        feed.log("train/loss", range(begin, min(begin + size, 600)), train[begin : begin + size].tolist())
    wanted = diagnose(np.c_[t, train])
    (spike,) = (found for found in wanted.findings if found.rule == "spike")
    assert spike.state is FindingState.RESOLVED and len(spike.evidence) > 1
    assert feed.store.diagnosis(feed.run_id) == wanted
    told = [each.alert for each in feed.store.alerts(feed.run_id) if each.alert.kind == "spike"]
    assert [spike.explanation in alert.body for alert in told if alert.state == "resolved"] == [True]
    rejudge(feed.store, Engines(), feed.run_id, now_ms=NOW_MS)
    assert feed.store.diagnosis(feed.run_id) == wanted


def test_a_state_of_another_version_is_replaced_by_a_replay(feed: Feed, wanted: Diagnosis) -> None:
    columns = stream()
    cut(feed, columns, [700])
    alerts = len(feed.store.alerts(feed.run_id))
    with feed.store._change() as connection:
        connection.execute(update(ENGINES).values(state=b"OLD1"))
    feed.log("train/loss", [1200], [TRAIN[-1]])
    found = feed.store.diagnosis(feed.run_id)
    assert found.verdict == wanted.verdict
    assert [f.rule for f in found.findings] == [f.rule for f in wanted.findings]
    assert found.counts.train == wanted.counts.train + 1
    assert len(feed.store.alerts(feed.run_id)) == alerts


@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.99])
def test_a_damaged_state_is_replaced_by_a_replay(feed: Feed, wanted: Diagnosis, part: float) -> None:
    cut(feed, stream(), [700])
    with feed.store._change() as connection:
        state = bytearray(connection.execute(select(ENGINES.c.state)).scalar_one())
        state[int(part * len(state))] ^= 0x55
        connection.execute(update(ENGINES).values(state=bytes(state)))
    for step in (1200, 1201):
        feed.log("train/loss", [step], [TRAIN[-1]])
    found = feed.store.diagnosis(feed.run_id)
    assert [f.rule for f in found.findings] == [f.rule for f in wanted.findings]
    assert found.counts.train == wanted.counts.train + 2


def test_a_run_is_judged_anew_with_other_rules(feed: Feed) -> None:
    cut(feed, stream(), [])
    rejudge(feed.store, Engines({"overfitting": {"enabled": False}}), feed.run_id, now_ms=NOW_MS)
    assert feed.store.run(feed.run_id).verdict != "overfitting"
    assert "overfitting" not in {f.rule for f in feed.store.findings(feed.run_id)}
    with pytest.raises(RunNotFound):
        rejudge(feed.store, Engines(), "0" * 32, now_ms=NOW_MS)


def test_the_priors_of_the_loss_reach_the_engine(store: Store) -> None:
    feed = Feed(store)
    feed.start(loss={"chance_level": math.log(10), "floor": 0.0})
    feed.log("loss", range(300), [50.0] * 300)
    assert "initial_loss" in {f.rule for f in store.findings(feed.run_id)} | {store.run(feed.run_id).verdict}


@pytest.mark.parametrize("at", [0, 150, 300])
@pytest.mark.parametrize("together", [True, False])
def test_what_is_said_of_the_loss_holds_for_the_whole_run_in_whatever_batch_it_comes(
    store: Store, at: int, together: bool
) -> None:
    loss = {"chance_level": math.log(10), "floor": 0.0}
    values = [50.0 - i / 10 for i in range(300)]
    known, told = Feed(store), Feed(store)
    known.start(loss=loss)
    known.log("loss", range(300), values)
    told.start()
    told.log("loss", range(at), values[:at])
    rest = told.batch("loss", range(at, 300), values[at:])
    event = Event(kind="loss", record=told.acked + 300 - at, time_ms=NOW_MS, data={"loss": loss})
    if together and at < 300:
        told.send(replace(rest, events=(event,), count=301 - at))
    else:
        told.send(rest)
        told.event("loss", loss=loss)
    assert "initial_loss" in {found.rule for found in store.findings(known.run_id)}
    assert store.findings(told.run_id) == store.findings(known.run_id)
    assert store.run(told.run_id).verdict == store.run(known.run_id).verdict


@pytest.mark.parametrize("same_writer", [True, False])
def test_what_a_resumed_run_says_of_its_loss_holds_for_the_whole_run(store: Store, same_writer: bool) -> None:
    loss = {"chance_level": math.log(10), "floor": 0.0}
    values = [50.0 - i / 10 for i in range(300)]
    known, told = Feed(store), Feed(store)
    for feed, first, later in ((known, loss, None), (told, None, loss)):
        feed.start(loss=first)
        feed.log("loss", range(300), values)
        if not same_writer:
            feed.writer, feed.acked = "second", 0
        feed.start(loss=later, resume="allow")
    assert store.run(told.run_id).attempt == 2
    assert "initial_loss" in {found.rule for found in store.findings(known.run_id)}
    assert store.findings(told.run_id) == store.findings(known.run_id)
    for feed in (known, told):
        feed.log("loss", range(300, 400), [20.0 - i / 10 for i in range(100)])
    assert store.findings(told.run_id) == store.findings(known.run_id)
    assert store.run(told.run_id).verdict == store.run(known.run_id).verdict


def again(feed: Feed, **data: object) -> Feed:
    """A person goes on with the run, as another process."""
    second = Feed(feed.store, run_id=feed.run_id, writer="again")
    second.start(resume="allow", **data)
    return second


def rest(of: Feed, train: np.ndarray, val: np.ndarray) -> Diagnosis:
    """Go on from step 1200."""
    steps = 1200 + np.arange(len(train))
    of.log("train/loss", steps.tolist(), train.tolist())
    of.log("val/loss", steps[:: len(train) // len(val)].tolist(), val.tolist())
    return of.store.diagnosis(of.run_id)


@pytest.mark.parametrize("said", [{}, {"config": {"batch_size": 64}}, {"loss": {"chance_level": 2.0, "floor": 0.0}}])
def test_a_run_that_was_told_to_stop_and_is_resumed_has_its_chance(feed: Feed, said: dict[str, object]) -> None:
    assert cut(feed, stream(), []).recommendation.action is Action.STOP
    feed.event("finish", status="stopped")
    second = again(feed, **said)
    assert second.beat().recommendation.action is Action.CONTINUE
    (before,) = [f for f in feed.store.findings(feed.run_id) if f.rule == "overfitting"]
    assert (before.state, before.resolved_step) == (FindingState.RESOLVED, 1199.0)
    level = VAL[-1]
    found = rest(second, 0.05 + 0.1 * 0.99 ** np.arange(400), level * 0.99 ** np.arange(40.0))
    assert found.recommendation.action is not Action.STOP
    rejudge(feed.store, Engines(), feed.run_id, now_ms=NOW_MS)
    assert feed.store.diagnosis(feed.run_id).recommendation.action is not Action.STOP
    assert before in feed.store.findings(feed.run_id)


def test_a_resumed_run_that_overfits_by_itself_is_told_to_stop_again(feed: Feed) -> None:
    cut(feed, stream(), [])
    second = again(feed)
    found = rest(second, TRAIN, VAL[::10])
    assert found.recommendation.action is Action.STOP
    assert [f.state for f in found.findings if f.rule == "overfitting"] == [FindingState.RESOLVED, FindingState.FIRING]
    assert len({f.number for f in found.findings}) == len(found.findings)
    rejudge(feed.store, Engines(), feed.run_id, now_ms=NOW_MS)
    assert feed.store.diagnosis(feed.run_id).recommendation.action is Action.STOP


def test_a_run_that_was_not_told_to_stop_goes_on_with_what_it_has_shown(feed: Feed, wanted: Diagnosis) -> None:
    columns = stream()
    some = Columns(*(column[:330] for column in (columns.key, columns.step, columns.value, columns.time_ms)))
    assert cut(feed, some, []).recommendation.action is not Action.STOP
    second = again(feed)
    more = Columns(*(column[330:] for column in (columns.key, columns.step, columns.value, columns.time_ms)))
    keys = ("train/loss", "val/loss")
    second.send(Batch(run_id=feed.run_id, writer="again", first=1, count=len(more), keys=keys, points=more))
    assert feed.store.diagnosis(feed.run_id) == wanted


def test_a_failed_run_alerts(feed: Feed) -> None:
    feed.event("finish", status="failed", error="RuntimeError: CUDA")
    (delivery,) = feed.store.alerts(feed.run_id)
    assert (delivery.alert.kind, feed.store.run(feed.run_id).status) == ("failed", RunStatus.FAILED)


@pytest.mark.parametrize(("first", "seen"), [(0, 6), (20, 36)])
def test_an_attempt_that_begins_where_the_run_began_is_judged_by_its_own_points(
    feed: Feed, first: int, seen: int
) -> None:
    feed.log("train/loss", range(30), [2 / (i + 1) for i in range(30)])
    feed.start(resume="allow")
    feed.log("train/loss", range(first, first + 6), [2 / (i + 1) for i in range(6)])
    assert feed.store.run(feed.run_id).attempt == 2
    assert feed.store.counts(feed.run_id).train == seen
    rejudge(feed.store, feed.engines, feed.run_id, now_ms=NOW_MS)
    assert feed.store.counts(feed.run_id).train == (6 if first == 0 else 26)


def test_the_epochs_of_an_imported_run_are_epochs(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    feed.event("capture", imported={"unit": "epoch"})
    feed.log("train/loss", range(30), [2 / (i + 1) for i in range(30)])
    assert "epoch" in store.findings(feed.run_id)[0].explanation
