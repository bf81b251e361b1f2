"""What a page asks the server for: counted at a real server, since every request is a wait for whoever looks."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.testing.v1 import AppTest

from dashboard import data, panels, readings
from monitor.api import create_api
from monitor.ingest.engines import Engines
from monitor.settings import load
from monitor.store import Store

from ..api.conftest import served
from .conftest import MAIN, PAGES, logged

A_PIXEL = 2.02
"""Points a pixel: both extremes, and the ends of the curve."""
A_POINT = 3 * 4 * 4 / 3
"""Bytes a point: a step, a value and its moving average of four bytes each, in base64."""


class Counted:
    """An application, and the paths that it was asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"].removeprefix("/api/v1"))
        await self.app(scope, receive, send)


@pytest.fixture
def asked(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, Counted]]:
    """A store behind a server that the pages read from, and what they ask it for."""
    st.cache_resource.clear()
    settings = load(dir=str(Path(sqlite_url.removeprefix("sqlite:///")).parent))
    with Store.open(sqlite_url) as store:
        counted = Counted(create_api(store, Engines(), settings))
        with served(counted) as address:  # type: ignore[arg-type]  # any ASGI application
            monkeypatch.setenv("MONITOR_SERVER_URL", address)
            yield store, counted
            readings.api().close()
            st.cache_resource.clear()


def shown(page: str, **query: str | list[str]) -> AppTest:
    app = AppTest.from_file(str(MAIN), default_timeout=120)
    app.run()
    app.switch_page(PAGES[page])
    for name, value in query.items():
        app.query_params[name] = value
    return app


def of(counted: Counted, app: AppTest) -> list[str]:
    """The paths that one run of a page asks for, besides whether anything has changed."""
    counted.paths.clear()
    app.run()
    assert not app.exception
    assert "/change-mark" in counted.paths
    return [path for path in counted.paths if path != "/change-mark"]


def test_a_runs_page_takes_a_request_for_the_run_one_for_its_curves_and_one_for_its_marks(
    asked: tuple[Store, Counted],
) -> None:
    store, counted = asked
    feed = logged(store, "one", [3.0, 2.0, 1.0, 0.5], [3.0, 2.5, 2.0, 1.0])
    for step in range(4):
        feed.event("checkpoint", step=step, path=f"{step}.pt")
    for key in ("a", "b", "c"):
        feed.log(key, range(4), [1.0, 2.0, 3.0, 4.0])
    run = f"/runs/{feed.run_id}"
    elapsed = of(counted, shown("run", id=feed.run_id, x="elapsed"))
    # Where MLflow is; then the large chart, and the panels.
    assert elapsed == [f"{run}/snapshot", "/info", "/curves", f"{run}/positions", "/curves"]
    app = shown("run", id=feed.run_id)
    assert of(counted, app) == ["/curves", "/curves"]  # the run itself was read for the reader before
    assert of(counted, app) == []  # nothing has changed
    feed.log("train/loss", [4], [0.4])
    assert of(counted, app) == [f"{run}/snapshot", "/curves", "/curves"]


@pytest.mark.parametrize("runs", [2, 60])
def test_a_comparison_takes_one_request_for_all_runs_and_one_for_all_curves(
    asked: tuple[Store, Counted], runs: int
) -> None:
    store, counted = asked
    feeds = [logged(store, f"seed-{i}", [3.0, 2.0 - i / 100]) for i in range(runs)]
    app = shown("compare", run=[feed.run_id for feed in feeds])
    assert of(counted, app) == ["/runs", "/outlines", "/curves"]
    assert of(counted, app) == []  # nothing has changed
    feeds[0].log("train/loss", [4], [0.4])
    assert of(counted, app)[-2:] == ["/outlines", "/curves"]


def test_a_comparison_finds_runs_by_name_and_says_which_are_not_here(asked: tuple[Store, Counted]) -> None:
    store, _ = asked
    for name in ("here", "there"):
        logged(store, name, [3.0, 2.0])
    app = shown("compare", run=["here", "there", "nowhere", "f" * 32])
    app.run()
    assert not app.exception
    body = " ".join(json.loads(block.proto.json).get("html", "") for block in app.get("bidi_component"))  # type: ignore[union-attr]  # a Streamlit element of a kind that it has no class for
    assert body.count("This run is not here.") == 2 and "nowhere" in body
    assert "training loss of 2 runs" in str([block.proto.json for block in app.get("bidi_component")])  # type: ignore[union-attr]  # as above


def test_several_metrics_and_groups_are_compared_without_a_fault(asked: tuple[Store, Counted]) -> None:
    store, _ = asked
    ids = [logged(store, f"seed-{i}", [3.0, 2.0 - i / 10], [3.0, 2.5]).run_id for i in range(3)]
    for query in ({"metric": ["training loss", "validation loss"]}, {"by": ["project"]}):
        app = shown("compare", run=ids, **query)
        app.run()
        assert not app.exception and not app.error


def sent(app: AppTest) -> dict[str, str]:
    """What the browser is given for each component, by kind."""
    found = {}
    for block in app.get("bidi_component"):
        proto = block.proto  # type: ignore[union-attr]  # a Streamlit element of a kind that it has no class for
        found[str(proto.component_name)] = str(proto.json or proto.mixed.json)
    return found


def numbers(packed: dict[str, str]) -> int:
    """How many numbers a packed array has."""
    return len(base64.b64decode(packed["bdata"])) // int(packed["dtype"][1])


def test_no_more_points_are_sent_than_a_few_a_pixel_and_no_more_panels_than_are_near(
    asked: tuple[Store, Counted],
) -> None:
    store, _ = asked
    points, metrics = 30_000, 40
    values = np.random.default_rng(0).normal(1.0, 0.1, points)
    feed = logged(store, "long", values.tolist())
    for i in range(metrics):
        feed.log(f"layer/{i}", range(points), values)
    app = shown("run", id=feed.run_id)
    app.run()
    assert not app.exception
    given = sent(app)
    plot, grid = json.loads(given["monitor_plot"]), json.loads(given["monitor_panels"])
    figure = json.loads(plot["figure"])
    drawn = [trace["y"] for trace in figure["data"] if "bdata" in trace["y"]]
    assert len(drawn) == 2 and all(numbers(y) <= A_PIXEL * data.CURVE_WIDTH for y in drawn)
    assert len(grid["curves"]) == panels.FIRST < metrics
    for key, lines in grid["curves"].items():
        width = data.CURVE_WIDTH if key == "train/loss" else data.SMALL_WIDTH  # the large chart's curve is read once
        assert all(numbers(line["x"]) <= A_PIXEL * width for line in lines)
    large, small = (A_POINT * A_PIXEL * width for width in (data.CURVE_WIDTH, data.SMALL_WIDTH))
    assert len(plot["figure"]) < large + 10_000
    assert len(given["monitor_panels"]) < large + panels.FIRST * small + 20_000
