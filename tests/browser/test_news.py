"""An open page costs nothing while nothing happens."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .conftest import Service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_an_open_page_runs_no_script_while_nothing_changes_and_one_after_a_change(service: Service, page: Page) -> None:
    sent: list[object] = []

    def note(frame: object) -> None:  # Playwright sets an attribute on it
        sent.append(frame)

    page.on("websocket", lambda socket: socket.on("framesent", note))
    with service.run("quiet") as run, service.reader() as api:
        run.log({"train/loss": 1.0}, step=1)
        assert run.flush(60)
        page.goto(f"{service.dashboard}/run?id={run.id}")
        page.locator(".lm-plot[data-drawn=yes]").wait_for()
        for _ in range(20):  # until what belongs to its opening is done, which takes longer on a busy machine
            sent.clear()
            page.wait_for_timeout(2500)
            if not sent:
                break
        page.wait_for_timeout(3000)  # six questions of the browser
        assert not sent
        api.run(run.id).edit(name="renamed")
        expect(page.get_by_test_id("run-name")).to_have_text("renamed")
        assert sent


@pytest.mark.slow
def test_a_page_that_nobody_looks_at_asks_nothing(service: Service, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/news" in request.url else None)
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => Boolean(window.away) })")
    page.goto(service.dashboard)
    page.get_by_test_id("fleet").wait_for()
    with page.expect_request("**/news*"):
        pass
    page.evaluate("window.away = true")
    page.wait_for_timeout(500)
    asked.clear()
    page.wait_for_timeout(4500)
    assert not asked
    with page.expect_request("**/news*"):
        page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.slow
def test_a_change_that_leaves_the_curves_alone_draws_none_of_them_again(service: Service, page: Page) -> None:
    with service.run("redrawn") as run, service.reader() as api:
        for step in range(50):
            run.log({"train/loss": 1.0 / (1 + step), "other/a": float(step), "other/b": 1.0}, step=step)
        page.goto(f"{service.dashboard}/run?id={run.id}")
        page.locator(".lm-plot[data-drawn=yes]").wait_for()
        page.locator(".lm-panel svg").nth(2).wait_for()
        expect(page.get_by_test_id("last-step")).to_have_text("step 49")
        page.wait_for_timeout(1500)
        page.evaluate("""() => {
            const react = window.Plotly.react;
            window.drawn = 0;
            window.Plotly.react = (...all) => { window.drawn += 1; return react(...all); };
            for (const svg of document.querySelectorAll(".lm-panel svg")) svg.dataset.same = "yes";
        }""")
        api.run(run.id).edit(name="redrawn anew")
        expect(page.get_by_test_id("run-name")).to_have_text("redrawn anew")
        page.wait_for_timeout(500)
        assert page.evaluate("window.drawn") == 0
        assert page.locator(".lm-panel svg[data-same=yes]").count() == 3
        run.log({"train/loss": 0.01, "other/a": 50.0}, step=50)
        expect(page.get_by_test_id("last-step")).to_have_text("step 50")
        page.wait_for_function("window.drawn > 0")
        expect(page.locator(".lm-panel svg[data-same=yes]")).to_have_count(1)  # what got no value
