"""`monitor run` is killed fifty times: what it had passed on is stored, once."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from monitor.reader.api import Api
from monitor.settings import Settings
from monitor.shipping.sync import own_destination, sync, unsent

pytestmark = [pytest.mark.slow, pytest.mark.faults]
KILLS = 50
SCRIPT = """
import time
for i in range(10**6):
    print(f"step {i} loss {1 / (i + 1)}")
    if i % 7 == 0:
        time.sleep(0.002)
"""


def test_fifty_kills_lose_and_double_nothing(tmp_path):
    rng = random.Random(5)
    (tmp_path / "train.py").write_text(SCRIPT)
    settings = Settings(dir=tmp_path / "store")
    environment = {**os.environ, "MONITOR_DIR": str(settings.dir), "MONITOR_CAPTURE": "false"}
    shown = {}
    for kill in range(KILLS):
        name = f"run-{kill}"
        command = [sys.executable, "-m", "monitor", "run", "--name", name, "--", sys.executable, "train.py"]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        text = process.stdout.readline()
        assert text, f"{name} ended with {process.wait()} before it began"
        end = time.monotonic() + rng.uniform(0, 0.8)
        while time.monotonic() < end:
            text += process.stdout.read1(65536)
        process.send_signal(signal.SIGKILL)
        text += process.stdout.read()
        process.wait()
        process.stdout.close()
        shown[name] = [int(step) for step in re.findall(rb"step (\d+) loss [\d.e-]+\n", text)]
    deadline = time.monotonic() + 120
    while unsent(settings.journal_dir) and time.monotonic() < deadline:  # couriers of the killed may still be sending
        assert sync(settings.journal_dir, own_destination(settings)).left == ()
        time.sleep(0.2)
    assert unsent(settings.journal_dir) == ()
    with Api(settings=settings) as api:
        runs = {run.info.name: run for run in api.runs()}
        assert set(runs) == set(shown)
        for name, seen in shown.items():
            steps = runs[name].history("loss").steps.tolist()
            assert steps == list(range(len(steps))), name
            assert seen == list(range(len(seen))) and len(steps) >= len(seen) > 0, name
            written = "".join(piece.text for piece in runs[name].output(limit=10_000))
            kept = [int(step) for step in re.findall(r"step (\d+) loss", written)]
            assert kept == list(range(len(kept))) and len(kept) >= len(seen), name
