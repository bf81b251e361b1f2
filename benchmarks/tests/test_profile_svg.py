"""The picture of a profile draws each slice, the slope of the first, and the kinks that lie in it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from benchmarks.profile_svg import svg
from monitor.losses import profile

LOSSES = {
    "<absolute>": lambda p, t: np.abs(p - t).mean(),
    "squared": lambda p, t: ((p - t) ** 2).mean(),
    "lopsided": lambda p, t: np.maximum(0.9 * (t - p), -0.1 * (t - p)).mean(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_slices_the_slope_and_the_kinks_are_drawn(name: str) -> None:
    found = profile(LOSSES[name], name=name)
    drawn = ET.fromstring(svg(found))
    lines = [each for each in drawn.iter() if each.tag.endswith("polyline")]
    dots = [each for each in drawn.iter() if each.tag.endswith("circle")]
    assert drawn.attrib["aria-label"] == f"{name}: loss and slope over the error"
    assert len(lines) == len(found.curve) + 1
    assert len(dots) == (0 if name == "squared" else 1)
