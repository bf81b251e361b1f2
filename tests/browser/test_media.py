"""The tab of images, tables and histograms, with what was really logged."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import monitor

from .conftest import Service, until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SIZES = "[...document.querySelectorAll('[data-testid=medium] img')].map((img) => [img.naturalWidth, img.naturalHeight])"


def log_media(run: monitor.Run, steps: int = 3) -> None:
    """Two images, a hostile table and a histogram, at some steps."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:48, 0:64]
    for step in range(0, 100 * steps, 100):
        run.log({"train/loss": 1 / (1 + step)}, step=step)
        wave = np.sin(x / (4 + step / 20)) * np.cos(y / 9) / 2 + 0.5
        run.log_image("samples/wave", np.dstack([wave, wave[::-1], 1 - wave]), caption="<b>not bold</b>")
        rows = [{"input": f"<script>alert({i})</script>", "score": rng.random(), "right": i % 2 == 0, "n": 10**i}
                for i in range(3)]  # fmt: skip
        run.log_table("predictions", rows)
        run.log_histogram("weights/layer0", rng.normal(step / 100, 1, 2000))
    run.log_image("masks/last", x > y)


def test_what_was_logged_is_shown_and_a_slider_goes_back(service: Service, page: Page) -> None:
    with service.run("media") as run:
        log_media(run)
    page.goto(f"{service.dashboard}/run?id={run.id}&tab=Media")
    cards = page.get_by_test_id("medium")
    expect(cards).to_have_count(4)
    until(page, f"JSON.stringify({SIZES}) === '[[64,48],[64,48]]'")
    expect(cards.filter(has_text="samples/wave")).to_contain_text("<b>not bold</b>")
    expect(cards.filter(has_text="predictions")).to_contain_text("<script>alert(0)</script>")
    expect(cards.filter(has_text="weights/layer0")).to_contain_text("step 200")
    assert page.locator("[data-testid=medium] svg rect").count() == 64

    page.get_by_role("slider", name="Step").focus()
    page.keyboard.press("ArrowLeft")
    expect(cards.filter(has_text="weights/layer0")).to_contain_text("step 100")
    expect(cards).to_have_count(3)  # the mask was logged later
    expect(page).to_have_url(re.compile("at=100"))
    page.reload()
    expect(cards.filter(has_text="weights/layer0")).to_contain_text("step 100")


@pytest.mark.slow
def test_a_live_run_shows_the_newest_and_a_run_without_any_says_how(service: Service, page: Page) -> None:
    with service.run("media live") as run:
        run.log({"train/loss": 1.0}, step=0)
        page.goto(f"{service.dashboard}/run?id={run.id}&tab=Media")
        expect(page.get_by_test_id("no-media")).to_contain_text("run.log_image")
        for step in (1, 2):
            run.log_histogram("grads", [1.0, 2.0, 2.5], step=step)
            expect(page.get_by_test_id("medium")).to_contain_text(f"step {step}")


def test_an_image_is_served_as_an_image_alone(service: Service, page: Page) -> None:
    with service.run("media served") as run:
        run.log_image("dot", np.zeros((1, 1)), step=1)
        assert run.flush()
    answer = page.request.get(f"{service.dashboard}/download/{run.id}/media/1")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert page.request.get(f"{service.dashboard}/download/{run.id}/media/2").status == 404
