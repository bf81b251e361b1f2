from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.errors import ServerUnreachable
from monitor.server import children
from monitor.server.children import FIRST_WAIT_S, LAST_WAIT_S, STEADY_S, Child, Spec, keep_running, need
from monitor.server.ports import free_port

from .conftest import descendants, gone, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard has time to end by itself."""
    monkeypatch.setattr(children, "END_WITHIN_S", 60.0)


def a_spec(tmp_path: Path, *code: str) -> Spec:
    port = free_port("127.0.0.1", 0, "port")
    command = (sys.executable, "-c", *code) if code else (sys.executable, "-m", "http.server", str(port))
    return Spec(
        name="part",
        command=command,
        url=f"http://127.0.0.1:{port}",
        health="/",
        env=dict(os.environ),
        log=tmp_path / "logs" / "part.log",
        folder=tmp_path,
    )


def test_children_run_until_told_to_stop_and_none_is_left(tmp_path: Path) -> None:
    child, stop, seen = Child(a_spec(tmp_path)), threading.Event(), set()

    def ready() -> None:
        until(child.healthy)
        assert child._process
        seen.update({child._process.pid} | descendants(child._process.pid))
        stop.set()

    keep_running([child], stop, ready=ready)

    assert len(seen) == 2
    assert child.exit_status() == 0
    assert all(gone(pid) for pid in seen)


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    child, stop = Child(a_spec(tmp_path)), threading.Event()
    ready = threading.Event()
    thread = threading.Thread(target=keep_running, args=([child], stop), kwargs={"ready": ready.set})
    thread.start()
    try:
        assert ready.wait(60)
        assert child._process
        guard = child._process.pid
        os.kill(next(iter(descendants(guard))), signal.SIGKILL)
        until(lambda: gone(guard))
        until(child.healthy)
    finally:
        stop.set()
        thread.join()


def test_the_wait_before_a_restart_grows_while_it_keeps_dying_and_not_for_a_steady_one(tmp_path: Path) -> None:
    child = Child(a_spec(tmp_path, "pass"))
    waits = []
    for _ in range(7):
        child.start()
        until(lambda: child.exit_status() is not None)
        now = time.monotonic()
        child.look_after(now)
        assert child._again_s is not None
        waits.append(round(child._again_s - now))
    child.start()
    until(lambda: child.exit_status() is not None)
    later = time.monotonic() + STEADY_S + 1
    child.look_after(later)

    assert waits == sorted(waits)
    assert waits[0] == 2 * FIRST_WAIT_S
    assert waits[-1] == LAST_WAIT_S
    assert child._again_s == later


def test_a_child_that_ends_at_once_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    child = Child(a_spec(tmp_path, "import sys; sys.exit('no such table: experiments')"))

    with pytest.raises(ServerUnreachable, match="part ended with status 1: no such table: experiments"):
        keep_running([child], threading.Event())


def test_a_child_without_a_log_leaves_standard_output_to_its_parent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    child = Child(replace(a_spec(tmp_path, "import sys; print('hello'); sys.stderr.write('oh')"), log=None))
    child.start()
    until(lambda: child.exit_status() is not None)
    child.ask_to_end()

    written = capfd.readouterr()
    assert written.out == ""
    assert "hello" in written.err
    assert "oh" in written.err


def test_all_are_ended_when_one_does_not_start(tmp_path: Path) -> None:
    good, bad = Child(a_spec(tmp_path)), Child(a_spec(tmp_path, "import time; time.sleep(0.5); raise SystemExit(3)"))

    with pytest.raises(ServerUnreachable, match="status 3"):
        keep_running([good, bad], threading.Event())

    assert good.exit_status() == 0


_STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""

_PARENT = """
import os, sys, time
from monitor.server.children import Child, Spec
leaf = "import time; time.sleep(600)"
tree = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {leaf!r}]); time.sleep(600)"
Child(Spec(name="x", command=[sys.executable, "-c", tree], url="", health="", env=dict(os.environ), log=None)).start()
print("started", flush=True)
time.sleep(600)
"""


def test_a_parent_that_is_killed_takes_the_whole_tree_with_it() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    assert parent.stdout.readline() == "started\n"
    until(lambda: len(descendants(parent.pid)) == 3)
    tree = descendants(parent.pid)

    parent.kill()
    parent.wait()
    parent.stdout.close()

    until(lambda: all(gone(pid) for pid in tree))


def test_a_guard_that_is_killed_takes_its_command_with_it(tmp_path: Path) -> None:
    child = Child(a_spec(tmp_path, "import time; time.sleep(600)"))
    child.start()
    assert child._process
    until(lambda: len(descendants(child._process.pid)) == 1)
    (command,) = descendants(child._process.pid)

    child._process.kill()

    until(lambda: gone(command))
    child.ask_to_end()
    child.wait(60)


def test_a_command_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    spec = a_spec(tmp_path, stubborn)
    child = Child(spec)
    child.start()
    assert spec.log
    log = spec.log
    until(lambda: log.is_file() and "deaf" in log.read_text())

    begin = time.monotonic()
    child.ask_to_end()
    child.wait(60)

    assert time.monotonic() - begin > 2, "it has time to end politely"
    assert child.exit_status() == 0, "its guard killed it and ended; else the guard is killed after a minute"


def test_the_guard_passes_the_exit_status_on(tmp_path: Path) -> None:
    child = Child(a_spec(tmp_path, "raise SystemExit(7)"))
    child.start()
    until(lambda: child.exit_status() is not None)

    assert child.exit_status() == 7
    child.ask_to_end()


def test_a_program_that_is_not_installed_is_named_with_what_installs_it() -> None:
    with pytest.raises(ModuleNotFoundError, match=r'pip install "lossmonitor\[server\]"') as caught:
        need("no_such_program")

    assert caught.value.name == "no_such_program"
