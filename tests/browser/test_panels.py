"""The panels of a run's page, and what is changed of runs in the browser, driven against a real server."""

from __future__ import annotations

import re
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from .conftest import Service, until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
PANELS = "[...document.querySelectorAll('.lm-panel svg')].length"
WINDOW = "document.querySelector('.lm-panel .lm-box').__place"


@pytest.fixture(scope="module")
def wide(service: Service) -> str:
    """A run of 40 metrics in four sections; one has a spike and a NaN."""
    with service.run("wide", config={"lr": 0.1, "model": {"depth": 3}}, tags={"team": "a"}) as run:
        for step in range(600):
            values = {f"part{i % 4}/m{i}": 1 / (1 + step) + i for i in range(38)}
            values["part0/m0"] = 500.0 if step == 300 else float("nan") if step == 310 else 1.0 + step / 1000
            run.log({**values, "train/loss": 2 / (1 + step), "lr": 0.1 if step < 200 else 0.01}, step=step)
        return run.id


def open_panels(service: Service, page: Page, query: str) -> None:
    page.goto(f"{service.dashboard}/run?{query}")
    page.wait_for_selector(".lm-panels[data-drawn]", timeout=60_000)
    until(page, f"{PANELS} > 0")


def test_every_metric_has_a_panel_and_only_what_comes_near_is_read(service: Service, page: Page, wide: str) -> None:
    open_panels(service, page, f"id={wide}")
    expect(page.locator(".lm-panels .lm-panel")).to_have_count(40)
    assert page.evaluate(PANELS) < 40
    page.locator(".lm-panels .lm-panel").last.scroll_into_view_if_needed()
    until(page, "document.querySelectorAll('.lm-panels .lm-panel')[39].querySelector('svg') !== null")
    page.get_by_label("Find metrics").fill("part2 M1")
    expect(page.locator(".lm-panels .lm-panel")).to_have_count(3)
    page.wait_for_url(re.compile("series=part2"))


@pytest.mark.slow
def test_a_zoom_in_a_panel_is_that_of_all_and_of_the_large_chart(service: Service, page: Page, wide: str) -> None:
    open_panels(service, page, f"id={wide}")
    until(page, "document.querySelector('.lm-plot[data-drawn=yes] .xtick') !== null")
    panel = page.locator(".lm-panel .lm-box").first
    panel.scroll_into_view_if_needed()
    box = panel.bounding_box()
    assert box
    page.mouse.move(box["x"] + 120, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 220, box["y"] + 60, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile("zoom="))
    left = page.evaluate(f"{WINDOW}.left")
    assert left > 0
    until(page, f"Math.abs(document.querySelector('.lm-plot').layout.xaxis.range[0] - {left}) < 2")
    page.reload()
    page.wait_for_selector(".lm-panels[data-drawn]", timeout=60_000)
    until(page, f"{WINDOW} !== undefined && Math.abs({WINDOW}.left - {left}) < 2")
    page.locator(".lm-panel .lm-box").first.press("Escape")
    until(page, "!location.search.includes('zoom=')")


@pytest.mark.slow
def test_a_spike_is_clipped_and_counted_and_a_nan_is_marked(service: Service, page: Page, wide: str) -> None:
    open_panels(service, page, f"id={wide}&outliers=true&smooth=0&series=part0/m0")
    panel = page.locator('.lm-panel[data-key="part0/m0"]')
    expect(panel.locator(".lm-clips")).to_have_text("1 clipped")
    expect(panel.locator(".lm-bad")).to_have_text("×")
    panel.get_by_role("button", name="pin part0/m0").click()
    page.wait_for_url(re.compile("pin=part0"))
    expect(page.locator(".lm-section-head").first).to_contain_text("Pinned")


