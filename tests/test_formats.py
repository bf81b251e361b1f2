"""Lengths of time are read as they are written, wherever somebody may give one."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.domain.formats import duration, seconds


@given(st.integers(100, 10**12))
@example(9_951)
@example(59_700)
def test_what_is_shown_as_a_length_of_time_is_read_as_one(ms: int) -> None:
    shown = duration(ms)
    read = seconds(shown)
    assert read is not None and duration(1000 * read) == shown


@given(st.text(max_size=12) | st.from_regex(r"[0-9.]{0,3} ?[a-z]{0,3}", fullmatch=True))
def test_any_text_is_a_positive_length_or_none(text: str) -> None:
    read = seconds(text)
    assert read is None or 0 < read < float("inf")


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("30m", 1800), ("2H", 7200), ("1w", 604_800), ("1h30m", 5400)]
)
def test_a_silence_takes_the_same_lengths_from_the_terminal_and_the_dashboard(
    text: str, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard import answers
    from monitor.cli.alerts import _seconds

    given_s: list[float] = []

    class Taken:
        def silence(self, matcher: object, **more: float) -> None:
            given_s.append(more["for_s"])

    monkeypatch.setattr(answers.readings, "api", Taken)
    monkeypatch.setattr(answers, "who", lambda: "ada")
    answers.silence(json.dumps({"project": "p", "for": text}))
    assert [_seconds(text)] == given_s == [expected]
