"""Every page in light and dark, on a wide screen and on a phone: nothing is cut off; where asked, pictures are kept.

`MONITOR_SCREENS=FOLDER pytest tests/browser/test_screens.py` writes them, to be looked at one by one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, ViewportSize

from .conftest import Service

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]

FOLDER = os.environ.get("MONITOR_SCREENS")
PAGES = {
    "attention": "",
    "runs": "runs",
    "groups": "runs?by=config.width",
    "run": "run?id=overfits",
    "findings": "run?id=diverges&tab=Findings",
    "config": "run?id=overfits&tab=Config",
    "environment": "run?id=overfits&tab=Environment",
    "series": "run?id=overfits&tab=Series",
    "events": "run?id=diverges&tab=Events",
    "compare": "compare?query=project%3D%22browser%22",
    "scatter": "compare?query=project%3D%22browser%22&view=Scatter",
    "parallel": "compare?query=project%3D%22browser%22&view=Parallel",
    "importance": "compare?query=project%3D%22browser%22&view=Importance",
    "rules": "rules",
    "trial": "rules?rule=overfitting&overfitting.enabled=false",
    "losses": "losses",
    "alerts": "alerts",
    "channels": "alerts?tab=channels",
    "settings": "settings",
    "missing": "run?id=nothere",
}
SCREENS = {"1440": ViewportSize(width=1440, height=900), "390": ViewportSize(width=390, height=844)}
READY = """
() => document.querySelector('[data-testid=stMain] .lm h1, [data-testid=stMain] .lm .lm-notice') &&
  !document.querySelector('.lm-plot:not([data-drawn]), [data-testid=stSkeleton], [data-testid=stStatusWidget]')
"""
HEIGHT = "Math.max(...[...document.querySelectorAll('[data-testid=stMain], html')].map(found => found.scrollHeight))"
CUT = """
() => [...document.querySelectorAll('button, h1, h2, dt, dd, .lm-chip, .lm-notice')].filter(found => {
  const box = found.getBoundingClientRect()
  const scrolls = found.closest('.lm-scroll, .lm-plot, [role=group], [data-testid=stHorizontalBlock], header')
  return box.width && !scrolls && (box.right > innerWidth + 1 || box.left < -1)
}).map(found => found.textContent.trim().slice(0, 60))
"""


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", SCREENS)
def test_no_page_is_wider_than_its_screen_and_no_control_is_cut_off(
    service: Service, chromium: Browser, width: str, mode: Literal["light", "dark"]
) -> None:
    context = chromium.new_context(viewport=SCREENS[width], color_scheme=mode)
    page = context.new_page()
    try:
        for name, path in PAGES.items():
            page.goto(f"{service.dashboard}/{path}")
            page.wait_for_function(READY, timeout=60_000)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)
            assert page.evaluate(CUT) == [], (name, width)
            if FOLDER:
                height = min(int(page.evaluate(HEIGHT)) + 20, 3000)
                page.set_viewport_size(ViewportSize(width=SCREENS[width]["width"], height=height))
                page.wait_for_timeout(700)  # the charts are drawn for the new height
                page.screenshot(path=Path(FOLDER) / f"{name}-{mode}-{width}.png")
                page.set_viewport_size(SCREENS[width])
    finally:
        context.close()
