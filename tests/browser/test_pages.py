"""What a person sees: each test drives Chromium against a real server and a real dashboard process."""

from __future__ import annotations

import re
import time
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, expect

from monitor.domain.formats import number
from monitor.domain.formats import step as said
from tests.variants import some

from .conftest import Service, elapsed, until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SEEN_WITHIN_S = 3.0
DRAWN = "document.querySelector('.lm-plot[data-drawn=yes] .xtick') !== null"


def drawn_to(step: int) -> str:
    """JavaScript that is true once the large chart's first line ends at this step."""
    last = "document.querySelector('.lm-plot')?._fullData?.[0].x"
    return f"(() => {{ const x = {last}; return x !== undefined && x[x.length - 1] === {step} }})()"


def test_the_list_shows_verdicts_and_sparklines_and_a_click_opens_the_run(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/runs")
    row = page.get_by_test_id("run-row").filter(has_text="overfits")
    expect(row).to_be_visible(timeout=60_000)
    expect(row.locator(".lm-chip")).to_have_text(re.compile("overfitting"))
    expect(row.locator("svg.lm-spark path")).to_have_count(2)
    expect(page.get_by_test_id("counts")).to_contain_text("in all")

    row.get_by_role("link", name="overfits").click()

    expect(page.get_by_test_id("run-name")).to_have_text("overfits")
    expect(page.get_by_test_id("recommendation")).to_contain_text("Stop was advised")
    assert "/run?id=" in page.url


@pytest.mark.slow
def test_a_point_is_on_the_open_page_within_three_seconds_of_being_logged(service: Service, page: Page) -> None:
    with service.run("live") as run:
        run.log({"train/loss": 1.0}, step=1)
        page.goto(f"{service.dashboard}/run?id={run.id}")
        expect(page.get_by_test_id("last-step")).to_have_text("step 1")
        until(page, drawn_to(1))
        waits = []
        for step in (1_234, 2_345, 3_456):
            begin = time.monotonic()
            run.log({"train/loss": 0.5}, step=step)
            expect(page.get_by_test_id("last-step")).to_have_text(f"step {said(step)}")
            until(page, drawn_to(step))
            waits.append(elapsed(begin))
    print(f"seconds from log() to the picture: {', '.join(f'{w:.2f}' for w in waits)}")
    assert max(waits) < SEEN_WITHIN_S


def test_the_run_page_shows_where_the_trouble_began_and_the_best_step(service: Service, page: Page) -> None:
    with service.reader() as api:
        view = api.run("overfits")
        found = next(f for f in view.findings() if f.rule == "overfitting")
        best = view.info.recommendation

    page.goto(f"{service.dashboard}/run?id=overfits&tab=Findings")

    label = f"overfitting · {said(found.onset_step)} → {said(found.fired_step)}"
    expect(page.locator(".lm-plot .annotation-text", has_text=label)).to_be_visible(timeout=60_000)
    star = f"best {number(best.best_val_loss)} · step {said(best.best_step)}"
    expect(page.locator(".lm-plot .annotation-text", has_text=star)).to_be_visible()
    expect(page.get_by_test_id("best-step")).to_have_text(said(best.best_step))
    card = page.get_by_test_id("finding").filter(has_text="overfitting")
    expect(card).to_contain_text(found.explanation[:60])


def test_zoom_survives_new_points(service: Service, page: Page) -> None:
    with service.run("zoomed") as run:
        for step in range(500):
            run.log({"train/loss": 2.0 / (1 + step)}, step=step)
        page.goto(f"{service.dashboard}/run?id={run.id}")
        until(page, DRAWN)
        until(page, drawn_to(499))
        box = page.locator(".lm-plot .nsewdrag").first.bounding_box()
        assert box
        page.mouse.move(box["x"] + 200, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 400, box["y"] + 200, steps=5)
        page.mouse.up()
        until(page, "document.querySelector('.lm-plot').layout.xaxis.autorange === false")
        before = page.evaluate("document.querySelector('.lm-plot').layout.xaxis.range")

        run.log({"train/loss": 0.01}, step=600)

        until(page, drawn_to(600))
        after = page.evaluate("document.querySelector('.lm-plot').layout.xaxis.range")
        assert after == pytest.approx(before)  # the address keeps ten digits


LAYOUT = "document.querySelector('.lm-plot').layout"


@pytest.mark.slow
def test_a_drag_fits_the_loss_axis_and_stands_in_the_address(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/run?id=overfits&scale=linear")
    until(page, DRAWN)
    box = page.locator(".lm-plot .nsewdrag").first.bounding_box()
    assert box
    high = page.evaluate(f"{LAYOUT}.yaxis.range[1]")
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 61, steps=5)
    page.mouse.up()
    until(page, f"{LAYOUT}.xaxis.autorange === false && {LAYOUT}.yaxis.range[1] < {high} - 0.5")
    page.wait_for_url(re.compile("zoom="))
    left, right = page.evaluate(f"{LAYOUT}.xaxis.range")

    page.reload()

    until(page, DRAWN)
    until(page, f"Math.abs({LAYOUT}.xaxis.range[0] - {left}) < 1 && Math.abs({LAYOUT}.xaxis.range[1] - {right}) < 1")
    until(page, f"{LAYOUT}.yaxis.range[1] < {high} - 0.5")
    page.mouse.dblclick(box["x"] + 200, box["y"] + 80)
    until(page, f"{LAYOUT}.xaxis.range[0] <= 0")
    until(page, "!location.search.includes('zoom=')")


@pytest.mark.slow
def test_a_fitted_axis_shows_nothing_below_zero_of_a_loss_that_never_is(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/run?id=overfits&scale=linear&smooth=0&zoom=1000,2000")
    until(page, DRAWN)
    until(page, f"{LAYOUT}.yaxis.range[1] < 1.5")
    assert page.evaluate(f"{LAYOUT}.yaxis.range[0]") == 0


@pytest.mark.slow
def test_outliers_can_be_ignored_and_are_counted(service: Service, page: Page) -> None:
    with service.run("spiky") as run:
        for step in range(400):
            run.log({"train/loss": 500.0 if step == 200 else 1.0 + step / 1000}, step=step)
    page.goto(f"{service.dashboard}/run?id={run.id}&scale=linear&smooth=0")
    until(page, DRAWN)
    until(page, f"{LAYOUT}.yaxis.range[1] > 400")
    page.get_by_text("Ignore outliers").click()
    until(page, f"{LAYOUT}.yaxis.range[1] < 2")
    expect(page.locator(".lm-clipped")).to_have_text("1 clipped")


def test_filters_are_in_the_address_and_the_back_button_restores_them(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/runs?verdict=overfitting&sort=name")
    expect(page.get_by_test_id("run-row")).to_have_count(1)
    page.get_by_role("link", name="overfits").click()
    expect(page.get_by_test_id("run-name")).to_have_text("overfits")

    page.go_back()

    expect(page.get_by_test_id("run-row")).to_have_count(1)
    assert parse_qs(urlparse(page.url).query) == {"verdict": ["overfitting"], "sort": ["name"]}


@pytest.mark.parametrize(
    ("path", "ready"),
    some([("/runs?sort=name", "[data-testid=run-row]"), ("/alerts?tab=resolved", ".lm-alerts"),
          ("/run?id=overfits&tab=Series", ".lm-stack"),
          ("/run?id=overfits&tab=Checkpoints", ".lm-stack")], every=4),
)  # fmt: skip
def test_nothing_needs_sideways_scrolling_on_a_phone(service: Service, page: Page, path: str, ready: str) -> None:
    page.set_viewport_size({"width": 390, "height": 900})

    page.goto(f"{service.dashboard}{path}")

    page.locator(ready).first.wait_for()
    parts = "[...document.querySelectorAll('.lm-scroll, .stMain, body')]"
    until(page, f"{parts}.every((e) => e.scrollWidth <= e.clientWidth + 1)")  # styles may come after the rows


def test_on_a_phone_the_chart_comes_before_its_controls_and_the_first_run_is_on_the_screen(
    service: Service, page: Page
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{service.dashboard}/run?id=overfits")
    until(page, DRAWN)
    until(page, "document.querySelector('.lm-plot').getBoundingClientRect().top < 330")  # once the style sheet is there
    chart, slider = page.locator(".lm-plot").first, page.get_by_text("Smoothing")
    chart_box, slider_box = chart.bounding_box(), slider.bounding_box()
    assert chart_box and slider_box and chart_box["y"] < 330 and chart_box["y"] < slider_box["y"]
    page.goto(f"{service.dashboard}/runs?sort=name")
    row = page.get_by_test_id("run-row").first
    expect(row).to_be_visible(timeout=60_000)
    row_box = row.bounding_box()
    assert row_box and row_box["y"] < 330


def test_every_page_opens_names_its_tab_asks_for_what_is_there_and_does_not_show_streamlit(
    service: Service, page: Page
) -> None:
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    for path, title in (
        ("/", "Attention"),
        ("/runs", "Runs"),
        ("/compare", "Compare"),
        ("/alerts", "Alerts"),
        ("/losses", "Losses"),
        ("/rules", "Rules"),
        ("/settings", "Settings"),
        ("/run?id=learns", "learns"),
    ):
        page.goto(f"{service.dashboard}{path}")
        expect(page).to_have_title(f"{title} · monitor", timeout=60_000)
        expect(page.locator(".lm h1").first).to_be_visible(timeout=60_000)
    assert refused == []
    expect(page.get_by_test_id("stStatusWidget")).to_be_hidden()
    page.get_by_test_id("stMainMenuButton").click()
    expect(page.get_by_test_id("stMainMenuList")).to_be_visible()
    expect(page.get_by_text("Made with")).to_be_hidden()


def test_picked_runs_are_compared(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/runs?sort=name")
    for name in ("learns", "overfits"):
        page.get_by_role("checkbox", name=f"pick {name} to compare").check()
    expect(page.get_by_test_id("compare-bar")).to_contain_text("2 runs picked")

    page.get_by_test_id("compare-bar").get_by_role("link", name="Compare").click()

    until(page, DRAWN)
    expect(page.locator(".lm-plot .legendtext")).to_have_text(["learns", "overfits"])
    expect(page.get_by_role("row").filter(has_text="width")).to_contain_text("512")


@pytest.mark.slow
def test_runs_are_compared_by_groups_and_by_several_metrics(service: Service, page: Page) -> None:
    runs = 'query=name in ("learns", "overfits")'
    for rest in ("by=config.width", "metric=training loss&metric=validation loss"):
        page.goto(f"{service.dashboard}/compare?{runs}&{rest}")
        expect(page.locator(".lm-panels[data-drawn=yes] .lm-box svg path").first).to_be_visible()
        expect(page.get_by_text("This page failed")).to_have_count(0)


@pytest.mark.slow
def test_what_a_tab_says_stands_above_the_chart_and_the_chart_keeps_how_it_is_looked_at(
    service: Service, page: Page
) -> None:
    def chart_is_above(selector: str) -> bool:
        chart, other = page.locator(".lm-plot").first.bounding_box(), page.locator(selector).first.bounding_box()
        assert chart and other
        return chart["y"] < other["y"]

    page.goto(f"{service.dashboard}/run?id=overfits&scale=linear&zoom=100,900")
    until(page, DRAWN)
    page.locator(".lm-grid").first.wait_for()
    assert chart_is_above(".lm-grid")
    page.get_by_role("radio", name="Series").click()
    page.locator("[data-testid=unmapped], .lm-stack").first.wait_for()
    until(page, DRAWN)
    assert not chart_is_above(".lm-stack")
    until(page, f"Math.abs({LAYOUT}.xaxis.range[1] - 900) < 1")
    assert parse_qs(urlparse(page.url).query)["scale"] == ["linear"]


def test_a_stop_asked_for_on_the_page_reaches_the_loop(service: Service, page: Page) -> None:
    with service.run("to-be-stopped") as run:
        run.log({"train/loss": 1.0}, step=0)
        page.goto(f"{service.dashboard}/run?id={run.id}")
        page.get_by_role("button", name="Ask to stop").click()
        page.get_by_role("button", name="Ask it to stop").click()
        expect(page.get_by_test_id("asked")).to_contain_text("by dashboard")
        deadline = time.monotonic() + 60
        step = 0
        while not run.should_stop() and time.monotonic() < deadline:
            step += 1
            run.log({"train/loss": 1.0}, step=step)
            page.wait_for_timeout(100)
        assert run.should_stop()


def test_a_name_with_markup_in_it_is_shown_as_written(service: Service, page: Page) -> None:
    name = "<img src=x onerror=document.title='owned'> & *co*"
    with service.run(name, tags={"<b>": "</td><script>1</script>"}) as run:
        run.log({"train/loss": 1.0, "<i>odd</i>": 2.0}, step=0)
        page.goto(f"{service.dashboard}/run?id={run.id}&tab=Notes")
        expect(page.get_by_test_id("run-name")).to_have_text(name)
        expect(page.get_by_role("cell", name="</td><script>1</script>")).to_be_visible()
    assert page.title() != "owned"


@pytest.mark.slow
def test_a_hundred_runs_are_compared_and_no_name_is_a_link_in_the_chart(service: Service, page: Page) -> None:
    name = '<a href="http://evil.example">x</a> \u202eevil'
    ids = []
    for i in range(100):
        with service.run(name if i == 0 else f"many-{i}", config={"seed": i}, shipper="thread") as run:
            run.log({"train/loss": 1.0 + i}, step=0)
            run.log({"train/loss": 0.5 + i}, step=1)
            ids.append(run.id)

    page.goto(f"{service.dashboard}/compare?" + "&".join(f"run={ref}" for ref in ids))

    until(page, DRAWN, 60)
    until(page, "new Set(document.querySelector('.lm-plot')._fullData.map((t) => t.name)).size === 100", 60)
    expect(page.locator(".lm-plot .legendtext").first).to_have_text('<a href="http://ev…mple">x</a> \\u202eevil')
    assert page.locator(".lm-plot a[href*=evil]").count() == 0
    expect(page.locator("svg.lm-swatch")).to_have_count(100)
    page.get_by_text("Choose runs").first.click()
    page.get_by_placeholder("Find runs").fill("overfits")
    page.get_by_placeholder("Find runs").press("Enter")
    page.get_by_role("button", name="Add 1 run").click()
    expect(page.locator("svg.lm-swatch")).to_have_count(101, timeout=60_000)
