"""No click is lost while the page refreshes, on a busy machine either."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from .conftest import Service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

BUSY = "while True: sum(range(10_000))"


@contextmanager
def load(processes: int) -> Iterator[None]:
    """So many processes that do nothing but keep a core busy."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def stops(service: Service, page: Page, times: int) -> int:
    """Ask that many live runs to stop, each with its two clicks; how many were taken."""
    taken = 0
    for i in range(times):
        with service.run(f"asked-{times}-{i}") as run:
            run.log({"train/loss": 1.0}, step=0)
            page.goto(f"{service.dashboard}/run?id={run.id}")
            page.get_by_role("button", name="Ask to stop").click()
            page.get_by_label("Who asks").fill(f"reader {i}")
            page.wait_for_timeout(137 * i % 1000)  # at any moment of the refresh, which comes once a second
            page.get_by_role("button", name="Ask it to stop").click()
            expect(page.get_by_test_id("asked")).to_contain_text(f"by reader {i}")
            with service.reader() as api:
                taken += api.run(run.id).info.stop_requested == f"reader {i}"
    return taken


@pytest.mark.slow
def test_a_confirmed_stop_is_taken_at_any_moment_of_the_refresh(service: Service, page: Page) -> None:
    assert stops(service, page, 2) == 2


@pytest.mark.slow
def test_twenty_stops_of_twenty_are_taken_on_a_busy_machine(service: Service, page: Page) -> None:
    with load(3):
        assert stops(service, page, 20) == 20


@pytest.mark.slow
def test_the_stop_says_that_it_waits_and_why_it_was_not_taken(service: Service, page: Page) -> None:
    with service.run("not-taken") as run:
        run.log({"train/loss": 1.0}, step=0)
        page.goto(f"{service.dashboard}/run?id={run.id}")
        page.get_by_role("button", name="Ask to stop").click()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Ask it to stop")).to_be_hidden()
        page.get_by_role("button", name="Ask to stop").click()
        expect(page.get_by_label("Who asks")).to_be_focused()
        page.get_by_label("Who asks").fill("a\x1b[31m\u202eb")
        page.wait_for_timeout(2500)  # two refreshes leave what was typed and the panel alone
        expect(page.get_by_label("Who asks")).not_to_have_value("dashboard")
        page.get_by_label("Who asks").press("Enter")
        expect(page.get_by_test_id("asked")).to_contain_text("\\u202eb")


def ticks(service: Service, page: Page, names: list[str], pause_ms: int) -> None:
    page.goto(f"{service.dashboard}/runs?sort=name")
    for name in names:
        page.get_by_role("checkbox", name=f"pick {name} to compare").check()
        page.wait_for_timeout(pause_ms)
    for name in names:
        expect(page.get_by_role("checkbox", name=f"pick {name} to compare")).to_be_checked()
    expect(page.get_by_test_id("compare-bar")).to_contain_text(f"{len(names)} runs picked")
    page.wait_for_timeout(2500)
    for name in names:
        expect(page.get_by_role("checkbox", name=f"pick {name} to compare")).to_be_checked()


NAMES = ["learns", "overfits", "diverges"]


def test_quick_ticks_are_all_kept_and_compared(service: Service, page: Page) -> None:
    ticks(service, page, NAMES, 30)
    # In the same moment: the page is left before Python can have heard of the tick.
    page.get_by_role("checkbox", name="pick diverges to compare").evaluate("""box => {
        const links = [...document.querySelectorAll("[data-testid=compare-bar] a")];
        const compare = links.find((link) => link.textContent === "Compare");
        box.click();
        setTimeout(() => compare.click());
    }""")
    expect(page.locator(".lm-plot .legendtext")).to_have_text(["learns", "overfits"])
    page.go_back()
    expect(page.get_by_test_id("compare-bar")).to_contain_text("2 runs picked")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_test_id("compare-bar")).to_have_count(0)
    expect(page.get_by_role("checkbox", name="pick learns to compare")).not_to_be_checked()


@pytest.mark.slow
def test_ticks_are_kept_on_a_busy_machine(service: Service, page: Page) -> None:
    with load(3):
        for _ in range(5):
            ticks(service, page, NAMES, 100)


def test_a_click_on_a_column_sorts_at_once_and_stays(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/runs")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("columnheader", name="Run ↑")).to_be_visible()
    page.get_by_role("button", name="Run ↑").click()
    expect(page.get_by_role("columnheader", name="Run ↓")).to_be_visible()
    assert "sort=-name" in page.url


@pytest.mark.slow
def test_a_click_is_one_run_of_the_pages_script(service: Service, page: Page) -> None:
    """The fewest of three clicks count: between them, the page may be redrawn because the store has changed."""
    sent: list[object] = []

    def note(frame: object) -> None:  # Playwright sets an attribute on it
        sent.append(frame)

    page.on("websocket", lambda socket: socket.on("framesent", note))
    page.goto(f"{service.dashboard}/runs?sort=name")
    box = page.get_by_role("checkbox", name="pick learns to compare")
    box.wait_for()
    page.wait_for_timeout(1000)  # a second run has no event to await, here and below
    ticks = []
    for bars in (1, 0, 1):
        sent.clear()
        box.click()
        expect(page.get_by_test_id("compare-bar")).to_have_count(bars)
        page.wait_for_timeout(700)
        ticks.append(len(sent))
    assert min(ticks) == 1, ticks
    stops = []
    for number in range(3):
        with service.run(f"one-click-{number}") as run:
            run.log({"train/loss": 1.0}, step=0)
            page.goto(f"{service.dashboard}/run?id={run.id}")
            page.get_by_role("button", name="Ask to stop").click()
            page.wait_for_timeout(1000)
            sent.clear()
            page.get_by_role("button", name="Ask it to stop").click()
            expect(page.get_by_test_id("asked")).to_be_visible()
            stops.append(len(sent))
    assert min(stops) == 1, stops


@pytest.mark.slow
def test_after_a_stop_was_withdrawn_one_click_opens_its_form_again(service: Service, page: Page) -> None:
    with service.run("asked-twice") as run, service.reader() as api:
        run.log({"train/loss": 1.0}, step=0)
        page.goto(f"{service.dashboard}/run?id={run.id}")
        page.get_by_role("button", name="Ask to stop").click()
        page.get_by_role("button", name="Ask it to stop").click()
        expect(page.get_by_test_id("asked")).to_be_visible()
        api.run(run.id).withdraw_stop("ada")
        page.get_by_role("button", name="Ask to stop").click()
        expect(page.get_by_label("Who asks")).to_be_visible()
