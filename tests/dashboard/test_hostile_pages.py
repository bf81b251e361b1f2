"""Pages over runs that were named, timed and numbered by somebody who means harm, or just logs odd things."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from dashboard import component
from dashboard.charts import loss, overlay
from dashboard.charts.axes import AXES, Look
from dashboard.charts.curves import captions
from dashboard.charts.figure import Figure
from dashboard.charts.loss import Story
from dashboard.markup import comparison
from dashboard.theme import palette
from monitor.domain import inert
from monitor.domain.formats import clock
from monitor.store import Store
from tests.variants import some

from .conftest import MAIN, Show, curve, finding, logged

HOSTILE = "<a href=\"http://x\">x</a> <img src=x onerror=1> %{y} $x$ __a__ \x1b[31m\u202eevil\u2066 &amp; 'q' \\"
ODD_REFS = ("<img..__pwned..>", "__x__", "\u202e", "a\nb", "..", "%00", "x" * 300, "'", "🙂", " ")


def test_any_text_may_be_asked_for_as_a_run(embedded: Store, show: Show) -> None:
    logged(embedded, "one", [1.0])
    assert show("compare", run=ODD_REFS).count("This run is not here.") == len(ODD_REFS)
    for ref in ODD_REFS[:2]:
        assert "This run is not here." in show("run", id=ref)


TABS = ["Findings", "Config", "Series", "Checkpoints", "Events", "Parts"]


@pytest.mark.parametrize("tab", ["More series", "Tags", *(pytest.param(tab, marks=pytest.mark.slow) for tab in TABS)])
def test_hostile_names_are_inert_on_every_tab(embedded: Store, show: Show, tab: str) -> None:
    feed = logged(
        embedded,
        HOSTILE,
        [1.0, 0.5, 0.4],
        [1.0, 0.9],
        project=HOSTILE,
        tags={HOSTILE: HOSTILE},
        config={HOSTILE: HOSTILE},
    )
    for key in (HOSTILE, f"loss/{HOSTILE}"):
        feed.log(key, range(3), [1.0, 2.0, 3.0])
    feed.event("checkpoint", step=1, path=HOSTILE)
    body = show("run", id=feed.run_id, tab=tab) + show() + show("compare", run=feed.run_id)
    body = re.sub(r'"uirevision":"(?:[^"\\]|\\.)*"', "", body)  # told apart by it, and never shown
    assert "<a href" not in body, body[max(0, body.find("<a href") - 300) :][:400]
    assert "<img" not in body
    assert not re.search("[\u202e\u2066\x1b]", body)
    assert inert("\u202eevil") in body


@pytest.mark.parametrize("x", some([("epoch",), ("relative",)], every=2))
@pytest.mark.parametrize("epochs", [[math.inf] * 3, [-math.inf, 0.0, math.inf], [1e308, -1e308, 0.0]])
def test_whatever_the_epochs_are_the_pages_draw(embedded: Store, show: Show, x: str, epochs: list[float]) -> None:
    feed = logged(embedded, "odd", [])
    feed.log("train/loss", range(3), [1.0, math.inf, math.nan], epochs=epochs)
    feed.log("accuracy", range(3), [1.0, 2.0, 3.0], epochs=epochs)
    for body in (show("run", id=feed.run_id, x=x, tab="More series"), show("compare", run=feed.run_id, x=x)):
        assert '"traces"' in body or '"data"' in body
        assert "Infinity" not in body
    if x == "epoch" and not math.isfinite(epochs[0]):
        assert "without a place on this axis" in show("run", id=feed.run_id, x=x)


@pytest.mark.parametrize("now_ms", [1, 2**62])
def test_whatever_the_times_are_the_pages_are_drawn(embedded: Store, show: Show, now_ms: int) -> None:
    feed = logged(embedded, "odd", [1.0])
    feed.now_ms = now_ms
    feed.log("train/loss", [5, 6], [1.0, 2.0])
    show("run", id=feed.run_id, x="wall_time")
    show()


def test_a_moment_beyond_the_calendar_is_told_in_milliseconds() -> None:
    assert clock(2**62) == "4,611,686,018,427,387,904 ms"
    assert clock(-(2**62)) == "-4,611,686,018,427,387,904 ms"


def test_a_hundred_and_more_runs_are_compared(embedded: Store, show: Show) -> None:
    ids = [
        logged(embedded, f"seed-{i}", [2.0, 1.0 + i / 100], config={"seed": i, "lr": 0.1}).run_id for i in range(120)
    ]
    body = show("compare", run=ids)
    figure = next(json.loads(line) for line in body.splitlines() if line.startswith('{"data"'))
    assert len({trace["name"] for trace in figure["data"]}) == 120
    assert body.count("lm-swatch") == 120
    assert figure["layout"]["legend"]["orientation"] == "v"
    assert "1 of 2 keys differ" in body
    looks = {(t["line"]["color"], t["line"]["dash"]) for t in figure["data"]}
    assert len(looks) == 8 * len(overlay.DASHES)


def test_the_chooser_finds_runs_beyond_those_that_it_shows(embedded: Store) -> None:
    old = logged(embedded, "the-old-one", [1.0]).run_id
    for i in range(205):
        logged(embedded, f"new-{i}", [])
    app = AppTest.from_file(str(MAIN), default_timeout=120)
    app.run()
    app.switch_page("comparison.py")
    app.run()
    assert "the-old-one · p" not in app.multiselect(key="picked_runs").options
    app.text_input(key="find").set_value("the-old").run()
    assert "the-old-one · p" in app.multiselect(key="picked_runs").options
    app.multiselect(key="picked_runs").set_value([old]).run()
    app.text_input(key="find").set_value("name = 'new-7'").run()
    app.button(key="add_found").click().run()
    assert not app.exception
    assert len(app.query_params["run"]) == 2
    app.text_input(key="find").set_value("vall.best < ").run()
    assert not app.exception
    assert app.multiselect(key="picked_runs").value[0] == old


def test_long_names_stay_apart_where_they_are_cut() -> None:
    names = ["x" * 200 + end for end in "AB"]
    assert len({overlay.middle_cut(name) for name in names}) == 2
    assert all(len(overlay.middle_cut(name)) <= 36 for name in names)
    assert comparison.MANY == overlay.FEW


@given(st.text(max_size=300))
def test_any_text_makes_a_key_that_streamlit_takes(text: str) -> None:
    key = component.safe_key(f"missing {text}")
    assert "__" not in key
    assert re.fullmatch(r"[a-z0-9 _-]+", key)
    assert key == component.safe_key(f"missing {text}")
    assert key != component.safe_key(f"missing {text}x")


@given(st.text(st.characters(), max_size=60), st.floats())
def test_a_figure_holds_no_markup_and_no_number_that_json_lacks(text: str, number: float) -> None:
    figure = Figure(
        layout={"title": {"text": text}, "height": 3, "xaxis": {"range": [number, 1.0], "ticktext": [text]}}
    )
    figure.scatter(name=text, x=[number], y=np.array([number]), customdata=[text])
    figure.note(text=text, x=number)
    written = figure.to_json()
    assert "<" not in written
    json.loads(written)
    json.dumps(json.loads(written), allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=6), st.sampled_from(AXES), st.floats())
def test_any_numbers_can_be_drawn_on_every_axis(points: list[tuple[float, float]], x: str, step: float) -> None:
    xs, ys = ([p[i] for p in points] for i in (0, 1))
    look = Look(palette=palette("dark"), x_axis=x, offset_ms=3_600_000)  # type: ignore[arg-type]  # one of AXES
    drawn = curve(ys, x=xs)
    story = Story(findings=(finding(onset_step=step, fired_step=step),), verdict="overfitting")
    for figure in (
        loss.loss_figure(drawn, None, story, look),
        overlay.overlay_figure([("a", drawn), ("b", drawn)], look, title="t"),
    ):
        figure.to_json()
    captions([("a", drawn)], "log")
