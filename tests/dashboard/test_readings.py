"""What is kept of what was read, and when something is made anew."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import streamlit as st

from dashboard import readings
from dashboard.readings import FRESH_S
from monitor.errors import RunNotFound, ServerUnreachable, WireError


class Server:
    """A server whose mark is set by hand."""

    def __init__(self) -> None:
        self.mark = "a"
        self.version = 1
        self.down = self.old = False
        self.reads = self.asked = 0

    def change_mark(self) -> str:
        self.asked += 1
        if self.down:
            raise ServerUnreachable("http://localhost:1", "refused")
        if self.old:
            raise WireError("request", "there is no such address")
        return self.mark

    def run(self, ref: str) -> SimpleNamespace:
        self.reads += 1
        return SimpleNamespace(info=SimpleNamespace(version=f"{ref} {self.version}"))

    def read(self) -> int:
        self.reads += 1
        return self.reads


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server, read by a session of its own, whose mark is asked for every time."""
    found = Server()
    st.cache_resource.clear()
    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(readings, "reader", lambda token: found)
    monkeypatch.setattr(readings.sessions, "token", lambda: None)
    monkeypatch.setattr(readings, "LOOK_S", 0)
    return found


def test_a_value_is_read_again_only_where_the_mark_is_another(server: Server) -> None:
    assert [readings.keep("runs", server.read).value for _ in range(3)] == [1, 1, 1]
    server.mark = "b"
    assert [readings.keep("runs", server.read).value for _ in range(2)] == [2, 2]
    assert readings.keep("others", server.read).value == 3


def test_another_session_gets_what_was_read_and_another_token_does_not(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert readings.keep("runs", server.read).value == 1
    monkeypatch.setattr(st, "session_state", {})
    assert readings.keep("runs", server.read).value == 1
    monkeypatch.setattr(readings.sessions, "token", lambda: "another")
    assert readings.keep("runs", server.read).value == 2


def test_after_a_while_and_with_a_server_that_has_no_mark_a_value_is_read_in_any_case(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "FRESH_S", -1)
    assert [readings.keep("runs", server.read).value for _ in range(2)] == [1, 2]
    monkeypatch.setattr(readings, "FRESH_S", 15)
    server.old = True
    times = iter(range(0, 100_000, 1000))
    monkeypatch.setattr(readings, "now_ms", lambda: next(times))
    assert [readings.keep("runs", server.read).value for _ in range(2)] == [3, 4]


def test_a_value_that_may_depend_on_the_time_is_read_anew_four_times_a_minute(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "FRESH_S", FRESH_S)
    now = [0]
    monkeypatch.setattr(readings, "now_ms", lambda: now[0])
    read = []
    for now[0] in (0, 14_900, 15_100, 30_000, 30_300):
        read.append(readings.keep("runs", server.read).value)
    assert read == [1, 1, 2, 2, 3]


def test_a_value_that_is_equal_to_the_one_before_stays_the_same_object(server: Server) -> None:
    first = readings.keep("runs", lambda: [1.5]).value
    server.mark = "b"
    assert readings.keep("runs", lambda: [1.5]).value is first
    server.mark = "c"
    assert readings.keep("runs", lambda: [2.5]).value == [2.5]


def test_the_mark_of_a_run_is_another_one_only_after_a_change_of_the_run(server: Server) -> None:
    first = readings.mark(None, "x")
    server.mark = "b"
    assert readings.mark(None, "x") == first
    server.mark, server.version = "c", 2
    assert readings.mark(None, "x") != first
    assert readings.mark(None) == "c"


def test_marks_are_read_once_for_all_pages(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "LOOK_S", 60)
    assert readings.known_mark(None, "x") is None
    found = readings.mark(None, "x")
    assert [readings.known_mark(None, "x") for _ in range(20)] == [found] * 20
    assert (server.asked, server.reads) == (1, 1)


def test_a_server_that_is_away_is_asked_once_in_a_while_and_has_a_mark_of_its_own(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = readings.mark(None)
    server.down = True
    monkeypatch.setattr(readings, "LOOK_S", 60)
    readings.acted()
    assert readings.keep("runs", server.read).error is not None
    assert {readings.mark(None), readings.mark(None)}.isdisjoint({there})
    assert server.asked == 2


def test_what_the_reader_does_is_seen_though_the_mark_was_asked_a_moment_ago(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "LOOK_S", 60)
    assert readings.keep("runs", server.read).value == 1
    server.mark = "b"
    assert readings.keep("runs", server.read).value == 1
    readings.acted()
    assert readings.keep("runs", server.read).value == 2


def test_a_server_that_is_away_leaves_the_last_value_and_says_so_and_a_missing_run_is_told(server: Server) -> None:
    def missing() -> int:
        raise RunNotFound("x")

    assert readings.keep("runs", server.read).error is None
    server.down = True
    reading = readings.keep("runs", server.read)
    assert (reading.value, type(reading.error)) == (1, ServerUnreachable)
    server.down = False
    with pytest.raises(RunNotFound):
        readings.keep("run x", missing)


def test_something_is_made_anew_where_it_would_be_made_of_something_else(server: Server) -> None:
    made = iter(range(100))
    one, two = object(), object()
    for made_of, expected in (
        ((one, "a", (1, 2.0)), 0),
        ((one, "a", (1, 2.0)), 0),
        ((one, "b", (1, 2.0)), 1),
        ((two, "b", (1, 2.0)), 2),
        ((two, "b", (1, 2.0, 3)), 3),
        ((two, "b"), 4),
        ((two, "b", None), 5),
        (([], "b"), 6),
        (([], "b"), 7),  # equal, but not the same
        ((1, "b"), 8),
        ((True, "b"), 9),
    ):
        assert readings.once("chart", made_of, lambda: next(made)) == expected
    assert server.reads == 0


def test_a_costly_value_rests_and_the_page_asks_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(readings, "COSTLY_S", 0.5)
    monkeypatch.setattr(readings.time, "monotonic", lambda: clock[0])

    def slow() -> int:
        clock[0] += 1
        return server.read()

    assert (readings.keep("runs", slow).value, readings.late()) == (1, False)
    server.mark = "b"
    assert (readings.keep("runs", slow).value, readings.late(), readings.late()) == (1, True, False)
    readings.acted()
    assert readings.keep("runs", slow).value == 2
    server.mark = "c"
    clock[0] += readings.REST
    assert (readings.keep("runs", slow).value, readings.late()) == (3, False)


def test_what_one_session_made_another_one_does_not_make_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(range(100))
    seen = object()
    assert readings.once("chart", (seen, "a"), lambda: next(made)) == 0
    monkeypatch.setattr(st, "session_state", {})
    assert readings.once("chart", (seen, "a"), lambda: next(made)) == 0
    assert readings.once("chart", (object(), "a"), lambda: next(made)) == 1
    assert server.reads == 0
