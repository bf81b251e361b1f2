"""axe-core finds nothing serious on any page, in light and dark and at the width of a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from .conftest import Service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PAGES = (
    ("/", "[data-testid=fleet]"),
    ("/runs", "[data-testid=run-row]"),
    ("/run?id=overfits", ".lm-plot[data-drawn=yes]"),
    ("/run?id=overfits&tab=Findings", "[data-testid=finding]"),
    ("/run?id=overfits&tab=Charts", ".lm-grid"),
    ("/compare?run=overfits&run=learns", ".lm-plot[data-drawn=yes]"),
    ("/losses", ".lm-card, .lm-facts, .lm-table"),
    ("/alerts?tab=resolved", "[data-testid=alert]"),
    ("/settings", ".lm h2"),
)
OURS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
SERIOUS = ("serious", "critical")


@pytest.fixture(
    params=[
        pytest.param(("light", 1440), id="light"),
        pytest.param(("dark", 390), id="dark on a phone", marks=pytest.mark.slow),
    ]
)
def reader(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """A page in one colour mode and width."""
    mode, width = request.param
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=mode, timezone_id="UTC", reduced_motion="reduce"
    )
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(
    "pages", [pytest.param(PAGES[:3], id="main"), pytest.param(PAGES[3:], id="others", marks=pytest.mark.slow)]
)
def test_no_page_has_a_serious_finding(service: Service, reader: Page, pages: tuple[tuple[str, str], ...]) -> None:
    found = []
    for path, ready in pages:
        reader.goto(f"{service.dashboard}{path}")
        reader.locator(ready).first.wait_for(timeout=60_000, state="attached")
        for violation in Axe().run(reader, options=OURS).response["violations"]:
            if violation["impact"] in SERIOUS:
                places = [(node["target"], node["failureSummary"]) for node in violation["nodes"][:3]]
                found.append(f"{path}: {violation['id']} ({violation['impact']}): {places}")
    assert not found, "\n".join(found)
