from __future__ import annotations

from dashboard import data, words
from monitor.errors import ServerUnreachable, StoreBusy, StoreError, Unauthorized
from monitor.store import Store

from .conftest import logged


def test_every_error_that_reading_gives_has_a_title_of_its_own() -> None:
    errors = (
        ServerUnreachable("http://localhost:1", "refused"),
        Unauthorized("http://localhost:1"),
        StoreBusy("sqlite:///x", 5),
        StoreError("broken"),
    )
    assert len({words.explain(error)[0] for error in errors}) == len(errors)


def test_the_curves_of_a_live_run_take_the_place_of_its_older_ones(embedded: Store) -> None:
    feed = logged(embedded, "live", [3.0, 2.0])
    for step in range(2, 30):
        feed.log("train/loss", [step], [1.0])
        run = embedded.run(feed.run_id)
        (found,) = data.curves([(run, "train/loss", 0.0)], x="step", width=100)
        assert found.total == step + 1
        (again,) = data.curves([(run, "train/loss", 0.0)], x="step", width=100)
        assert again is found
    assert len(data._curves()._values) == 1
