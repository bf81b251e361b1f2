from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from monitor import errors
from monitor.domain import Reply
from monitor.errors import MonitorError, RunExists, StoreBusy
from monitor.run.start import Run, init
from monitor.settings import Settings
from monitor.shipping import carrier, courier, deliver
from monitor.shipping.courier import CourierShipment, error_from, error_to
from monitor.shipping.sinks import MemorySink
from monitor.shipping.sync import unsent
from monitor.store import Store
from monitor.wire import Batch


@pytest.fixture
def embedded(settings: Settings) -> Settings:
    return settings.model_copy(update={"shipper": "process"})


@pytest.fixture
def fresh() -> Iterator[None]:
    """A courier of this test's own."""
    courier.close()
    yield
    courier.close()


def pid_of(run: Run) -> int:
    assert run._writer is not None
    assert isinstance(run._writer.shipper, CourierShipment)
    process = run._writer.shipper._courier._process
    assert process is not None
    return process.pid


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)  # another process has no event to wait for


def stored(settings: Settings, run_id: str) -> list[int]:
    with Store.open(settings.store_url) as store:
        return [int(step) for step in store.history(run_id, "train/loss").steps]


def test_the_store_and_the_rules_are_not_loaded_into_the_training_process(tmp_path: Path) -> None:
    code = """
        import sys, monitor
        with monitor.init("p") as run:
            run.log({"train/loss": 1.0})
            assert run.flush(60)
        print([name for name in ("sqlalchemy", "monitor.store", "monitor.rules", "httpx") if name in sys.modules])
    """
    done = script(code, tmp_path)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_runs_of_one_process_share_a_courier_and_end_without_each_other(embedded: Settings) -> None:
    first, second = init("p", settings=embedded), init("p", settings=embedded)
    for step in range(100):
        first.log({"train/loss": 1.0}, step=step)
        second.log({"train/loss": 2.0}, step=step)
    assert first.flush(60)
    pid = pid_of(first)
    first.finish()
    assert pid_of(second) == pid
    second.log({"train/loss": 2.0}, step=100)
    second.finish()
    assert stored(embedded, first.id) == list(range(100))
    assert stored(embedded, second.id) == list(range(101))
    assert not list(embedded.journal_dir.rglob("*.seg"))


def test_one_that_is_killed_is_replaced_and_nothing_is_lost_or_twice(fresh: None, embedded: Settings) -> None:
    run = init("p", settings=embedded)
    step, killed = 0, []
    for _ in range(3):
        for _ in range(500):
            run.log({"train/loss": float(step)}, step=step)
            step += 1
        assert run.flush(60)
        killed.append(pid_of(run))
        os.kill(killed[-1], signal.SIGKILL)
        run.log({"train/loss": float(step)}, step=step)
        step += 1
    run.finish()
    assert len(set(killed)) == 3
    assert stored(embedded, run.id) == list(range(step))


def test_it_yields_to_the_training_unless_others_wait_for_the_lock_that_it_holds(
    fresh: None, embedded: Settings
) -> None:
    remote = embedded.model_copy(update={"server_url": "http://127.0.0.1:9", "finish_timeout_s": 0.0})
    with init("p", settings=remote) as run:
        until(lambda: courier.courier()._process is not None)
        until(lambda: psutil.Process(pid_of(run)).nice() == min(19, os.nice(0) + deliver._NICE))
    courier.close()
    with init("p", settings=embedded) as run:
        until(embedded.store_file.exists)  # by then it has made itself nice where it does
        assert psutil.Process(pid_of(run)).nice() == os.nice(0)


