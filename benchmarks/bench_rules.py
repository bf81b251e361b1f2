"""The rules engine's cost: points per second in batches of 1,000, microseconds a point one at a time, bytes of state.

    python benchmarks/bench_rules.py            # about half a minute
    python benchmarks/bench_rules.py --smoke    # a few seconds, for the tests

CPU time of one core, the whole default rule set, and what ingest asks of every batch: verdict, headline, advice.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

from monitor.rules import Engine, EnginePoints, State

BATCH = 1000


def stream(n: int, every: int, with_grad: bool = False) -> EnginePoints:
    """A run that converges: `n` points, every `every`-th a validation loss (0: none)."""
    rng = np.random.default_rng(0)
    step = np.arange(float(n))
    role = np.zeros(n, "u1")
    if every:
        role[every - 1 :: every] = 1
    if with_grad:
        role[1::2] = 2
    return EnginePoints(role, step, 0.3 + 2 * np.exp(-6 * step / n) + 0.1 * rng.normal(size=n))


def batched(points: EnginePoints, size: int) -> tuple[float, State]:
    """CPU seconds of the whole stream in batches of `size`, and the last state."""
    engine = Engine()
    parts = [EnginePoints(points.role[i : i + size], points.step[i : i + size], points.value[i : i + size])
             for i in range(0, len(points), size)]  # fmt: skip
    state = engine.start()
    began = time.process_time()
    for part in parts:
        state = engine.update(state, part).state
    return time.process_time() - began, state


def main() -> None:
    """Print the table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    scale, repeats = (100, 1) if args.smoke else (1, 3)
    rows: list[dict[str, object]] = []
    for name, n, every, size, grad in (
        ("training only", 10_000_000 // scale, 0, BATCH, False),
        ("training only", 1_000_000 // scale, 0, BATCH, False),
        ("one validation in 1,000", 1_000_000 // scale, 1000, BATCH, False),
        ("one validation in 100", 100_000 // scale, 100, BATCH, False),
        ("training only, one at a time", 50_000 // scale, 0, 1, False),
        ("one validation in 50, one at a time", 50_000 // scale, 50, 1, False),
        ("with gradient norms, one at a time", 50_000 // scale, 0, 1, True),
    ):
        points = stream(n, every, grad)
        results = [batched(points, size) for _ in range(repeats)]
        seconds = statistics.median(seconds for seconds, _ in results)
        row: dict[str, object] = {"what": name, "points": n, "batch": size, "us_per_point": 1e6 * seconds / n}
        row |= {"points_per_s": n / seconds, "state_bytes": len(results[0][1].to_bytes())}
        rows.append(row)
        print(f"{name:36} {n:>10,} points, batches of {size:>5,}: {n / seconds / 1e6:8.3f} M points/s "
              f"{1e6 * seconds / n:8.3f} us a point, state {row['state_bytes']} bytes", flush=True)  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