def test_a_run_is_renamed_noted_tagged_deleted_and_restored(service: Service, page: Page) -> None:
    with service.run("to be edited") as run:
        run.log({"train/loss": 1.0}, step=0)
    page.goto(f"{service.dashboard}/run?id={run.id}&tab=Notes")
    page.get_by_role("button", name="Rename").first.click()
    page.get_by_label("New name").fill("edited <i>now</i>")
    page.get_by_role("button", name="Rename it").click()
    expect(page.get_by_test_id("run-name")).to_have_text("edited <i>now</i>")
    page.get_by_role("button", name="Write a note").click()
    page.get_by_label("note, in Markdown").fill(
        "**bold** <img src=x onerror=alert(1)> ![x](https://evil.example/x.png)"
    )
    page.get_by_role("button", name="Save the note").click()
    expect(page.get_by_test_id("note").locator("strong")).to_have_text("bold")
    assert page.locator(".lm-note img").count() == 0
    page.get_by_label("name of the new tag").fill("team")
    page.get_by_label("value of the new tag").fill("vision")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_test_id("tag")).to_contain_text("vision")
    page.get_by_role("button", name="remove the tag team").click()
    expect(page.get_by_test_id("tag")).to_have_count(0)
    with service.reader() as api:
        seen = api.snapshot(run.id)
    assert seen.info.name == "edited <i>now</i>" and seen.note.startswith("**bold**") and not seen.info.tags
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_test_id("deleted")).to_be_visible()
    page.get_by_role("button", name="Restore it").click()
    expect(page.get_by_test_id("run-name")).to_be_visible()


def test_the_points_of_a_run_and_the_list_are_downloaded(service: Service, page: Page, wide: str) -> None:
    page.goto(f"{service.dashboard}/run?id={wide}&tab=Download")
    with page.expect_download() as loading:
        page.get_by_role("link", name="CSV").click()
    lines = Path(loading.value.path()).read_text().splitlines()
    assert lines[0] == "run_id,run,key,step,value,time_ms,epoch" and len(lines) == 1 + 40 * 600
    assert loading.value.suggested_filename == f"wide-{wide[:8]}.csv"
    answer = httpx.get(f"{service.dashboard}/download/runs.csv", params={"q": "wide", "cols": "config.model.depth"})
    assert answer.text.splitlines()[1].startswith(wide) and answer.text.splitlines()[1].endswith(",3")
    assert httpx.get(f"{service.dashboard}/download/{'f' * 32}.csv").status_code == 404


@pytest.mark.slow
def test_columns_and_groups_are_in_the_address(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/runs?cols=status&cols=config.width&sort=-config.width&q=config.width%20%3E%200")
    expect(page.get_by_test_id("run-row")).to_have_count(3)
    expect(page.get_by_test_id("run-row").first).to_contain_text("512")
    expect(page.get_by_role("columnheader", name="width")).to_have_attribute("aria-sort", "descending")
    page.goto(f"{service.dashboard}/runs?by=config.width&q=config.width%20%3E%200")
    row = page.get_by_role("row").filter(has_text="128")
    expect(row).to_contain_text("±")
    row.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(page.get_by_role("heading", name="Results")).to_be_visible(timeout=60_000)


@pytest.mark.slow
def test_picked_runs_are_tagged_deleted_and_taken_back_and_a_view_is_saved(service: Service, page: Page) -> None:
    for i in range(3):
        with service.run(f"bulk-{i}") as run:
            run.log({"train/loss": 1.0}, step=0)
    page.goto(f"{service.dashboard}/runs?q=bulk-")
    expect(page.get_by_test_id("run-row")).to_have_count(3)
    page.get_by_role("checkbox", name="pick bulk-0 to compare").check()
    page.get_by_role("button", name="Pick all 3").click()
    expect(page.get_by_test_id("compare-bar")).to_contain_text("3 runs picked")
    page.get_by_role("button", name="Tag", exact=True).click()
    page.get_by_label("name of the tag").fill("batch")
    page.get_by_label("value of the tag").fill("one")
    page.get_by_role("button", name="Tag 3 runs").click()
    expect(page.get_by_role("button", name="Tag 3 runs")).to_be_hidden()
    with service.reader() as api:
        deadline = time.monotonic() + 60
        while len(api.runs('tags.batch = "one"')) < 3:
            assert time.monotonic() < deadline
            page.wait_for_timeout(100)
    expect(page.get_by_test_id("bulk-done")).to_have_text("3 runs tagged batch=one.")
    page.get_by_role("button", name="Ask to stop").click()
    expect(page.get_by_test_id("bulk-done")).to_have_text("3 runs had ended already.")
    page.get_by_role("checkbox", name="pick bulk-0 to compare").check()
    with page.expect_download() as taken:
        page.get_by_role("link", name="Export picked").click()
    rows = taken.value.path().read_text().splitlines()
    assert len(rows) == 2 and "bulk-0" in rows[1]
    page.get_by_role("button", name="Pick all 3").click()
    expect(page.get_by_test_id("compare-bar")).to_contain_text("3 runs picked")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete 3 runs").click()
    expect(page.get_by_test_id("bulk-done")).to_contain_text("3 runs deleted.")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_test_id("run-row")).to_have_count(3)
    expect(page.get_by_test_id("bulk-done")).to_have_text("3 runs restored.")
    page.get_by_role("button", name="Views").click()
    page.get_by_label("name of this view").fill("bulk ones")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="bulk ones")).to_be_visible()
    page.goto(f"{service.dashboard}/runs")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("link", name="bulk ones").click()
    expect(page.get_by_test_id("run-row")).to_have_count(3)


