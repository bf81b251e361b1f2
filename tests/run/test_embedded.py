"""The client on the real store, in process and through a real server: one suite for both."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn

import monitor
from monitor.api import create_api
from monitor.domain import Action, RunStatus, Severity
from monitor.errors import RunExists, RunNotFound, SeriesNotFound, ServerUnreachable, Unauthorized
from monitor.ingest.engines import open_engines
from monitor.reader.api import Api
from monitor.run.start import Run, init
from monitor.settings import Settings
from monitor.shipping.sync import own_destination, sync, unsent
from monitor.store import Store
from tests.conftest import Feed


class Served:
    """An API on a free port, on a thread."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.store = Store.open(url)
        self.app = create_api(self.store, open_engines(settings), settings)
        self._server = uvicorn.Server(uvicorn.Config(self.app, port=0, log_config=None))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
        self.address = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.store.close()


@pytest.fixture
def served(sqlite_url: str, settings: Settings) -> Iterator[Served]:
    made = Served(sqlite_url, settings)
    yield made
    made.close()


@pytest.fixture(params=["embedded", "server"])
def place(request: pytest.FixtureRequest, settings: Settings, sqlite_url: str) -> Settings:
    """Settings that lead to the embedded store, and such that lead to a server."""
    if request.param == "embedded":
        return settings.model_copy(update={"database_url": sqlite_url})
    return settings.model_copy(update={"server_url": request.getfixturevalue("served").address})


def begin(place: Settings, **options: object) -> Run:
    return init(**{"project": "p", "settings": place, **options})  # type: ignore[arg-type]  # a test's own arguments


