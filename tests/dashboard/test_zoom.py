"""The zoom of a chart and the address: each follows the other, and no step back is undone."""

from __future__ import annotations

import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as some

from dashboard import plot
from dashboard.address import Written


class Chart:
    """A chart whose browser and address are told by hand."""

    def __init__(self, state: dict[str, object], written: str = "", revision: str = "run step") -> None:
        self.state, self.written, self.revision, self.told = state, written, revision, 0

    def look(self) -> plot.Zoom:
        """One run of the page."""
        found = plot.zoom("chart", self.revision, self.written)
        self.written = found.written
        return found

    def zoom(self, span: list[float] | None) -> plot.Zoom:
        """The reader zooms, and the page runs."""
        self.told += 1
        self.state["chart"] = {"window": {"revision": self.look().revision, "range": span, "n": self.told}}
        return self.look()


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    found: dict[str, object] = {}
    monkeypatch.setattr(st, "session_state", found)
    return found


def test_the_address_follows_the_readers_zoom(state: dict[str, object]) -> None:
    chart = Chart(state)
    assert chart.look().span is None
    assert chart.zoom([900.5, 100.0]).span == (100.0, 900.5)
    assert chart.written == "100,900.5"
    assert chart.look().span == (100.0, 900.5)
    assert chart.zoom(None).span is None
    assert chart.written == ""


def test_a_link_opens_at_its_zoom(state: dict[str, object]) -> None:
    seen = Chart(state, "100,900").look()
    assert (seen.span, seen.asked, seen.written) == ((100.0, 900.0), (100.0, 900.0), "100,900")


def test_a_step_back_is_followed_and_not_undone(state: dict[str, object]) -> None:
    chart = Chart(state)
    before = chart.look().revision
    chart.zoom([1.0, 2.0])
    chart.look()  # the address has caught up
    chart.written = ""  # the reader went back
    seen = chart.look()
    assert (seen.span, seen.written) == (None, "")
    assert seen.revision != before  # or the chart would keep the zoom
    assert chart.look() == seen


def test_a_rerun_that_brings_the_old_address_undoes_no_zoom(state: dict[str, object]) -> None:
    chart = Chart(state)
    chart.look()
    chart.zoom([1.0, 2.0])
    for _ in range(3):
        chart.written = ""  # asked for before the address was written
        assert chart.look().span == (1.0, 2.0)


def test_another_axis_begins_anew_and_another_run_at_what_its_link_says(state: dict[str, object]) -> None:
    chart = Chart(state)
    chart.zoom([1.0, 2.0])
    chart.revision = "run epoch"
    assert (chart.look().span, chart.written) == (None, "")
    chart.revision, chart.written = "other step", "5,6"
    assert chart.look().span == (5.0, 6.0)


@given(some.lists(some.tuples(some.booleans(), some.sampled_from("abc")), max_size=20))
def test_a_choice_follows_the_address_unless_it_brings_what_was_written_over(steps: list[tuple[bool, str]]) -> None:
    known, said = Written("a"), "a"
    for chosen, value in steps:
        if chosen:  # the reader chooses, and the address is written
            known = known.write(value, said=said)
            assert known.read(said) is not None  # it may lag
        else:  # the address says something
            said = value
            heard = known.read(said)
            assert (heard is None) == (said not in (known.value, known.before))
            known = heard or Written(said)
        assert known.read(known.value) == Written(known.value)


@given(some.text(max_size=30))
def test_whatever_the_address_says_is_a_span_or_none(written: str) -> None:
    found = plot.parsed(written)
    assert found is None or found[0] < found[1]
