"""The parts of a composite loss, their weights and what a loss should start at, from `log()` to the finding."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from torch import nn

from monitor import losses
from monitor.domain import Finding
from monitor.ingest import rejudge
from monitor.ingest.engines import Engines
from monitor.ingest.judge import _fed
from monitor.rules import EnginePoints, diagnose
from monitor.rules.sketch.points import WEIGHT as ROLE_WEIGHT
from monitor.run.start import init
from monitor.settings import load
from monitor.store import Store
from monitor.store.points.series import SeriesState
from monitor.store.sql.schema import ENGINES
from monitor.wire import Batch, Columns, Event
from tests.conftest import NOW_MS, Feed

N = 600
T = np.arange(N)
RNG = np.random.default_rng(0)
PARTS = {"data": 1 + 2 * np.exp(-8 * T / N) + 0.02 * RNG.normal(size=N), "l2": np.exp(T / 150)}
WEIGHT = np.where(T < 200, 0.1, 0.2)
TOTAL = PARTS["data"] + WEIGHT * PARTS["l2"]
KEYS = ("train/loss", "loss/data", "loss/l2")


def feed_rows(feed: Feed, a: int, b: int) -> None:
    """Steps a to b of the run, its weights told where they change."""
    values = np.stack([TOTAL, PARTS["data"], PARTS["l2"]], axis=1)[a:b].ravel()
    step, key = np.repeat(T[a:b], 3), np.tile(np.arange(3), b - a)
    points = Columns(key.astype("u2"), step.astype("i8"), values, np.full(len(step), NOW_MS))
    feed.send(Batch(run_id=feed.run_id, writer="w", first=feed.acked, count=b - a, keys=KEYS, points=points))


def whole(feed: Feed, *cuts: int) -> tuple[Finding, ...]:
    feed.event("weights", step=0, weights={"loss/l2": 0.1})
    edges = [0, *cuts, N]
    for a, b in pairwise(edges):
        if a == 200:
            feed.event("weights", step=200, weights={"l2": 0.2})
        feed_rows(feed, a, b)
    return feed.store.findings(feed.run_id)


def expected() -> tuple[Finding, ...]:
    return diagnose(
        np.c_[T, TOTAL],
        parts={name: np.c_[T, values] for name, values in PARTS.items()},
        weights={"l2": [(0, 0.1), (200, 0.2)]},
    ).findings


def test_parts_are_judged_under_the_weights_that_were_told(feed: Feed) -> None:
    found = whole(feed, 200)
    assert found == expected()
    assert "growing_penalty" in {f.rule for f in found} and "parts_sum" not in {f.rule for f in found}


def test_the_findings_do_not_depend_on_where_the_stream_is_cut(feed: Feed) -> None:
    assert whole(feed, 7, 150, 200, 201, 555) == expected()


def test_a_run_that_is_judged_anew_reads_parts_and_weights_from_the_store(feed: Feed) -> None:
    found = whole(feed, 200)
    rejudge(feed.store, Engines(), feed.run_id, now_ms=NOW_MS)
    assert feed.store.findings(feed.run_id) == found
    with feed.store._change() as connection:
        connection.execute(update(ENGINES).values(state=b"OLD1"))
    feed.event("weights", step=N, weights={"l2": 0.3})
    assert feed.store.findings(feed.run_id) == found


@given(
    st.lists(st.integers(0, 6), max_size=12),
    st.lists(st.tuples(st.integers(-1, 7), st.dictionaries(st.sampled_from("abc"), st.floats(0, 9), min_size=1))),
)
def test_weights_stand_before_the_first_point_of_their_step(
    steps: list[int], told: list[tuple[int, dict[str, float]]]
) -> None:
    n = len(steps)
    points = Columns(np.zeros(n, "u2"), np.array(steps, "i8"), np.arange(float(n)), np.full(n, NOW_MS))
    events = tuple(Event(kind="weights", record=0, time_ms=0, data={"step": s, "weights": w}) for s, w in told)
    batch = Batch(run_id="a" * 32, writer="w", first=0, count=99, keys=("loss",), points=points, events=events)
    state = SeriesState(series=1, key="loss", role="train", judged=True, attempt=1, cut_step=0)
    found = _fed(batch, {0: state})
    rows: list[tuple[float, str, float]] = [(step, "", float(i)) for i, step in enumerate(steps)]
    for since, weights in reversed(told):
        at = next((i for i, row in enumerate(rows) if row[0] >= since), len(rows))
        rows[at:at] = [(since, name, weight) for name, weight in weights.items()]
    parts = [found.names[i] if r == ROLE_WEIGHT else "" for r, i in zip(found.role, _parts(found), strict=True)]
    assert list(zip(found.step.tolist(), parts, found.value.tolist(), strict=True)) == rows


def _parts(found: EnginePoints) -> list[int]:
    return [0] * len(found) if found.part is None else found.part.tolist()


def test_weights_that_are_no_numbers_are_left_out_with_their_place(feed: Feed) -> None:
    reply = feed.event("weights", step=10**400, weights={"kl": "half", "x": math.inf, "y": 10**400, "z": 0.5})
    assert [line.partition(":")[2].split(":")[0].strip() for line in reply.set_aside] == [
        "weights.step",
        "weights.kl",
        "weights.x",
        "weights.y",
    ]
    stored = [event.data for event in feed.store.events(feed.run_id) if event.kind == "weights"]
    assert stored == [{"step": 2**63 - 1, "weights": {"z": 0.5}}]


def train(folder: Path, reduction: str) -> tuple[str, tuple[Finding, ...]]:
    """A real loop with torch: its loss is read from the module, its batch size from the configuration."""
    torch.manual_seed(0)
    x, y = torch.randn(640, 20), torch.randint(10, (640,))
    model, loss = nn.Linear(20, 10), nn.CrossEntropyLoss(reduction=reduction)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    settings = load(dir=folder, capture=False, ship_interval_s=0.02, finish_timeout_s=20.0)
    spec = losses.from_torch(loss, classes=10)
    with init("p", config={"batch_size": 64}, loss=spec, mode="embedded", settings=settings) as run:
        for step in range(40):
            at = torch.randint(640, (64,))
            value = loss(model(x[at]), y[at])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            run.log({"loss": value}, step=step)
    with Store.open(settings.store_url) as store:
        return store.run(run.id).verdict, store.findings(run.id)


def test_a_run_started_with_sum_reduction_is_diagnosed_as_such(tmp_path: Path) -> None:
    verdict, found = train(tmp_path, "sum")
    said = next(f for f in found if f.rule == "initial_loss")
    assert verdict == "initial_loss" and said.evidence["cause"] == "sum_reduction"
    assert said.evidence["multiple"] == 64 and said.fired_step == 3
    assert "that is the batch size 64. The loss is summed" in said.explanation
    assert "(ln 10)" in said.explanation


def test_the_same_run_with_mean_reduction_starts_as_it_should(tmp_path: Path) -> None:
    _, found = train(tmp_path, "mean")
    assert not {f.rule for f in found} & {"initial_loss", "low_start", "impossible_loss"}


def test_a_validation_loss_below_its_floor_is_told_as_a_bug_of_the_metric(feed: Feed) -> None:
    fresh = Feed(feed.store)
    fresh.start(loss=losses.CrossEntropy(10).to_dict())
    fresh.log("loss", range(50), [math.log(10) * 0.97**k for k in range(50)])
    fresh.log("val/loss", range(5), [2.3, 1.2, 0.4, -0.1, -0.3])
    said = next(f for f in feed.store.findings(fresh.run_id) if f.rule == "impossible_loss")
    assert said.onset_step == 3 and "never negative" in said.explanation
