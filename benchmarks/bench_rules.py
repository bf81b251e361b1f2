"""The rules engine's cost: points per second in batches of 1,000, microseconds a point one at a time, bytes of state.

    python benchmarks/bench_rules.py            # about two minutes
    python benchmarks/bench_rules.py --smoke    # a few seconds, for the tests

CPU time of one core, the whole default rule set, and what ingest asks of every batch: verdict, headline, advice. "As
ingest does" packs the state after every batch too. The floor of batches is numpy's, measured in turn with the engine:
look for non-finite values and extremes in the same batches, and sort them. That of single points is what a pure update
cannot do without: a copy of the state and of one sketch, a push, and an answer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from monitor.ingest.state_cache import packed
from monitor.rules import Engine, EnginePoints, State, Update

BATCH = 1000
LAYOUTS: dict[str, tuple[int, ...]] = {
    "training only": (0,),
    "one validation in 1,000": (0,) * 999 + (1,),
    "one validation in 100": (0,) * 99 + (1,),
    "one validation in 10": (0,) * 9 + (1,),
    "loss, gradient norm, rate each step": (0, 2, 3),
    "both losses each step": (0, 1),
    "fractional steps, one validation in 100": (0,) * 99 + (1,),
    "total and 2 parts each step": (4, 4, 0),
    "total and 8 parts each step": (4,) * 8 + (0,),
}
"""Roles in the order in which they are logged, again and again; at each step once, where none is logged but seldom."""
LOSS: dict[str, object] = {"chance_level": 2.3, "floor": 0.0, "range": [0.0, 100.0], "reduction": "mean"}
"""What a run usually says of its loss; the rules that read it are part of the cost."""


def stream(n: int, name: str, seed: int = 0) -> EnginePoints:
    """A run that converges, of `n` points in the layout of this name."""
    layout, rng = LAYOUTS[name], np.random.default_rng(seed)
    role = np.resize(np.array(layout, "u1"), n)
    step = np.arange(n) // (len(layout) if len(layout) < 10 else 1) / (64 if "fractional" in name else 1)
    value = 0.3 + 2 * np.exp(-6 * np.arange(n) / n) + 0.1 * rng.normal(size=n)
    value[role == 3] = 1e-3 * (1 + np.cos(np.pi * np.flatnonzero(role == 3) / n))
    many = sum(code == 4 for code in layout)
    if not many:
        return EnginePoints(role, step, value)
    value[role == 0] *= many
    part = np.resize(np.arange(len(layout), dtype="u2"), n)
    return EnginePoints(role, step, value, part, tuple(f"part_{i}" for i in range(len(layout))))


def cut(points: EnginePoints, size: int) -> list[EnginePoints]:
    """The points in batches of `size`."""
    arrays = (points.role, points.step, points.value)
    return [
        EnginePoints(
            *(array[i : i + size] for array in arrays),
            None if points.part is None else points.part[i : i + size],
            points.names,
        )
        for i in range(0, len(points), size)
    ]


def batched(batches: Sequence[EnginePoints], *, keep: bool = False) -> tuple[float, State]:
    """CPU seconds of all batches, and the last state; `keep` packs it after each."""
    engine = Engine()
    state = engine.start(loss=LOSS)
    began = time.process_time()
    for batch in batches:
        state = engine.update(state, batch).state
        if keep:
            packed(state, engine.config.hash)
    return time.process_time() - began, state


def floor(batches: Sequence[EnginePoints]) -> float:
    """CPU seconds of what cannot be done without, over the same batches."""
    if len(batches[0]) == 1:
        return _single_floor(batches)
    began = time.process_time()
    for batch in batches:
        value = batch.value
        np.isfinite(value).all()
        value.argmin(), value.argmax(), np.sort(value)
    return time.process_time() - began


def _single_floor(batches: Sequence[EnginePoints]) -> float:
    engine = Engine()
    state = engine.start(loss=LOSS)
    last = engine.update(state, batches[0])
    began = time.process_time()
    for batch in batches:
        state = state.fork()
        state.curve(0).push(float(batch.value[0]), float(batch.step[0]))
        last = Update(state, (), last.verdict, last.headline, last.recommendation, state.counts)
    return time.process_time() - began


def measure(name: str, streams: Sequence[EnginePoints], size: int, repeats: int, *, keep: bool = False) -> Mapping[
    str, str | float
]:  # fmt: skip
    """One row of the table: the medians of runs that take turns with the floor's."""
    many = [cut(points, size) for points in streams]
    runs = []
    for _ in range(repeats):
        least = sum(floor(batches) for batches in many)
        done = [batched(batches, keep=keep) for batches in many]
        runs.append((least, sum(seconds for seconds, _ in done), done[0][1]))
    n = sum(len(points) for points in streams)
    seconds = statistics.median(seconds for _, seconds, _ in runs)
    return {
        "what": name,
        "points": n,
        "batch": size,
        "ratio_to_floor": statistics.median(seconds / max(least, 1e-9) for least, seconds, _ in runs),
        "us_per_point": 1e6 * seconds / n,
        "points_per_s": n / max(seconds, 1e-9),
        "state_bytes": len(runs[0][2].to_bytes()),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    scale, repeats = (100, 1) if args.smoke else (1, 3)
    long = ("training only", "one validation in 100")
    cases = [(name, n, 1, BATCH) for n in (20_000, 100_000, 1_000_000) for name in LAYOUTS]
    cases += [(name, 10_000_000, 1, BATCH) for name in long]
    cases += [(name, 50_000, 1, 1) for name in LAYOUTS]
    cases += [(name, 20_000, 64, BATCH) for name in long]
    rows = []
    for name, n, many, size in cases:
        streams = [stream(max(n // scale, 20), name, seed) for seed in range(many if scale == 1 else min(many, 2))]
        said = f"{many} runs as ingest does: {name}" if many > 1 else name
        row = measure(said, streams, size, 1 if n > 1_000_000 else repeats, keep=many > 1)
        rows.append({**row, "load": os.getloadavg()[0]})
        print(f"{said:50} {row['points']:>10,} points, batches of {size:>5,}: "
              f"{float(row['points_per_s']) / 1e6:7.3f} M points/s, "
              f"{row['us_per_point']:7.3f} us a point, {row['ratio_to_floor']:5.1f} x floor, "
              f"state {row['state_bytes']} bytes", flush=True)  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
