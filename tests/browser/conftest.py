"""A real server, a real dashboard process, runs logged by the real SDK, and a headless Chromium."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import monitor
from monitor import Api
from monitor.settings import Settings

expect.set_options(timeout=60_000)
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass
class Service:
    """A server and the dashboard over it, each as users start them."""

    api: str
    dashboard: str
    folder: Path
    processes: list[subprocess.Popen[str]]

    def reader(self) -> Api:
        """A reader of the server."""
        return Api(self.api, settings=Settings(dir=self.folder))

    def run(self, name: str, *, shipper: Literal["process", "thread"] = "process", **more: object) -> monitor.Run:
        """Start a run that is sent to the server."""
        settings = Settings(dir=self.folder, server_url=self.api, capture=(), shipper=shipper)
        return monitor.init(project="browser", name=name, settings=settings, **more)  # type: ignore[arg-type]  # passed on

    def end(self) -> None:
        """Stop what was started, the last first."""
        for process in reversed(self.processes):
            stop(process)


def spawn(folder: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """Start `python -m monitor ARGUMENTS` over a folder, from that folder."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MONITOR_")}
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "monitor", *arguments]
    return subprocess.Popen(
        command,
        env={**clean, "MONITOR_DIR": str(folder), "PYTHONPATH": root, **env},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def addresses(process: subprocess.Popen[str]) -> dict[str, str]:
    """What a started server says on its first line."""
    assert process.stdout
    line = process.stdout.readline()
    assert line, f"ended with {process.wait(60)}"
    found: dict[str, str] = json.loads(line)
    return found


def stop(process: subprocess.Popen[str]) -> None:
    """End a process and wait for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.wait(60)
    if process.stdout:
        process.stdout.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`monitor up` over a new folder, with three runs that have ended."""
    folder = tmp_path_factory.mktemp("service")
    process = spawn(folder, "up", "--json", "--port", "0", "--dashboard-port", "0")
    try:
        urls = addresses(process)
        found = Service(urls["api"], urls["dashboard"], folder, [process])
        log_overfitting(found.run("overfits", config={"lr": 3e-4, "width": 512}))
        log_diverging(found.run("diverges", config={"lr": 3e-1, "width": 128}))
        log_healthy(found.run("learns", config={"lr": 3e-4, "width": 128}))
        yield found
    finally:
        stop(process)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium where it is installed, else the one that Playwright installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A new page; a script error on it fails the test."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000}, color_scheme="light", timezone_id="UTC")
    context.set_default_timeout(60_000)
    found = context.new_page()
    failures: list[str] = []
    found.on("pageerror", lambda error: failures.append(str(error)))
    yield found
    context.close()
    assert not failures


def log_overfitting(run: monitor.Run) -> None:
    """A validation loss that turns round at about step 900 while the training loss goes on falling."""
    rng = np.random.default_rng(1)
    with run:
        for step in range(2001):
            run.log({"train/loss": (0.05 + 2.2 * np.exp(-step / 300)) * (1 + 0.05 * rng.normal())}, step=step)
            if step % 25 == 0:
                turned = 0.35 + 1.9 * np.exp(-step / 250) + max(0.0, step - 900) / 1500
                run.log({"val/loss": turned * (1 + 0.01 * rng.normal()), "accuracy": 1 - turned / 3}, step=step)
            if step % 500 == 0 and step:
                run.checkpoint(step, f"checkpoints/step-{step}.pt")


def log_diverging(run: monitor.Run) -> None:
    """A training loss that grows a thousandfold and ends in NaN."""
    rng = np.random.default_rng(2)
    with run:
        for step in range(1000):
            value = (0.3 + 2 * np.exp(-step / 100)) * (1 + 0.05 * rng.normal()) * np.exp(max(0, step - 400) / 60)
            run.log({"loss": float("nan") if step >= 900 else value}, step=step)


def log_healthy(run: monitor.Run) -> None:
    """Both losses fall together."""
    rng = np.random.default_rng(3)
    with run:
        for step in range(1000):
            run.log({"train/loss": (2.2 / (1 + step / 80)) * (1 + 0.05 * rng.normal())}, step=step)
            if step % 25 == 0:
                run.log({"val/loss": (2.2 / (1 + step / 90) + 0.02) * (1 + 0.01 * rng.normal())}, step=step)


def until(page: Page, script: str, timeout_s: float = 60) -> None:
    """Wait until JavaScript on the page is true."""
    page.wait_for_function(script, timeout=timeout_s * 1000)


def elapsed(begin: float) -> float:
    """Seconds since a moment of `time.monotonic`."""
    return time.monotonic() - begin
