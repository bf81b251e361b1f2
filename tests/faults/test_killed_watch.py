"""`monitor watch` is killed fifty times while a log grows and is rotated: each point is stored once."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from monitor.reader.api import Api
from monitor.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.faults]
KILLS = 50


def test_fifty_kills_lose_and_double_nothing(tmp_path):
    rng = random.Random(7)
    store, folder = tmp_path / "store", tmp_path / "logs"
    folder.mkdir()
    log = folder / "train.log"
    environment = {**os.environ, "MONITOR_DIR": str(store)}
    command = [sys.executable, "-m", "monitor", "watch", str(folder)]
    step = 0

    def write(count):
        nonlocal step
        with log.open("a") as file:
            for _ in range(count):
                text = f"step {step} loss {1 / (step + 1):.6f}\n"
                file.write(text[:9])  # as a writer that fills a buffer does
                file.flush()
                file.write(text[9:])
                step += 1

    write(3)
    for kill in range(KILLS):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.set_blocking(process.stdout.fileno(), False)
        deadline = time.monotonic() + 30
        while not process.stdout.read() and process.poll() is None and time.monotonic() < deadline:
            write(rng.randrange(3))
            time.sleep(0.05)
        end = time.monotonic() + rng.uniform(0, 1.2)
        while time.monotonic() < end:
            write(rng.randrange(40))
            if rng.random() < 0.02 and kill % 5 == 0:
                log.rename(folder / f"train.log.{step}")
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        write(rng.randrange(5))
        if kill % 10 == 3:
            log.rename(folder / f"train.log.{step}")
            write(2)
    for _ in range(2):
        subprocess.run([*command, "--once"], env=environment, check=True, stdout=subprocess.DEVNULL, timeout=60)
        time.sleep(1.1)
    with Api(settings=Settings(dir=store)) as api:
        (run,) = api.runs()
        points = run.history("loss")
        assert run.info.attempt == 1 and not run.info.warnings
        assert points.steps.tolist() == list(range(step))
        assert np.allclose(points.values, 1 / (np.arange(step) + 1), atol=1e-6)
