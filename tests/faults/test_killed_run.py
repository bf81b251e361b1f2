"""`monitor run` is killed fifty times: what it had passed on is stored, once."""

import random
import re
import sys
import time

import pytest

from monitor.reader.api import Api
from tests.faults.conftest import recover, until

pytestmark = [pytest.mark.slow, pytest.mark.faults]
KILLS = 50
SCRIPT = """
import time
for i in range(10**6):
    print(f"step {i} loss {1 / (i + 1)}", flush=True)
    if i % 7 == 0:
        time.sleep(0.002)
"""


def test_fifty_kills_lose_and_double_nothing(tmp_path, victim, place):
    rng = random.Random(5)
    (tmp_path / "train.py").write_text(SCRIPT)
    shown = {}
    for kill in range(KILLS):
        name, output = f"run-{kill}", tmp_path / f"shown-{kill}"
        run = victim.command(["run", "--name", name, "--", sys.executable, "-I", "-S", "train.py"], place, output)
        if kill % 2:  # it has passed something on
            until(lambda output=output: output.exists() and output.stat().st_size > 0, 30)
        time.sleep(rng.uniform(0, 0.4))  # a random moment is what this test is about
        run.kill()
        text = output.read_bytes() if output.exists() else b""
        shown[name] = [int(step) for step in re.findall(rb"step (\d+) loss [\d.e-]+\n", text)]
    recover(place)
    with Api(settings=place) as api:
        runs = {run.info.name: run for run in api.runs()}
        assert set(runs) >= {name for name, seen in shown.items() if seen}
        for name, run in runs.items():
            seen, steps = shown[name], run.history("loss").steps.tolist() if run.series() else []
            assert steps == list(range(len(steps))), name
            assert seen == list(range(len(seen))) and len(steps) >= len(seen), name
            written = "".join(piece.text for piece in run.output(limit=10_000))
            kept = [int(step) for step in re.findall(r"step (\d+) loss", written)]
            assert kept == list(range(len(kept))) and len(kept) >= len(seen), name
    assert sum(map(bool, shown.values())) >= KILLS / 2
