"""The one picture of a curve, for messages and for agents."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from monitor.insight.picture import HEIGHT, WIDTH, Line, draw


def test_a_picture_has_the_curves_and_marks_the_onset_and_the_best_step() -> None:
    x = np.arange(100.0)
    data = draw("a run", [Line("train", x, 1 / (1 + x)), Line("val", x, 1 + x)], onset=50, best=20)
    assert data is not None
    colours = [colour for _, colour in Image.open(io.BytesIO(data)).convert("RGB").getcolors(1_000_000)]
    for wanted in ((9, 105, 218), (188, 76, 0), (179, 38, 30), (26, 127, 55)):
        assert min(sum(abs(a - b) for a, b in zip(colour, wanted, strict=True)) for colour in colours) < 60


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(max_size=60),
    points=st.lists(st.tuples(st.floats(), st.floats()), min_size=2, max_size=30),
    mark=st.none() | st.floats(),
)
def test_any_name_and_any_values_are_drawn_or_there_is_nothing_to_draw(
    text: str, points: list[tuple[float, float]], mark: float | None
) -> None:
    x, y = np.array(points).T
    data = draw(text, [Line(text, x, y)], onset=mark, best=mark)
    if data is None:
        assert (np.isfinite(x) & np.isfinite(y)).sum() < 2
    else:
        assert Image.open(io.BytesIO(data)).size == (WIDTH, HEIGHT)
