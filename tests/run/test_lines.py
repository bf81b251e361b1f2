"""What a run says on a terminal."""

import io
import sys

import pytest

from monitor.run.start import init
from monitor.settings import Settings
from monitor.shipping.sinks import MemorySink


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def settings(tmp_path):
    return Settings(dir=tmp_path, capture=(), shipper="thread")


def lines(monkeypatch, stream, **options):
    monkeypatch.setattr(sys, "stderr", stream)
    with init("p", "brisk-otter", **options) as run:
        for step in range(50):
            run.log({"train/loss": 1 / (1 + step)}, step=step)
    return stream.getvalue().splitlines()


def test_a_terminal_hears_where_a_run_goes_and_how_it_ended(monkeypatch, settings):
    first, last = lines(monkeypatch, Terminal(), settings=settings)
    assert first == "monitor: brisk-otter is logged to the embedded store; `monitor up` shows it"
    assert last.startswith("monitor: brisk-otter finished: ")


def test_an_offline_run_says_what_sends_it(monkeypatch, settings):
    first, last = lines(monkeypatch, Terminal(), settings=settings, mode="offline")
    assert "`monitor sync` sends it" in first
    assert last == "monitor: brisk-otter finished"


def test_a_log_file_hears_nothing(monkeypatch, settings):
    assert lines(monkeypatch, io.StringIO(), settings=settings, sink=MemorySink()) == []


def test_a_closed_stream_stops_nothing(monkeypatch, settings):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with init("p", settings=settings, mode="offline") as run:
        stream.close()
        run.log({"loss": 1.0})


def test_a_notebook_hears_which_runs_it_left_open(monkeypatch, settings):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with init("p", "first", settings=settings, mode="offline"):
        with init("p", "second", settings=settings, mode="offline"):
            assert "still open" not in stream.getvalue()  # a script may have several
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
        with init("p", "third", settings=settings, mode="offline"):
            assert "monitor: still open: first; finish() ends a run" in stream.getvalue()
