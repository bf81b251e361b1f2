"""The pictures of the documentation, taken from the demo's real training runs; made where MONITOR_PICTURES is 1."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from .conftest import addresses, spawn, stop, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(os.environ.get("MONITOR_PICTURES") != "1", reason="MONITOR_PICTURES=1 takes the pictures anew"),
]

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
DRAWN = "[...document.querySelectorAll('.lm-plot')].length > 0 && !document.querySelector('.lm-plot:not([data-drawn])')"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard over the demo's runs, once they have ended."""
    folder = tmp_path_factory.mktemp("demo")
    training = spawn(folder, "demo", "--exit", "--json", "--port", "0", "--dashboard-port", "0")
    output, _ = training.communicate(timeout=300)
    assert training.returncode == 0, output
    server = spawn(folder, "up", "--json", "--port", "0", "--dashboard-port", "0")
    try:
        yield addresses(server)["dashboard"]
    finally:
        stop(server)


@pytest.fixture(params=["light", "dark"])
def picture(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """A page in one colour mode, at the documentation's width."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme=request.param, device_scale_factor=1.5
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


@pytest.mark.parametrize(
    ("name", "path", "ready", "height"),
    [
        ("runs", "/runs", "[data-testid=runs]", 520),
        ("run", "/run?id=overfitting", ".lm-plot[data-drawn]", 1110),
        ("compare", "/compare", "[data-testid=compare-bar]", 900),
    ],
)
def test_take_a_picture(demo: str, picture: Page, name: str, path: str, ready: str, height: int) -> None:
    mode = "dark" if picture.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    picture.set_viewport_size({"width": 1280, "height": height})
    if name == "compare":
        picture.goto(f"{demo}/runs?sort=name")
        for run in ("healthy", "overfitting"):
            picture.get_by_role("checkbox", name=f"pick {run} to compare").check()
        expect(picture.get_by_test_id("compare-bar")).to_contain_text("2 runs picked")
        picture.get_by_test_id("compare-bar").get_by_role("link", name="Compare").click()
    else:
        picture.goto(f"{demo}{path}")
        picture.wait_for_selector(ready)
    if name != "runs":
        until(picture, DRAWN)
    picture.mouse.move(0, 0)
    picture.wait_for_timeout(500)  # fonts and the last transition
    PICTURES.mkdir(parents=True, exist_ok=True)
    taken = Image.open(io.BytesIO(picture.screenshot())).convert("RGB")
    few = taken.quantize(128, dither=Image.Dither.NONE)  # few colours make a file of a third of the size
    few.save(PICTURES / f"{name}-{mode}.png", optimize=True)
