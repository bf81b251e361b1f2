from __future__ import annotations

import socket
from pathlib import Path

from monitor.run.start import init
from monitor.server.leftovers import ship_in_background
from monitor.settings import Settings, load
from monitor.shipping.sync import unsent


def leave(settings: Settings, server: str | None) -> str:
    run = init("p", mode="offline", settings=settings.model_copy(update={"server_url": server}))
    run.log({"x": 1.0})
    run.finish()
    return run.id


def test_a_server_leaves_what_was_meant_for_another_one(tmp_path: Path) -> None:
    settings = load(dir=tmp_path, capture=False)
    other = leave(settings, "http://elsewhere.invalid:1")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]  # nobody listens there
        ours, nobodys = leave(settings, f"http://localhost:{port}"), leave(settings, None)
        thread = ship_in_background(settings, f"http://127.0.0.1:{port}")
        assert thread is not None
        thread.join(60)
    left = {item.run_id: item.problem for item in unsent(settings.journal_dir)}
    assert set(left) == {other, ours, nobodys}
    assert left[other] is None  # it was not even tried
    assert left[ours] is not None
    assert left[nobodys] is not None