def test_an_address_that_no_page_has_is_answered_with_a_page_of_ours(service: Service, page: Page) -> None:
    answer = page.goto(f"{service.dashboard}/nowhere")
    assert answer is not None and answer.status == 404
    expect(page.get_by_role("heading")).to_have_text("There is no such page")
    expect(page).to_have_title("Not found · monitor")
    page.get_by_role("link").click()
    expect(page.get_by_test_id("fleet")).to_be_visible()


@pytest.mark.slow
def test_all_deleted_runs_that_the_filters_leave_are_restored_by_one_click(service: Service, page: Page) -> None:
    with service.reader() as api:
        for i in range(3):
            with service.run(f"gone-{i}") as run:
                run.log({"train/loss": 1.0}, step=0)
            api.delete(run.id)
    page.goto(f"{service.dashboard}/runs?status=deleted&q=nothing-like-it")
    expect(page.get_by_text("No deleted run matches these filters.")).to_be_visible()
    page.goto(f"{service.dashboard}/runs?status=deleted&q=gone-&project=browser")
    page.get_by_role("button", name="Restore all 3 runs").click()
    expect(page.get_by_text("No deleted run")).to_be_visible()
    with service.reader() as api:
        assert len(api.runs(search="gone-")) == 3


@pytest.mark.slow
def test_groups_and_results_are_sorted_by_a_click_and_the_address_keeps_it(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/runs?by=config.width&q=config.width%20%3E%200")
    page.get_by_role("button", name="runs", exact=True).click()
    page.get_by_role("button", name="runs ↑").click()
    page.wait_for_url(re.compile("rank=-runs"))
    expect(page.get_by_role("columnheader", name="runs")).to_have_attribute("aria-sort", "descending")
    page.goto(f"{service.dashboard}/compare?run=overfits&run=learns&rank=Run")
    first = page.locator(".lm-table").first.locator("tbody tr").first
    expect(first).to_contain_text("learns")
    page.get_by_role("button", name="Run ↑").click()
    expect(first).to_contain_text("overfits")


@pytest.mark.slow
def test_every_metric_of_every_kind_of_run_can_be_a_column(service: Service, page: Page) -> None:
    with service.run("one kind", group="kind-one") as run:
        run.log({"only_here/first": 1.0}, step=0)
    with service.run("other kind", group="kind-other") as run:
        run.log({"only_here/second": 1.0}, step=0)
    with service.run("logs nothing"):
        pass
    page.goto(f"{service.dashboard}/runs")
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("combobox", name="Columns").fill("only_here")
    for name in ("only_here/first max", "only_here/second max"):
        expect(page.get_by_role("option", name=name)).to_be_visible()


@pytest.mark.slow
def test_a_column_is_moved_by_dragging_its_title_and_with_the_keyboard(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/runs?sort=name&cols=status&cols=verdict&cols=last_step")
    titles = page.locator(".lm-runs thead th")
    expect(titles).to_contain_text(["Run", "Status", "Verdict", "Last step"])
    titles.nth(4).drag_to(titles.nth(2))
    expect(titles).to_contain_text(["Run", "Last step", "Status", "Verdict"])
    page.get_by_role("button", name="Last step").press("Shift+ArrowRight")
    expect(titles).to_contain_text(["Run", "Status", "Last step", "Verdict"])
    page.reload()
    expect(titles).to_contain_text(["Run", "Status", "Last step", "Verdict"])
