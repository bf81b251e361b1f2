"""False alarms on curves on which nothing happens: flat or falling, with noise that remembers.

    python benchmarks/null_curves.py                  # 10,000 runs of 5,000 checks, some 15 minutes on two cores
    python benchmarks/null_curves.py --runs 400       # fewer

Training and validation loss are `1`, or `1 + 2 exp(-10 t)`, each with Gaussian AR(1) noise of its own, of a standard
deviation of 0.05 and the autocorrelation of its row. A run counts when a critical finding fires at any of its steps;
runs that were told to stop at any step are counted beside it. The interval is Wilson's (95 %).
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator
from itertools import accumulate
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from monitor.rules import diagnose

MEMORY = (0.0, 0.5, 0.9, 0.97)
"""Autocorrelation of neighbouring points."""
CHECKS = 5000


def wandering(rng: np.random.Generator, n: int, memory: float) -> np.ndarray:
    """Gaussian AR(1) noise of unit variance, (n,)."""
    shocks = rng.normal(size=n) * np.sqrt(1 - memory**2)
    shocks[0] = rng.normal()
    return np.array(list(accumulate(shocks.tolist(), lambda before, shock: memory * before + shock)))


def judge(case: tuple[float, bool, int, int]) -> tuple[float, bool, tuple[str, ...], bool]:
    """What is said on one run: its row, the critical rules that fired at any step, and whether a stop was advised."""
    memory, falls, seed, checks = case
    rng = np.random.default_rng([seed, round(100 * memory), falls])
    step = np.arange(checks)
    base = 1 + 2 * falls * np.exp(-10 * step / checks)
    train, val = (base + 0.05 * wandering(rng, checks, memory) for _ in range(2))
    found = diagnose(np.c_[step, train], np.c_[step, val])
    rules = tuple(sorted({f.rule for f in found.findings if f.severity == "critical"}))
    return memory, falls, rules, found.recommendation.first_stop_step is not None


def cases(first: int, runs: int, checks: int) -> Iterator[tuple[float, bool, int, int]]:
    """As many runs of every row; a run's number is its seed."""
    for i in range(first, first + runs):
        yield MEMORY[i % len(MEMORY)], bool(i // len(MEMORY) % 2), i, checks


def interval(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z = 1.96
    centre, half = hits + z * z / 2, z * math.sqrt(hits * (n - hits) / n + z * z / 4)
    return (centre - half) / (n + z * z), (centre + half) / (n + z * z)


def main() -> None:
    """Print the table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--checks", type=int, default=CHECKS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with Pool(args.jobs) as pool:
        said = pool.map(judge, list(cases(args.first, args.runs, args.checks)), chunksize=16)
    rows = []
    print("| autocorrelation | curve | runs | critical finding | 95 % | told to stop | by rule |\n|" + " --- |" * 7)
    for memory in MEMORY:
        for falls in (False, True):
            own = [row for row in said if row[:2] == (memory, falls)]
            hits, stops = sum(bool(row[2]) for row in own), sum(row[3] for row in own)
            rules = {name: sum(name in row[2] for row in own) for name in sorted({r for row in own for r in row[2]})}
            low, high = interval(hits, len(own))
            rows.append({"memory": memory, "falls": falls, "runs": len(own), "critical": hits, "stops": stops, **rules})
            text = ", ".join(f"{name} {count}" for name, count in rules.items()) or "-"
            print(f"| {memory:g} | {'falling' if falls else 'flat'} | {len(own)} | {hits / len(own):.2%} | "
                  f"{low:.2%} to {high:.2%} | {stops / len(own):.2%} | {text} |")  # fmt: skip
    hits = sum(bool(row[2]) for row in said)
    print(f"\n{hits} of {len(said)} runs of {args.checks} checks raised a critical finding: {hits / len(said):.2%}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
