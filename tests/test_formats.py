"""Lengths of time are read as they are written, wherever somebody may give one."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.domain.formats import ago, duration, number, seconds, step


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(999.94), "999.9"), (number(999.96), "1,000"), (number(-1000.0), "-1,000"), (number(1e7), "1e+07"),
        (number(9_999_999.0), "9,999,999"), (number(999.4, 3), "999"), (number(999.6, 3), "1,000"),
        (number(99.4, 2), "99"), (number(150.2, 2), "150"), (number(0.0, 2), "0"),
        (step(0.001), "0.001"), (step(0.0009), "0.0009"), (step(1e6), "1,000,000"),
        (duration(9_949), "9.9 s"), (duration(9_951), "10 s"), (duration(59_499), "59 s"), (duration(59_501), "1 min"),
        (duration(3_599_999), "59 min 59 s"), (duration(3_600_000), "1 h"), (duration(86_400_000), "1 d"),
        (ago(0, 1_999), "just now"), (ago(0, 2_000), "2 s ago"), (ago(0, 59_999), "59 s ago"),
        (ago(0, 60_000), "1 min ago"), (ago(0, 48 * 3_600_000 - 1), "47 h ago"), (ago(0, 48 * 3_600_000), "2 d ago"),
    ],
)  # fmt: skip
def test_a_number_changes_its_form_at_the_bound_and_not_after_it(shown: str, expected: str) -> None:
    assert shown == expected


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
