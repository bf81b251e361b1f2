"""How often the forecast's 90 % interval holds what came, and how far off it is, beside "it stays where it is".

python benchmarks/forecast_coverage.py                 # the splits of the corpus that may be looked at
python benchmarks/forecast_coverage.py --corpus FILE   # a file as calibrate_rules.py reads it

Each calm run is cut at a third, a half and two thirds; what comes half as long again later is the median of the last
twentieth of the evaluations until then, three at least. Runs of fewer than twelve evaluations at the cut do not count,
nor cuts at which the engine makes no forecast.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import calibrate_rules  # noqa: E402 - after the path is set
from benchmarks.corpus.runs import Run, load  # noqa: E402
from monitor.rules import RulesConfig, diagnose  # noqa: E402

CUTS = (1 / 3, 1 / 2, 2 / 3)
LEAST = 12
"""Evaluations at the cut."""


def outcome(run: Run | calibrate_rules.Run, cut: float) -> tuple[bool, float, float] | None:
    """Whether the interval held what came, and the errors of the forecast and of no change, as shares of the range."""
    val = run.val[np.isfinite(run.val[:, 1])]
    if len(val) < LEAST:
        return None
    first = min(val[0, 0], run.train[0, 0]) if len(run.train) else val[0, 0]
    end = first + cut * (val[-1, 0] - first)
    seen = {name: rows[rows[:, 0] <= end] for name in ("train", "val", "lr", "grad_norm")
            if (rows := getattr(run, name)) is not None}  # fmt: skip
    if len(seen["val"]) < LEAST:
        return None
    told = diagnose(**seen, unit=run.unit).recommendation.forecast
    if told is None:
        return None
    until = val[val[:, 0] <= told.from_step + told.steps]
    if len(until) <= len(seen["val"]):
        return None
    came = float(np.median(until[-max(3, len(until) // 20) :, 1]))
    span = max(float(val[0, 1] - val[:, 1].min()), 1e-12)
    held = told.low <= came <= told.high
    return held, abs(came - told.expected) / span, abs(came - told.level) / span


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path)
    args = parser.parse_args()
    runs: Sequence[Run | calibrate_rules.Run]
    if args.corpus is not None:
        runs = calibrate_rules.load(args.corpus)
    else:
        runs = [run for split in ("dev", "dev-2") for run in load(split) if run.confidence == "high"]
    calm = [run for run in runs if run.calm]
    print(f"{len(calm)} calm runs, rules {RulesConfig().hash}\n")
    print("| cut at | forecasts | held by the 90 % interval | mean error | of no change |")
    print("| --- | --- | --- | --- | --- |")
    for cut in CUTS:
        found = [each for run in calm if (each := outcome(run, cut)) is not None]
        held, error, still = (float(np.mean([each[k] for each in found])) for k in range(3))
        print(f"| {cut:.2f} | {len(found)} | {held:.2f} | {error:.3f} | {still:.3f} |")


if __name__ == "__main__":
    main()
