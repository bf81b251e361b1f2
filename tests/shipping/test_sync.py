from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from monitor.errors import OffsetGap, ServerFailed, ServerUnreachable, WireError
from monitor.journal.claim import claim, note_of
from monitor.run.start import init
from monitor.settings import Settings
from monitor.shipping.sinks import EmbeddedSink, HttpSink, MemorySink
from monitor.shipping.sync import Leftover, own_destination, sync, unsent
from monitor.wire import Batch


def offline(settings: Settings, points: int = 10, name: str = "r") -> str:
    with init("p", name=name, mode="offline", settings=settings) as run:
        for step in range(points):
            run.log({"x": float(step)}, step=step)
    return run.id


def test_tells_what_is_unsent(settings: Settings) -> None:
    run_id = offline(settings)
    (item,) = unsent(settings.journal_dir)
    assert (item.run_id, item.run_name, item.project, item.live) == (run_id, "r", "p", False)
    assert (item.records, item.points) == (12, 10)
    assert item.size > 0
    assert item.pid is not None


def test_what_the_embedded_store_has_begun_to_store_goes_on_going_there(settings: Settings) -> None:
    configured = settings.model_copy(update={"server_url": "http://127.0.0.1:1"})
    elsewhere = settings.model_copy(update={"dir": settings.dir / "other", "database_url": "sqlite:////dev/null/x"})
    for mode, own in (("embedded", True), ("auto", False), ("offline", False)):
        given = configured.model_copy(update={"finish_timeout_s": 0.0, "shipper": "thread"})
        if own:
            given = given.model_copy(update={"database_url": elsewhere.database_url})
        with init("p", name=mode, mode=mode, settings=given) as run:  # type: ignore[arg-type]  # a mode each
            run.log({"x": 1.0})
    found = {item.run_name: item for item in unsent(settings.journal_dir)}
    assert {name: (item.server, item.embedded) for name, item in found.items()} == {
        "embedded": (None, True),
        "auto": ("http://127.0.0.1:1", False),
        "offline": ("http://127.0.0.1:1", False),
    }
    sinks = own_destination(configured)
    assert isinstance(sinks(found["embedded"]), EmbeddedSink)
    assert isinstance(sinks(found["offline"]), HttpSink)
    assert isinstance(own_destination(configured, "http://127.0.0.1:2")(found["embedded"]), HttpSink)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert unsent(tmp_path / "nothing") == ()
    assert sync(tmp_path / "nothing", lambda _: MemorySink()).sent == ()


def test_sends_all_and_leaves_nothing(settings: Settings) -> None:
    ids = [offline(settings, 10 + i, f"r{i}") for i in range(3)]
    sink = MemorySink()
    told: list[tuple[Leftover, int]] = []
    report = sync(settings.journal_dir, lambda _: sink, lambda item, done: told.append((item, done)))
    assert [item.run_id for item in report.sent] == ids
    assert report.left == ()
    assert [done for _, done in told] == [12, 13, 14]
    for i, run_id in enumerate(ids):
        assert sink.points(run_id, "x") == [(step, float(step)) for step in range(10 + i)]
        assert sink.events(run_id, "finish")[0].data["status"] == "finished"
    assert list(settings.journal_dir.iterdir()) == []


def test_a_journal_that_is_refused_does_not_hold_up_the_others(settings: Settings) -> None:
    bad, good = offline(settings), offline(settings)

    def before(batch: Batch) -> None:
        if batch.run_id == bad:
            raise WireError("points", "bad")

    sink = MemorySink(before)
    report = sync(settings.journal_dir, lambda _: sink)
    assert [item.run_id for item in report.sent] == [good]
    assert [(item.run_id, item.problem) for item in report.left] == [(bad, "points: bad")]
    assert [item.run_id for item in unsent(settings.journal_dir)] == [bad]


def test_goes_on_where_the_receiver_is(settings: Settings) -> None:
    run_id = offline(settings, 100)
    sink = MemorySink()
    fails = iter([True])

    def after(_: Batch) -> None:
        if next(fails, False):
            raise ServerUnreachable("s", "lost the answer")

    first = MemorySink(after=after)
    assert len(sync(settings.journal_dir, lambda _: first).left) == 1
    sink = first
    assert len(sync(settings.journal_dir, lambda _: sink).sent) == 1
    assert sink.points(run_id, "x") == [(step, float(step)) for step in range(100)]


def test_a_receiver_that_asks_in_circles_is_left(settings: Settings) -> None:
    offline(settings, 100)

    def before(batch: Batch) -> None:
        raise OffsetGap(batch.run_id, batch.writer, expected=batch.first + 1, got=batch.first)

    report = sync(settings.journal_dir, lambda _: MemorySink(before))
    assert len(report.left) == 1


