"""Child processes of the server: started, awaited, restarted when they die, and never left behind.

The main thread looks after them until SIGINT or SIGTERM.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Final

import httpx

from monitor.errors import ServerUnreachable

GUARD: Final = Path(__file__).with_name("guard.py")
FIRST_WAIT_S: Final = 1.0
"""Wait before a dead process is restarted; it doubles every time."""
LAST_WAIT_S: Final = 30.0
STEADY_S: Final = 60.0
"""A process that lived at least this long is restarted without delay."""
STARTS_WITHIN_S: Final = 90.0
"""Seconds until a process must answer, on a slow machine that starts several."""
END_WITHIN_S: Final = 4.0
"""Seconds for all of them to end. Their guards kill what is left after `guard.GRACE_S`."""
_STANDARD_ERROR: Final = 2
"""Where the output of a child without a log goes: standard output is for what the command itself prints."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A process to run.

    Attributes:
        name: what people call it.
        command: program and arguments.
        url: its address.
        health: path below `url` that answers 200 once it works.
        log: file for its output; None: this process's standard error.
    """

    name: str
    command: Sequence[str]
    url: str
    health: str
    env: Mapping[str, str] = field(repr=False)
    log: Path | None
    folder: Path | None = None


def need(module: str) -> None:
    """Check that a program that comes with the [server] extra is installed.

    Raises:
        ModuleNotFoundError: it is not; the message says what to run.
    """
    if find_spec(module) is None:
        raise ModuleNotFoundError(f'{module} is not installed; run: pip install "lossmonitor[server]"', name=module)


class Child:
    """A process that is kept running."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._wait_s = FIRST_WAIT_S
        self._again_s: float | None = None

    def start(self) -> None:
        """Start it, with a guard that ends it when this process is gone."""
        with contextlib.ExitStack() as stack:
            log = None
            if self.spec.log is not None:
                self.spec.log.parent.mkdir(parents=True, exist_ok=True)
                log = stack.enter_context(self.spec.log.open("ab"))
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), *self.spec.command],
                stdin=subprocess.PIPE,
                stdout=log or _STANDARD_ERROR,
                stderr=log or _STANDARD_ERROR,
                env=dict(self.spec.env),
                cwd=self.spec.folder,
            )
        self._started_s = time.monotonic()
        self._again_s = None

    def exit_status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll() if self._process else None

    def healthy(self, timeout_s: float = 2.0) -> bool:
        """True if it answers."""
        try:
            return httpx.get(self.spec.url + self.spec.health, timeout=timeout_s).is_success
        except httpx.HTTPError:
            return False

    def failed_to_start(self) -> ServerUnreachable:
        """The error for a process that never answered, with the last lines that it wrote."""
        status = self.exit_status()
        what = "did not answer in time" if status is None else f"ended with status {status}"
        lines = self._tail()
        return ServerUnreachable(self.spec.url, f"{self.spec.name} {what}{': ' + lines if lines else ''}")

    def look_after(self, now_s: float) -> None:
        """Restart it if it died, with a growing delay if it dies soon."""
        status = self.exit_status()
        if status is None:
            return
        if self._again_s is None:
            self._close_pipe()
            steady = now_s - self._started_s > STEADY_S
            self._wait_s = FIRST_WAIT_S if steady else min(self._wait_s * 2, LAST_WAIT_S)
            self._again_s = now_s if steady else now_s + self._wait_s
            _log.warning("%s ended with status %s and is restarted (log: %s)", self.spec.name, status, self.spec.log)
        elif now_s >= self._again_s:
            self.start()

    def ask_to_end(self) -> None:
        """Tell its guard to end it."""
        self._close_pipe()

    def wait(self, timeout_s: float) -> None:
        """Wait until it has ended; after the timeout, kill its guard."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _close_pipe(self) -> None:
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _tail(self) -> str:
        if self.spec.log is None or not self.spec.log.is_file():
            return ""
        lines = self.spec.log.read_text(errors="replace").splitlines()
        return " / ".join(line.strip() for line in lines[-3:] if line.strip())[-600:]


@contextlib.contextmanager
def until_told_to_stop(stop: threading.Event | None = None) -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets. A second one has its usual effect.

    Args:
        stop: an existing event to use, which the caller may set too. In any thread but the main one, signals are left
            alone and only the event counts.
    """
    event = stop or threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, _: FrameType | None) -> None:
        event.set()
        signal.signal(number, before[signal.Signals(number)] or signal.SIG_DFL)

    for number in before:
        signal.signal(number, handle)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def keep_running(children: Sequence[Child], stop: threading.Event, *, ready: Callable[[], None] = lambda: None) -> None:
    """Start processes, wait until all answer, keep them running until `stop` is set, and end them."""
    try:
        for child in children:
            child.start()
        for child in children:
            _await_health(child, stop)
        if not stop.is_set():
            ready()
        while not stop.wait(0.25):
            for child in children:
                child.look_after(time.monotonic())
    finally:
        for child in children:
            child.ask_to_end()
        end = time.monotonic() + END_WITHIN_S
        for child in children:
            child.wait(end - time.monotonic())


def _await_health(child: Child, stop: threading.Event) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while not stop.is_set() and not child.healthy():
        if child.exit_status() is not None or time.monotonic() > end:
            raise child.failed_to_start()
        stop.wait(0.1)
