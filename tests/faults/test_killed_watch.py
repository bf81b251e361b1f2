"""`monitor watch` is killed fifty times while a log grows and is rotated: each point is stored once."""

import random
import time

import numpy as np
import pytest

from monitor.reader.api import Api
from tests.faults.conftest import until

pytestmark = [pytest.mark.slow, pytest.mark.faults]
KILLS = 50


class Log:
    """A log that a training writes and somebody rotates."""

    def __init__(self, folder, rng):
        folder.mkdir()
        self._path, self._rng = folder / "train.log", rng
        self.step = 0

    def grow(self, most):
        with self._path.open("a") as file:
            for _ in range(self._rng.randrange(most)):
                text = f"step {self.step} loss {1 / (self.step + 1):.6f}\n"
                file.write(text[:9])  # as a writer that fills a buffer does
                file.flush()
                file.write(text[9:])
                self.step += 1

    def rotate(self):
        if self._path.exists():
            self._path.rename(self._path.with_name(f"train.log.{self.step}"))


def test_fifty_kills_lose_and_double_nothing(tmp_path, victim, place):
    rng = random.Random(7)
    log = Log(tmp_path / "logs", rng)
    command = ["watch", str(tmp_path / "logs")]
    log.grow(10)
    shown = 0
    for kill in range(KILLS):
        output = tmp_path / f"shown-{kill}"
        watch = victim.command(command, place, output)
        if kill % 2:  # it has sent something
            until(lambda output=output: output.exists() and output.stat().st_size > 0, 30)
        end = time.monotonic() + rng.uniform(0, 0.7)
        while time.monotonic() < end:
            log.grow(40)
            if rng.random() < 0.02:
                log.rotate()
            time.sleep(0.01)
        watch.kill()
        shown += output.exists() and output.stat().st_size > 0
        log.grow(5)
        if kill % 10 == 3:
            log.rotate()
    log.grow(5)
    last = victim.command(command, place, tmp_path / "last")
    with Api(settings=place) as api:
        until(lambda: [run.info.last_step for run in api.runs()] == [log.step - 1], 30)
        last.kill()
        (run,) = api.runs()
        points = run.history("loss")
        assert run.info.attempt == 1 and not run.info.warnings
        assert points.steps.tolist() == list(range(log.step))
        assert np.allclose(points.values, 1 / (np.arange(log.step) + 1), atol=1e-6)
    assert shown >= KILLS / 2