def test_a_receiver_that_fails_at_everything_is_asked_three_times(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.shipping.sync._AGAIN_S", 0.0)
    run_id, tried = offline(settings, 1), list[int]()

    def before(batch: Batch) -> None:
        tried.append(batch.count)
        raise ServerFailed("s", "HTTP 500")

    (left,) = sync(settings.journal_dir, lambda _: MemorySink(before)).left
    assert tried == [3, 3, 3, 1, 1, 1, 0]  # all, a half, and a heartbeat that says that the half is not at fault
    assert (left.run_id, left.refused, left.aside) == (run_id, False, 0)


def test_never_touches_a_living_writer(settings: Settings) -> None:
    run = init("p", mode="offline", settings=settings)
    run.log({"x": 1.0})
    (item,) = unsent(settings.journal_dir)
    assert item.live
    sink = MemorySink()
    report = sync(settings.journal_dir, lambda _: sink)
    assert (report.sent, report.left, sink.batches) == ((), (), [])
    run.finish()
    assert len(sync(settings.journal_dir, lambda _: sink).sent) == 1


def test_a_folder_without_any_record_is_cleared_away(settings: Settings) -> None:
    folder = settings.journal_dir / ("c" * 32) / "w"
    folder.mkdir(parents=True)
    (folder / "00000000.seg").write_bytes(b"\0" * 4096)
    report = sync(settings.journal_dir, lambda _: MemorySink())
    assert len(report.sent) == 1
    assert not folder.exists()


ASKS = """
import sys
from pathlib import Path
from monitor.journal.claim import claim
print(claim(Path(sys.argv[1])) is not None)
"""


def claimed_elsewhere(folder: Path) -> str:
    asked = subprocess.run([sys.executable, "-c", ASKS, str(folder)], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def test_a_claim_outlasts_the_questions_of_its_own_process(tmp_path: Path) -> None:
    held = claim(tmp_path / "w", {"run": "r"})
    assert held is not None
    held.say_why("no route")
    assert note_of(tmp_path / "w")["problem"] == "no route"
    assert claim(tmp_path / "w") is None
    assert claimed_elsewhere(tmp_path / "w") == "False"
    held.release()
    assert claimed_elsewhere(tmp_path / "w") == "True"


def test_a_claim_excludes_and_says_who(tmp_path: Path) -> None:
    held = claim(tmp_path / "w", {"run": "r"})
    assert held is not None
    assert claim(tmp_path / "w") is None
    assert note_of(tmp_path / "w")["run"] == "r"
    held.release()
    held.release()
    again = claim(tmp_path / "w")
    assert again is not None
    again.release()


def test_a_finished_run_sends_what_its_dead_helpers_left(settings: Settings, sink: MemorySink) -> None:
    run = init("p", settings=settings, sink=sink)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANK", "1")
        extra = init("p", mode="offline", settings=settings, run_id=run.id, ranks="all")
    extra.log({"y": 5.0}, step=1)
    extra.finish()
    run.finish()
    assert sink.points(run.id, "y") == [(1, 5.0)]
    assert list(settings.journal_dir.iterdir()) == []


class TestWhereItGoes:
    def leave(self, settings: Settings, server: str | None) -> str:
        run = init("p", mode="offline", settings=settings.model_copy(update={"server_url": server}))
        run.log({"x": 1.0})
        run.finish()
        return run.id

    def test_each_journal_goes_where_its_run_was_meant_to_go(self, settings: Settings) -> None:
        meant = {self.leave(settings, server): server for server in (None, "http://a:1", "http://b:2", "http://a:1")}
        sinks: dict[str | None, MemorySink] = {}

        def open_sink(item: Leftover) -> MemorySink:
            assert item.server not in sinks
            return sinks.setdefault(item.server, MemorySink())

        assert len(sync(settings.journal_dir, open_sink).sent) == 4
        for run_id, server in meant.items():
            assert sinks[server].points(run_id, "x") == [(0, 1.0)]

    def test_one_that_cannot_be_reached_does_not_hold_up_the_others(self, settings: Settings) -> None:
        gone, other = self.leave(settings, "http://a:1"), self.leave(settings, None)
        sink = MemorySink()

        def open_sink(item: Leftover) -> MemorySink:
            if item.server == "http://a:1":
                raise ServerUnreachable(item.server, "away")
            return sink

        report = sync(settings.journal_dir, open_sink)
        assert [item.run_id for item in report.left] == [gone]
        assert [item.run_id for item in report.sent] == [other]
        (item,) = unsent(settings.journal_dir)
        assert item.problem is not None
        assert "away" in item.problem  # it is kept for `monitor doctor`

    def test_a_run_that_ends_unsent_says_why(self, settings: Settings) -> None:
        def away(_: Batch) -> None:
            raise ServerUnreachable("http://s", "connection refused")

        short = settings.model_copy(update={"finish_timeout_s": 0.3})
        run = init("p", settings=short, sink=MemorySink(away))
        run.log({"x": 1.0})
        run.finish()
        (item,) = unsent(settings.journal_dir)
        assert item.problem is not None
        assert "connection refused" in item.problem


def test_a_folder_that_was_being_deleted_is_cleared_away(settings: Settings) -> None:
    folder = settings.journal_dir / ("c" * 32) / ".stored-w"
    folder.mkdir(parents=True)
    (folder / "00000000.seg").write_bytes(b"\0" * 4096)
    assert sync(settings.journal_dir, lambda _: MemorySink()).sent == ()
    assert not folder.exists()
