"""The rules engine's cost: points per second in batches of 1,000, microseconds a point one at a time, bytes of state.

    python benchmarks/bench_rules.py            # about a minute
    python benchmarks/bench_rules.py --smoke    # a few seconds, for the tests

CPU time of one core, the whole default rule set, and what ingest asks of every batch: verdict, headline, advice. The
floor is numpy's, measured in the same run: look for non-finite values and extremes in the same batches, and sort them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from monitor.rules import Engine, EnginePoints, State

BATCH = 1000
LAYOUTS: dict[str, tuple[int, ...]] = {
    "training only": (0,),
    "one validation in 1,000": (0,) * 999 + (1,),
    "one validation in 100": (0,) * 99 + (1,),
    "one validation in 10": (0,) * 9 + (1,),
    "loss, gradient norm, rate each step": (0, 2, 3),
    "both losses each step": (0, 1),
}
"""Roles in the order in which they are logged, again and again."""


def stream(n: int, layout: tuple[int, ...]) -> EnginePoints:
    """A run that converges, of `n` points."""
    rng = np.random.default_rng(0)
    role = np.resize(np.array(layout, "u1"), n)
    step = np.floor(np.arange(n) / max(1, sum(r != 1 for r in layout) if len(layout) < 5 else 1))
    value = 0.3 + 2 * np.exp(-6 * np.arange(n) / n) + 0.1 * rng.normal(size=n)
    value[role == 3] = 1e-3 * (1 + np.cos(np.pi * np.flatnonzero(role == 3) / n))
    return EnginePoints(role, step, value)


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


def floor(points: EnginePoints, size: int) -> float:
    """CPU seconds of a numpy pass over the same batches."""
    began = time.process_time()
    for i in range(0, len(points), size):
        value = points.value[i : i + size]
        np.isfinite(value).all()
        value.argmin(), value.argmax(), np.sort(value)
    return time.process_time() - began


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    scale, repeats = (100, 1) if args.smoke else (1, 3)
    rows: list[dict[str, str | float]] = []
    cases = [(name, n, BATCH) for n in (100_000, 1_000_000, 10_000_000) for name in LAYOUTS]
    cases = [case for case in cases if case[1] < 10_000_000 or case[0] in ("training only", "one validation in 100")]
    for name, n, size in (*cases, *((name, 50_000, 1) for name in LAYOUTS)):
        points = stream(n // scale, LAYOUTS[name])
        runs = [(floor(points, size), *batched(points, size)) for _ in range(repeats)]
        seconds = statistics.median(seconds for _, seconds, _ in runs)
        ratio = statistics.median(seconds / max(least, 1e-9) for least, seconds, _ in runs)
        row: dict[str, str | float] = {"what": name, "points": len(points), "batch": size, "ratio_to_floor": ratio}
        row |= {"us_per_point": 1e6 * seconds / len(points), "points_per_s": len(points) / max(seconds, 1e-9)}
        row["state_bytes"] = len(runs[0][2].to_bytes())
        rows.append(row)
        print(f"{name:36} {len(points):>10,} points, batches of {size:>5,}: "
              f"{row['points_per_s'] / 1e6:7.3f} M points/s, "
              f"{row['us_per_point']:7.3f} us a point, {ratio:5.1f} x floor, state {row['state_bytes']} bytes",
              flush=True)  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
