from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import words
from monitor.domain import formats
from monitor.rules import RulesConfig


def test_the_list_colours_a_verdict_as_its_rule_is_severe_by_default() -> None:
    settings = RulesConfig().settings
    good = {"convergence": "good", "improving": "good"}
    assert {name: words.severity_of(name) for name in settings} == {
        n: str(s.severity) for n, s in settings.items()
    } | good


@given(st.floats(-1e300, 1e300) | st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_number_says_about_what_it_is(value: float) -> None:
    said = formats.number(value)
    read = float(said.replace(",", ""))
    if math.isnan(value):
        assert said == "NaN"
    else:
        assert read == pytest.approx(value, rel=1e-3)


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_longer_time_is_never_said_to_be_a_negative_or_an_empty_one(ms: int, more: int) -> None:
    assert formats.duration(ms)[0].isdigit()
    assert formats.ago(ms, ms + more) == "just now" or formats.ago(ms, ms + more)[0].isdigit()
