"""What a process prints, as pieces."""

import sys

import pytest

from monitor import limits
from monitor.run import outer
from monitor.run.output import Lines
from monitor.run.start import init
from monitor.settings import Settings
from monitor.shipping.sinks import MemorySink


def pieces(*writes, clock=lambda: 0.0):
    found = []
    lines = Lines("stdout", lambda stream, text: found.append(text), clock)
    for text in writes:
        lines.write(text)
    lines.close()
    return found


def test_pieces_hold_whole_lines():
    assert pieces("a", "b\nc", "\nd") == ["ab\n", "c\n", "d\n"]


def test_a_bar_is_kept_as_it_stood_last():
    assert pieces("\r 10%", "\r 20%", "\r100%\n", "next\r\n") == ["100%\n", "next\n"]


def test_a_flood_is_counted_instead_of_kept():
    now = [0.0]
    flood = ["x" * 99 + "\n"] * 30_000
    found = []
    lines = Lines("stdout", lambda _, text: found.append(text), lambda: now[0])
    for text in flood:
        lines.write(text)
    now[0] = 20.0
    lines.write("after\n")
    assert sum(map(len, found)) < 2_100_000
    assert found[-2:] == ["[10,000 lines are not kept: more than a run takes at once]\n", "after\n"]


def test_a_long_line_is_several_pieces():
    found = pieces("y" * 200_000)
    assert "".join(found) == "y" * 200_000 + "\n"
    assert max(map(len, found)) <= limits.MAX_TEXT


@pytest.fixture
def sink():
    return MemorySink()


def output_of(sink, run):
    return [(e.data["stream"], e.data["step"], e.data["text"]) for e in sink.events(run.id, "output")]


def test_texts_are_logged(sink, tmp_path):
    run = init("p", sink=sink, settings=Settings(dir=tmp_path), capture=False)
    run.log_text("a sample", step=3)
    run.log_text("z" * (limits.MAX_TEXT + 1))
    run.log_text(None)
    run.finish()
    assert output_of(sink, run) == [
        ("text", 3, "a sample"),
        ("text", None, "z" * limits.MAX_TEXT),
        ("text", None, "z"),
        ("text", None, "None"),
    ]


def test_what_is_printed_is_kept_where_that_is_wanted(sink, tmp_path, capsys):
    before = sys.stdout
    run = init("p", sink=sink, settings=Settings(dir=tmp_path), capture=False, capture_output=True)
    print("one")
    print("two", file=sys.stderr)
    run.finish()
    print("three")
    assert sys.stdout is before and capsys.readouterr().out == "one\nthree\n"
    assert output_of(sink, run) == [("stdout", None, "one\n"), ("stderr", None, "two\n")]


def test_by_default_nothing_is_kept(sink, tmp_path):
    run = init("p", sink=sink, settings=Settings(dir=tmp_path), capture=False)
    print("one")
    run.finish()
    assert output_of(sink, run) == []


def test_an_offered_run_is_taken_once(tmp_path, monkeypatch):
    path = outer.offer(tmp_path, "a" * 32)
    monkeypatch.setenv(outer.VARIABLE, str(path))
    assert [outer.take(), outer.take()] == ["a" * 32, None]
    outer.withdraw(path)
    assert list(tmp_path.iterdir()) == []