class TestBothPlaces:
    def test_what_was_logged_is_what_is_read(self, place: Settings) -> None:
        with begin(place, config={"lr": 0.1}, tags={"a": "b"}, group="g") as run:
            for step in range(2000):
                run.log({"train/loss": 1 / (step + 1), "odd": math.nan if step == 7 else math.inf}, step=step)
                if step % 100 == 99:
                    run.log({"val/loss": 2 / (step + 1)}, step=step, epoch=step / 1000)
            run.checkpoint(1000, "model.pt")
        with Api(settings=place) as api:
            view = api.run(run.id)
            assert view.info.status is RunStatus.FINISHED
            assert (view.name, view.info.config, view.info.tags, view.info.group) == (
                run.name,
                {"lr": 0.1},
                {"a": "b"},
                "g",
            )
            assert {s.key: (s.count, s.last_step) for s in view.series()} == {
                "train/loss": (2000, 1999), "odd": (2000, 1999), "val/loss": (20, 1999)
            }  # fmt: skip
            points = view.history("train/loss")
            assert points.steps.tolist() == list(range(2000))
            assert points.values.tolist() == [1 / (step + 1) for step in range(2000)]
            odd = view.history("odd").values
            assert math.isnan(odd[7])
            assert np.isposinf(np.delete(odd, 7)).all()
            part = view.history("train/loss", lo=10, hi=12)
            assert part.steps.tolist() == [10, 11, 12]
            epochs = view.history("val/loss").epochs
            assert epochs is not None
            assert epochs.tolist() == [step / 1000 for step in range(99, 2000, 100)]
            curve = view.curve("train/loss", width=100, smoothing=0.5)
            assert curve.total == 2000
            assert 2 <= curve.shown < 2000
            assert curve.smoothed is not None
            assert [(c.step, c.path) for c in view.checkpoints()] == [(1000, "model.pt")]
            assert [e.kind for e in view.events()] == ["run", "checkpoint", "finish"]
            assert view.diagnosis().counts.train == 2000
            assert view.diagnosis().to_dict()["schema"] == 1
            assert api.projects() == (("p", 1),)
            assert api.keeping() == {"p": (None, None)}
            assert [v.id for v in api.runs()] == [run.id]
            page = api.runs_page(sparkline=20, project="p")
            assert page.total == 1
            assert len(page.sparklines[run.id]["train"]) > 2
            assert api.run(run.id[:8]).id == run.id
            assert api.run(run.name).refresh().id == run.id
            assert api.health()["status"] == "ok"
            assert api.runs('name = "no such run"') == []

    def test_a_run_that_overfits_is_told_to_stop(self, place: Settings) -> None:
        rng = np.random.default_rng(0)
        run = begin(place)
        stopped = None
        for step in range(3000):
            run.log({"train/loss": 2 * math.exp(-step / 300) + 0.02 * rng.random()}, step=step)
            if step % 25 == 0:
                rise = max(0, step - 600) / 800
                run.log({"val/loss": 2 * math.exp(-step / 300) + 0.3 + rise + 0.01 * rng.random()}, step=step)
                if run.should_stop(wait_s=60):
                    stopped = step
                    break
        assert stopped is not None
        told = run.recommendation
        assert told.action is Action.STOP
        assert told.best_step is not None
        assert abs(told.best_step - 600) <= 50  # the validation loss turns there
        assert run.stop_reason == told.reason
        run.finish()
        with Api(settings=place) as api:
            view = api.run(run.id)
            assert view.info.status is RunStatus.STOPPED
            assert view.info.verdict == "overfitting"
            assert view.info.recommendation == told
            likely = [p for p in told.pending if p.rule == "overfitting" and p.likely]
            found = [f for f in view.findings() if f.rule == "overfitting"]
            assert len(likely) + len(found) == 1  # a stop is advised as soon as it is likely, before the finding fires
            assert abs((*likely, *found)[0].onset_step - 600) <= 50

    def test_a_person_can_ask_for_a_stop(self, place: Settings) -> None:
        run = begin(place)
        run.log({"loss": 1.0})
        assert run.flush(60)
        with Api(settings=place) as api:
            api.run(run.id).request_stop("ada")
        run.log({"loss": 0.9})
        assert run.should_stop(wait_s=60)
        assert run.stop_reason == "ada asked the run to stop."
        run.finish()

    def test_an_alert_of_the_loop_is_on_its_way(self, place: Settings) -> None:
        with begin(place) as run:
            run.alert("disk nearly full", "3 GiB left", "critical")
        with Api(settings=place) as api:
            (found,) = api.alerts(run=run.id).items
            assert (found.title, found.severity, found.state) == ("disk nearly full", Severity.CRITICAL, "firing")
            assert "disk nearly full" in [sent.alert.title for sent in api.deliveries(run.id)]

    def test_a_run_is_resumed_as_a_second_attempt(self, place: Settings) -> None:
        with begin(place, name="first") as run:
            for step in range(100):
                run.log({"loss": 1.0}, step=step)
        with pytest.raises(RunExists):
            begin(place, run_id=run.id)
        with pytest.raises(RunNotFound):
            begin(place, run_id="f" * 32, resume="must")
        with begin(place, run_id=run.id, resume="allow") as again:
            for step in range(50, 120):
                again.log({"loss": 2.0}, step=step)
        with Api(settings=place) as api:
            view = api.run(run.id)
            assert (view.info.attempt, view.name) == (2, "first")
            assert view.history("loss").values.tolist() == [1.0] * 50 + [2.0] * 70
            assert view.history("loss", attempt=1).values.tolist() == [1.0] * 100

    def test_resuming_without_an_id_starts_a_new_run_and_says_so(
        self, place: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        run = monitor.init("p", resume="allow", settings=place)
        run.finish()
        assert 'resume="allow" without run_id starts a new run' in caplog.text
        assert not run.name.startswith("run-")

    def test_automatic_steps_of_a_resumed_run_go_on(self, place: Settings) -> None:
        with begin(place) as run:
            for _ in range(10):
                run.log({"loss": 1.0})
        with begin(place, run_id=run.id, resume="must") as again:
            for _ in range(5):
                again.log({"loss": 2.0})
        with Api(settings=place) as api:
            points = api.run(run.id).history("loss")
            assert points.steps.tolist() == list(range(15))
            assert points.values.tolist() == [1.0] * 10 + [2.0] * 5

    def test_what_was_set_aside_is_on_the_run(self, place: Settings) -> None:
        with begin(place) as run:
            for step in range(5):
                run.log({"loss": 1.0, "note": "text"}, step=step)
        with Api(settings=place) as api:
            assert api.run(run.id).info.warnings["dropped"] == 5

    def test_what_is_not_there_is_an_error_that_says_so(self, place: Settings) -> None:
        with begin(place) as run:
            run.log({"loss": 1.0})
        with Api(settings=place) as api:
            with pytest.raises(RunNotFound, match="nothing"):
                api.run("nothing")
            with pytest.raises(SeriesNotFound, match="acc"):
                api.run(run.id).history("acc")
            with pytest.raises(SeriesNotFound, match="acc"):
                api.run(run.id).curve("acc")

    def test_a_run_logged_offline_arrives_by_sync(self, place: Settings) -> None:
        with begin(place, mode="offline") as run:
            for step in range(100):
                run.log({"loss": 1.0}, step=step)

        report = sync(place.journal_dir, own_destination(place, place.server_url))
        assert [item.points for item in report.sent] == [100]
        assert unsent(place.journal_dir) == ()
        with Api(settings=place) as api:
            assert api.run(run.id).series()[0].count == 100

    def test_threads_and_runs_at_once_all_arrive(self, place: Settings) -> None:
        runs = [begin(place) for _ in range(3)]

        def work(run: Run, key: str) -> None:
            for step in range(500):
                run.log({key: float(step)}, step=step)

        threads = [threading.Thread(target=work, args=(run, f"k{i}")) for run in runs for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for run in runs:
            run.finish()
        with Api(settings=place) as api:
            for run in runs:
                for i in range(3):
                    assert api.run(run.id).history(f"k{i}").values.tolist() == [float(step) for step in range(500)]


class TestAServer:
    def test_wants_its_token(self, sqlite_url: str, settings: Settings) -> None:
        made = Served(sqlite_url, settings.model_copy(update={"token": "secret"}))
        try:
            with Api(made.address) as api, pytest.raises(Unauthorized):
                api.runs()
            with Api(made.address, token="secret") as api:
                assert api.runs() == []
            wrong = settings.model_copy(update={"server_url": made.address, "token": "wrong"})
            with pytest.raises(Unauthorized):
                init("p", settings=wrong, run_id="a" * 32, resume="allow")
            right = settings.model_copy(update={"server_url": made.address, "token": "secret"})
            with init("p", settings=right) as run:
                run.log({"loss": 1.0})
            with Api(settings=right) as api:
                assert api.run(run.id).series()[0].count == 1
        finally:
            made.close()

    def test_that_is_away_is_an_error_for_a_reader(self) -> None:
        with Api("http://127.0.0.1:9") as api, pytest.raises(ServerUnreachable, match="monitor up"):
            api.runs()

    def test_says_where_the_page_of_a_run_is(self, served: Served, settings: Settings) -> None:
        served.app.state.services.links["dashboard"] = "http://dash/"
        with init("p", settings=settings.model_copy(update={"server_url": served.address})) as run:
            assert run.flush(60)
            assert run.url == f"http://dash/run?id={run.id}"

    def test_is_found_by_the_environment(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MONITOR_SERVER_URL", served.address + "/")
        monkeypatch.setenv("MONITOR_CAPTURE", "false")
        with monitor.init("p") as run:
            run.log({"loss": 1.0})
        with monitor.Api() as api:
            assert api.run(run.id).series()[0].count == 1
        assert served.store.run(run.id).status is RunStatus.FINISHED


def test_the_embedded_store_needs_no_server_and_no_setting(tmp_path: Path) -> None:
    with monitor.init("p") as run:
        run.log({"train/loss": 1.0})
    assert (tmp_path / "monitor.db").exists()
    with monitor.Api() as api:
        assert api.run(run.name).series()[0].key == "train/loss"
        capture = [e for e in api.run(run.id).events() if e.kind == "capture"]
    assert capture
    assert "packages" in capture[0].data


def test_a_run_whose_process_was_killed_is_lost_when_the_next_run_begins_without_a_server(
    settings: Settings, sqlite_url: str
) -> None:
    with Store.open(sqlite_url) as store:
        killed, fresh = Feed(store, run_id="a" * 32), Feed(store, run_id="b" * 32, now_ms=time.time_ns() // 1_000_000)
        for feed, heartbeat_s in ((killed, 10), (fresh, 3600)):
            feed.start(name=feed.run_id[0], heartbeat_s=heartbeat_s)
            feed.log("loss", [0], [1.0])
        with begin(settings.model_copy(update={"database_url": sqlite_url})) as run:
            run.log({"loss": 1.0}, step=0)
        assert store.run(killed.run_id).status is RunStatus.LOST
        assert store.run(fresh.run_id).status is RunStatus.RUNNING
        assert [delivery.alert.kind for delivery in store.alerts(killed.run_id)] == ["lost"]
