from __future__ import annotations

from dashboard import data
from monitor.errors import ServerUnreachable, StoreBusy, StoreError, Unauthorized


def test_every_error_that_reading_gives_has_a_title_of_its_own() -> None:
    errors = (
        ServerUnreachable("http://localhost:1", "refused"),
        Unauthorized("http://localhost:1"),
        StoreBusy("sqlite:///x", 5),
        StoreError("broken"),
    )
    assert len({data.explain(error)[0] for error in errors}) == len(errors)
