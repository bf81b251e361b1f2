"""The demo's server: `monitor up` as a supervised child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

import httpx

from monitor.errors import ServerUnreachable
from monitor.server.children import GUARD
from monitor.settings import Settings

GRACE_S = 5.0
"""Seconds to wait for someone else to restart a server that died, before the demo does."""


class Service:
    """Runs `monitor up` during the demo, and restarts it if it dies and nobody else does.

    A server that already runs is used and left running at the end.

    Args:
        settings: where the store is and which ports to use; a port in use is replaced by a free one.
        mlflow: also start an MLflow server.
        tell: called with one line when something happens to the server.

    Attributes:
        urls: addresses of "api", "dashboard" and, if started, "mlflow".
    """

    def __init__(self, settings: Settings, *, mlflow: bool, tell: Callable[[str], None]) -> None:
        self._settings, self._mlflow, self._tell = settings, mlflow, tell
        self._child: subprocess.Popen[str] | None = None
        self._closing = threading.Event()
        self._last_words: list[str] = []
        self.urls: dict[str, str] = {}

    def start(self) -> None:
        """Start the server and wait until it is up.

        Raises:
            ServerUnreachable: it exited at once; the message has its last output.
        """
        try:
            self.urls = self._start()
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._watch, name="demo-service", daemon=True).start()

    def __enter__(self) -> Service:
        """Return the service."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Stop the server."""
        self.close()

    def wait(self) -> None:
        """Block until the server ends permanently or the user interrupts."""
        self._closing.wait()

    def close(self) -> None:
        """Stop the server if the demo started it."""
        self._closing.set()
        child, self._child = self._child, None
        if child and child.poll() is None:
            child.terminate()
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()

    def _start(self) -> dict[str, str]:
        command = [sys.executable, "-m", "monitor", "up", "--json", "--mlflow" if self._mlflow else "--no-mlflow"]
        command += ["--host", self._settings.host]
        for option, port in (("--port", self._settings.port), ("--dashboard-port", self._settings.dashboard_port)):
            command += [option, str(_port(self.urls, option, port))]
        env = {**os.environ, "MONITOR_DIR": str(self._settings.dir), "PYTHONUNBUFFERED": "1"}
        env.pop("MONITOR_SERVER_URL", None)
        self._child = subprocess.Popen(  # the guard stops the server when this process is gone, however it died
            [sys.executable, str(GUARD), *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
            start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, args=(self._child,), daemon=True).start()
        assert self._child.stdout
        for line in self._child.stdout:
            if line.startswith("{"):
                return {name: str(url) for name, url in json.loads(line).items()}
        self._child.wait()
        raise ServerUnreachable("127.0.0.1", " / ".join(self._last_words[-3:]) or "the server ended at once")

    def _listen(self, child: subprocess.Popen[str]) -> None:
        assert child.stderr
        for line in child.stderr:
            self._last_words = [*self._last_words[-20:], line.strip()]

    def _watch(self) -> None:
        while not self._closing.is_set():
            child = self._child
            if child is None or child.wait() is None or self._closing.is_set():
                return
            self._tell("the server is gone; the runs continue, their points wait in the journals")
            if self._answers_within(GRACE_S):
                self._tell("the server is back")
                while self._answers_within(GRACE_S) and not self._closing.wait(1.0):
                    pass
            if not self._closing.is_set():
                try:
                    self._start()
                    self._tell("the server was started again")
                except ServerUnreachable as error:
                    self._tell(str(error))
                    self._closing.wait(GRACE_S)

    def _answers_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._closing.is_set():
            try:
                if httpx.get(f"{self.urls['api']}/healthz", timeout=1.0).is_success:
                    return True
            except httpx.HTTPError:
                self._closing.wait(0.2)
        return False


def _port(urls: dict[str, str], option: str, port: int) -> int:
    """The part's previous port, so that open pages and loops find it again; else the wanted port, or 0 if in use."""
    import socket

    known = urls.get("api" if option == "--port" else "dashboard")
    if known:
        return httpx.URL(known).port or port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        return port
