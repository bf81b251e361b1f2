"""Labels of a chart never cover each other, whatever stands where."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from .conftest import Service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SCRIPT = Path(__file__).parents[2] / "dashboard" / "assets" / "labels.js"
FRAME = {"left": 50, "right": 600, "top": 40, "bottom": 400}
whole = st.integers
labels = st.lists(
    st.fixed_dictionaries(
        {"left": whole(-100, 700), "top": whole(-50, 450), "width": whole(1, 300), "height": whole(1, 30)}
        | {"fixed": st.booleans(), "frame": st.just(FRAME)}
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def script(chromium: Browser) -> Iterator[Page]:
    """A page that has the script as `labels`."""
    page = chromium.new_page()
    code = base64.b64encode(SCRIPT.read_bytes()).decode()
    page.evaluate(f"import('data:text/javascript;base64,{code}').then((found) => {{ window.labels = found; }})")
    yield page
    page.close()


@given(labels)
@settings(max_examples=200, deadline=None)
def test_no_label_covers_another_or_leaves_its_frame(script: Page, given: list[dict[str, Any]]) -> None:
    moves = script.evaluate("(given) => labels.laid(given)", given)

    placed: list[tuple[float, float, float, float]] = []
    for label, move in zip(given, moves, strict=True):
        if move is None:
            continue
        assert not label["fixed"] or move == {"dx": 0, "dy": 0}
        left, top = label["left"] + move["dx"], label["top"] + move["dy"]
        box = (left, top, left + label["width"], top + label["height"])
        assert FRAME["left"] <= box[0] and box[2] <= FRAME["right"]
        assert FRAME["top"] <= box[1] and box[3] <= FRAME["bottom"]
        for other in placed:
            assert box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1]
        placed.append(box)


@given(labels)
@settings(max_examples=100, deadline=None)
def test_labels_that_fit_below_each_other_are_all_shown(script: Page, given: list[dict[str, Any]]) -> None:
    free = [label | {"fixed": False, "height": 15, "width": 300} for label in given]
    assert None not in script.evaluate("(given) => labels.laid(given)", free)


COVERED = """() => {
    const boxes = [...document.querySelectorAll(".lm-plot .annotation")]
        .filter((each) => each.style.visibility !== "hidden").map((each) => each.getBoundingClientRect());
    return boxes.filter((a, i) => boxes.some((b, j) => j < i && a.left < b.right - 0.5 && b.left < a.right - 0.5
        && a.top < b.bottom - 0.5 && b.top < a.bottom - 0.5)).length;
}"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1400])
def test_the_labels_of_a_run_that_has_only_a_goal_do_not_cover_each_other(
    service: Service, page: Page, width: int
) -> None:
    with service.run(f"goal-{width}", goal="accuracy") as run:
        for step in range(400):
            run.log({"accuracy": min(step, 120) / 200 - max(0, step - 200) / 2000}, step=step)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{service.dashboard}/run?id={run.id}")
    page.locator(".lm-plot .annotation").first.wait_for(state="attached", timeout=60_000)
    page.wait_for_timeout(500)
    assert page.locator(".lm-plot .annotation").count() > 1
    assert page.evaluate(COVERED) == 0


@pytest.mark.slow
def test_the_keyboard_saves_a_chart_as_a_picture(service: Service, page: Page) -> None:
    page.goto(f"{service.dashboard}/run?id=overfits")
    button = page.get_by_role("button", name="Download as SVG").first
    button.wait_for(state="attached")
    button.focus()
    page.wait_for_function("getComputedStyle(document.activeElement.closest('.modebar')).opacity === '1'")
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert saved.value.suggested_filename == "chart.svg"