def test_where_none_can_be_started_a_thread_does_it_and_says_so(
    fresh: None, embedded: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    run = init("p", settings=embedded)
    for step in range(50):
        run.log({"train/loss": 1.0}, step=step)
    assert run.flush(60)
    run.finish()
    assert stored(embedded, run.id) == list(range(50))
    assert any("cannot be started" in text for text in caplog.messages)


def test_a_refusal_is_an_error_of_init_as_it_is_from_a_thread(embedded: Settings) -> None:
    run = init("p", settings=embedded)
    run.finish()
    with pytest.raises(RunExists, match=run.id):
        init("p", settings=embedded, run_id=run.id)


def test_what_a_killed_process_had_logged_is_sent_without_a_sync(tmp_path: Path, embedded: Settings) -> None:
    code = """
        import os, signal, monitor
        run = monitor.init("p", run_id="a" * 32)
        run.log({"train/loss": 1.0}, step=0)
        assert run.flush(60)
        for step in range(1, 5000):
            run.log({"train/loss": 1.0}, step=step)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = script(code, tmp_path)
    assert done.returncode == -signal.SIGKILL
    until(lambda: unsent(embedded.journal_dir) == () and not any(embedded.journal_dir.iterdir()))
    assert stored(embedded, "a" * 32) == list(range(5000))


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_it_leaves_with_its_process_even_where_a_child_of_that_lives_on(tmp_path: Path, how: str) -> None:
    code = f"""
        import os, signal, time, monitor
        run = monitor.init("p")
        run.log({{"train/loss": 1.0}})
        assert run.flush(60)
        child = os.fork()
        if child == 0:
            os.close(1); os.close(2)
            time.sleep(600)
            os._exit(0)
        print(child, run._writer.shipper._courier._process.pid, flush=True)
        if {how!r} == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
    """
    child, pid = (int(word) for word in script(code, tmp_path).stdout.split())
    try:
        until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        assert psutil.pid_exists(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_interrupting_the_group_of_the_training_leaves_it_to_send_the_rest(tmp_path: Path, embedded: Settings) -> None:
    code = """
        import os, signal, monitor
        run = monitor.init("p", run_id="b" * 32)
        run.log({"train/loss": 1.0}, step=0)
        assert run.flush(60)
        run.log({"train/loss": 1.0}, step=1)
        os.killpg(0, signal.SIGINT)
        signal.pause()
    """
    done = script(code, tmp_path)
    assert "KeyboardInterrupt" in done.stderr
    assert stored(embedded, "b" * 32) == [0, 1]
    with Store.open(embedded.store_url) as store:
        assert (str(store.run("b" * 32).status), store.run("b" * 32).error) == ("failed", "stopped by user")


def test_many_threads_may_start_runs_at_once(fresh: None, embedded: Settings) -> None:
    ids: list[str] = []

    def work() -> None:
        with init("p", settings=embedded) as run:
            run.log({"train/loss": 1.0}, step=0)
            ids.append(run.id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [stored(embedded, run_id) for run_id in ids] == [[0]] * 8


def test_every_error_of_the_house_keeps_its_class_and_its_words() -> None:
    kinds = [k for _, k in inspect.getmembers(errors, inspect.isclass) if issubclass(k, MonitorError)]
    assert len(kinds) > 10
    for kind in kinds:
        made = error_from({"kind": kind.__name__, "text": "words: 'and' more"})
        assert type(made) is kind
        assert str(made) == "words: 'and' more"
        assert error_to(made) == {"kind": kind.__name__, "text": "words: 'and' more"}
    assert str(error_from(error_to(ValueError("x")))) == "ValueError: x"
    assert error_from(error_to(None)) is None


def script(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "MONITOR_DIR": str(folder), "MONITOR_CAPTURE": "false", "MONITOR_SHIP_INTERVAL_S": "0.02"}
    env["PYTHONPATH"] = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=env, capture_output=True, text=True, timeout=180,
        check=False, start_new_session=True,
    )  # fmt: skip


class Slow:
    """A receiver that fails for a while, takes its time, and stores one record at a time."""

    def __init__(self, failing: int) -> None:
        self.memory, self.failing = MemorySink(), failing

    def __call__(self) -> Slow:
        return self

    def send(self, batch: Batch) -> Reply:
        self.failing -= 1
        if self.failing >= 0:
            raise StoreBusy("sqlite://", 5.0)
        return self.memory.send(batch)

    def close(self) -> None:
        pass


class Left:
    """A journal that its parent left behind, as `deliver` knows it."""

    def __init__(self, folder: Path, destination: Slow) -> None:
        self.folder, self.destination = folder, destination
        self.said: list[str] = []

    def stop(self, _: float) -> bool:
        return True

    def say_left(self, why: str) -> None:
        self.said.append(why)


class TestWhatAKilledParentLeft:
    @pytest.fixture
    def left(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Left]:
        monkeypatch.setattr(deliver, "_AGAIN_S", 0.01)

        def make(failing: int) -> Left:
            with init("p", mode="offline", settings=settings) as run:
                for step in range(200):
                    run.log({"x": 1.0}, step=step)
            (item,) = unsent(settings.journal_dir)
            return Left(item.folder, Slow(failing))

        return make

    def test_is_sent_though_the_receiver_is_busy_at_first(self, left: Callable[[int], Left]) -> None:
        found = left(20)
        deliver._leave({1: found})  # type: ignore[dict-item]  # what of a delivery it uses
        assert len(found.destination.memory.batches) == 1
        assert not found.folder.exists()
        assert found.said == []

    def test_is_given_up_and_told_where_nothing_is_stored_for_long(
        self, left: Callable[[int], Left], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = left(1 << 30)

        def clock() -> float:
            return 50.0 * ((1 << 30) - found.destination.failing)  # each try takes 50 s

        monkeypatch.setattr("monitor.shipping.deliver.monotonic", clock)
        monkeypatch.setattr("monitor.shipping.sync.monotonic", clock)
        deliver._leave({1: found})  # type: ignore[dict-item]  # as above
        assert found.folder.exists()
        assert found.said == ["database sqlite:// was locked by another writer for 5 s; try again"]

    def test_is_not_given_up_while_something_is_stored(
        self, left: Callable[[int], Left], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deliver, "_PATIENCE_S", 0.3)
        # By this clock each batch takes 50 ms, and all of them far longer than the patience.
        monkeypatch.setattr("monitor.shipping.deliver.monotonic", lambda: 0.05 * sent)
        monkeypatch.setattr("monitor.shipping.sync.monotonic", lambda: 0.05 * sent)
        found, sent = left(0), 0
        monkeypatch.setattr(carrier, "MAX_RECORDS", 10)  # 21 batches
        real = found.destination.memory.send

        def send(batch: Batch) -> Reply:
            nonlocal sent
            sent += 1
            if sent % 5 == 0:
                raise StoreBusy("sqlite://", 5.0)
            return real(batch)

        monkeypatch.setattr(found.destination, "send", send)
        deliver._leave({1: found})  # type: ignore[dict-item]  # as above
        assert sent > 20
        assert not found.folder.exists()
        assert found.said == []
