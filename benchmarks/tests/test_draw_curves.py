"""The pictures of the rules are those of the traces in the tests, and every one is in the docs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from math import inf, nan

import numpy as np
import pytest

from benchmarks.curve_svg import Line, Mark, Panel, svg
from benchmarks.draw_curves import RULES, rule_picture
from monitor.rules import RULE_NAMES

NUMBER = re.compile(r"-?\d+\.\d")


@pytest.mark.parametrize("rule", RULE_NAMES)
def test_the_picture_of_a_rule_is_what_its_traces_draw_now(rule: str) -> None:
    kept, drawn = (RULES / f"{rule}.svg").read_text(encoding="utf-8"), rule_picture(rule)
    again = "run `python benchmarks/draw_curves.py`"
    assert NUMBER.sub("", kept) == NUMBER.sub("", drawn), again
    # A tenth of a pixel is left to the exponential function of another machine.
    pairs = zip(NUMBER.findall(kept), NUMBER.findall(drawn), strict=True)
    assert max(abs(float(a) - float(b)) for a, b in pairs) <= 0.11, again


def test_every_picture_is_on_its_page_and_every_page_has_its_pictures() -> None:
    page = (RULES.parent / "rules.md").read_text(encoding="utf-8")
    sections = re.split(r"^## `", page, flags=re.M)[1:]
    assert [re.findall(r"\]\(rules/(\w+)\.svg\)", section) for section in sections] == [[name] for name in RULE_NAMES]
    assert {path.stem for path in RULES.glob("*.svg")} == set(RULE_NAMES)


def test_a_picture_of_any_curve_stays_inside_its_frame_and_marks_what_is_not_finite() -> None:
    rows = np.array([[0, 1e-30], [1, nan], [2, 1e31], [3, inf], [4, -5.0], [900, 2.0]])
    text = svg(
        (Panel(title="<odd> & \"so\"", lines=(Line(name="train", rows=rows, colour=0),),
               marks=(Mark(step=-7, kind="due", label="before"), Mark(step=1e9, kind="fire", label="after"))),), 'a "b"'
    )  # fmt: skip
    root = ET.fromstring(text)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    xs = [float(v) for v in re.findall(r'\b(?:x|x1|x2|cx)="(-?[\d.]+)"', text)]
    assert xs and min(xs) >= 0 and max(xs) <= width and height > 0
    assert text.count('class="x"') == 1  # both crosses are one pixel apart: one is drawn


def test_a_long_curve_keeps_its_extremes_in_few_points() -> None:
    values = np.zeros(100_000)
    values[[777, 50_123]] = 9.0, -9.0
    rows = np.column_stack([np.arange(100_000.0), values])
    text = svg((Panel(title="long", lines=(Line(name="train", rows=rows, colour=0),)),), "long")
    points = re.search(r'points="([^"]*)"', text)
    assert points is not None
    places = [tuple(map(float, p.split(","))) for p in points[1].split()]
    assert len(places) < 400 and all(a[0] <= b[0] for a, b in pairwise(places))
    heights = [y for _, y in places]
    assert (max(heights) - min(heights)) > 100
