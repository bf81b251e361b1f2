"""The tab that shows what a run's process printed."""

from datetime import UTC

from dashboard.markup import run_tabs
from monitor.domain import Output


def piece(number, text, stream="stdout", step=None):
    return Output(id=number, time_ms=0, stream=stream, step=step, position=10 * number, text=text)


def test_pieces_are_shown_with_their_time_and_stream_and_have_no_power():
    html = str(run_tabs.output([piece(1, "<b>x</b>\x1b[31m\n"), piece(2, "oops\n", "stderr")], "", UTC, 500))
    assert "&lt;b&gt;x&lt;/b&gt;" in html and "\x1b" not in html and "stderr" in html and "oops" in html


def test_a_text_that_was_logged_says_its_step():
    assert "step 3" in str(run_tabs.output([piece(1, "sample", "text", 3)], "", UTC, 500))


def test_nothing_kept_says_how_to_keep_it():
    assert "monitor run" in str(run_tabs.output([], "", UTC, 500))
    assert "has this in it" in str(run_tabs.output([], "needle", UTC, 500))
