"""What becomes of a run when its process ends, forks or is told to go, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from monitor.shipping.sinks import MemorySink
from monitor.shipping.sync import sync

OFFLINE = """
import os, sys, monitor
run = monitor.init("p", mode="offline")
"""


def script(tmp_path: Path, body: str, *, signal_at: str | None = None, expect: int | None = 0) -> MemorySink:
    """Run a script that logs offline; what it left, as a receiver sees it."""
    environment = {**os.environ, "MONITOR_DIR": str(tmp_path), "MONITOR_CAPTURE": "false", "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        [sys.executable, "-c", OFFLINE + textwrap.dedent(body)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            if signal_at is not None:
                assert process.stdout is not None
                assert process.stdout.readline().strip() == "ready"
                process.send_signal(getattr(signal, signal_at))
            _, errors = process.communicate(timeout=180)
        finally:
            process.kill()
    if expect is not None:
        assert process.returncode == expect, errors
    sink = MemorySink()
    report = sync(tmp_path / "journal", lambda _: sink)
    assert report.left == ()
    return sink


def series(sink: MemorySink, key: str = "x") -> list[int]:
    return [step for run_id in {b.run_id for b in sink.batches} for step, _ in sink.points(run_id, key)]


def ends(sink: MemorySink) -> list[tuple[object, object]]:
    return [
        (e.data["status"], e.data["error"])
        for run_id in {b.run_id for b in sink.batches}
        for e in sink.events(run_id, "finish")
    ]


def test_a_script_that_ends_has_finished(tmp_path: Path) -> None:
    sink = script(tmp_path, "for i in range(50): run.log({'x': 1.0}, step=i)")
    assert series(sink) == list(range(50))
    assert ends(sink) == [("finished", None)]


def test_a_script_that_dies_of_an_exception_has_failed_with_its_last_line(tmp_path: Path) -> None:
    sink = script(tmp_path, "run.log({'x': 1.0}, step=0)\nraise ValueError('no data')", expect=1)
    assert ends(sink) == [("failed", "ValueError: no data")]


def test_an_interrupt_from_the_keyboard_is_the_user(tmp_path: Path) -> None:
    body = "import time\nrun.log({'x': 1.0}, step=0)\nprint('ready', flush=True)\nimport time\ntime.sleep(60)"
    sink = script(tmp_path, body, signal_at="SIGINT", expect=None)
    assert ends(sink) == [("failed", "stopped by user")]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_signal_that_ends_the_process_loses_nothing(tmp_path: Path, name: str) -> None:
    body = "for i in range(5000): run.log({'x': 1.0}, step=i)\nprint('ready', flush=True)\nimport time\ntime.sleep(60)"
    sink = script(tmp_path, body, signal_at=name, expect=-getattr(signal, name))
    assert series(sink) == list(range(5000))
    assert ends(sink) == []


def test_a_handler_of_the_users_own_may_end_the_run_in_the_middle_of_logging(tmp_path: Path) -> None:
    body = """
    import signal
    def stop(*_):
        run.finish("failed", "told to go")
        sys.exit(3)
    signal.signal(signal.SIGTERM, stop)
    print("ready", flush=True)
    i = 0
    while True:
        run.log({"x": 1.0, "text": "no number"}, step=i)
        i += 1
    """
    sink = script(tmp_path, body, signal_at="SIGTERM", expect=3)
    steps = series(sink)
    assert steps == list(range(len(steps)))
    assert ends(sink) == [("failed", "told to go")]


def test_no_signal_handler_is_installed(tmp_path: Path) -> None:
    body = """
    import signal
    run.log({'x': 1.0}, step=0)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    """
    assert ends(script(tmp_path, body)) == [("finished", None)]


def test_an_exit_without_goodbye_loses_nothing(tmp_path: Path) -> None:
    sink = script(tmp_path, "for i in range(100): run.log({'x': 1.0}, step=i)\nos._exit(0)")
    assert series(sink) == list(range(100))


def test_a_child_of_a_fork_joins_as_a_writer_of_its_own(tmp_path: Path) -> None:
    body = """
    for i in range(100): run.log({'parent': 1.0}, step=i)
    pid = os.fork()
    if pid == 0:
        for i in range(100): run.log({'child': 1.0}, step=i)
        sys.exit(0)
    for i in range(100, 200): run.log({'parent': 1.0}, step=i)
    assert os.waitpid(pid, 0)[1] == 0
    for i in range(200, 300): run.log({'parent': 1.0}, step=i)
    """
    sink = script(tmp_path, body)
    assert series(sink, "parent") == list(range(300))
    assert series(sink, "child") == list(range(100))
    assert ends(sink) == [("finished", None)]
    (run_id,) = {b.run_id for b in sink.batches}
    assert sorted(bool(e.data["join"]) for e in sink.events(run_id, "run")) == [False, True]


def test_a_child_of_a_fork_that_does_not_log_leaves_no_trace(tmp_path: Path) -> None:
    body = """
    run.log({'x': 1.0}, step=0)
    pid = os.fork()
    if pid == 0:
        sys.exit(0)
    os.waitpid(pid, 0)
    run.log({'x': 1.0}, step=1)
    """
    sink = script(tmp_path, body)
    assert series(sink) == [0, 1]
    assert len({b.writer for b in sink.batches}) == 1
    assert ends(sink) == [("finished", None)]


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_workers_of_multiprocessing_may_log(tmp_path: Path, method: str) -> None:
    path = tmp_path / "job.py"
    path.write_text(
        textwrap.dedent(f"""
        import multiprocessing, monitor, sys

        def work(run_id, k):
            if {method!r} == "fork":
                monitor.log({{f"w{{k}}": float(k)}}, step=k)
            else:
                import os
                os.environ["RANK"] = "1"
                with monitor.init("p", mode="offline", run_id=run_id, ranks="all") as run:
                    run.log({{f"w{{k}}": float(k)}}, step=k)

        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            run = monitor.init("p", mode="offline")
            children = [context.Process(target=work, args=(run.id, k)) for k in range(3)]
            for child in children: child.start()
            for child in children: child.join()
            assert [child.exitcode for child in children] == [0, 0, 0]
            run.log({{"x": 1.0}}, step=0)
        """)
    )
    environment = {**os.environ, "MONITOR_DIR": str(tmp_path), "MONITOR_CAPTURE": "false"}
    done = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    sink = MemorySink()
    assert sync(tmp_path / "journal", lambda _: sink).left == ()
    assert series(sink) == [0]
    for k in range(3):
        assert series(sink, f"w{k}") == [k]
    assert ends(sink) == [("finished", None)]


def test_a_log_in_a_thread_at_shutdown_raises_nothing(tmp_path: Path) -> None:
    body = """
    import threading
    def loop():
        while True: run.log({'x': 1.0})
    threading.Thread(target=loop, daemon=True).start()
    import time; time.sleep(0.1)
    """
    assert ends(script(tmp_path, body)) == [("finished", None)]
