"""How much hangs on each threshold of the rules: every one is moved on its own, over a corpus of labelled curves.

    python benchmarks/sensitivity.py CORPUS [--rule NAME ...] [--jobs 2] [--json OUT]

The corpus is that of `calibrate_rules.py`. Each threshold of each rule that the corpus has labels for is set to half,
0.7, 1.4 and twice its default, all else as it ships. Printed are F1 and the steps saved on overfitting runs at 0.7, 1
and 1.4 times the default, the largest share of healthy or improving runs stopped among the three, the factor that is
best on all runs, and F1 with every source judged by the factor that is best on the others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path

from benchmarks.calibrate_rules import Run, Said, f1, judge_all, load, merit, report
from monitor.rules import RulesConfig
from monitor.rules.registry import BUILT_IN

FACTORS = (1.0, 0.7, 1.4, 0.5, 2.0)
CONDITIONS = ("nan", "divergence", "spike", "oscillation", "convergence", "stagnation", "overfitting", "improving")


def moved(rule: str, name: str, factor: float) -> RulesConfig:
    """The defaults with one threshold moved, as far as it may go."""
    threshold = next(r.spec for r in BUILT_IN if r.spec.name == rule).thresholds[name]
    value = min(max(threshold.default * factor, threshold.low), threshold.high)
    return RulesConfig() if factor == 1 else RulesConfig.from_mapping({rule: {name: value}})


def crossed(rule: str, runs: Sequence[Run], table: Mapping[float, Sequence[Said]]) -> float:
    """F1 where each source is judged by the factor that is best on the other sources; ties go to the default."""
    pairs = []
    for source in {run.source for run in runs}:
        rest = [i for i, run in enumerate(runs) if run.source != source]
        others = [runs[i] for i in rest]
        best = max(FACTORS, key=lambda factor: merit(rule, others, [table[factor][i] for i in rest]))
        pairs += [(runs[i].truth(rule), rule in table[best][i].firing)
                  for i, run in enumerate(runs) if run.source == source]  # fmt: skip
    return f1(pairs)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rule", nargs="*", choices=CONDITIONS, default=CONDITIONS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    runs, rows = load(args.corpus), []
    heads = ("threshold", "default", "F1 at 0.7 / 1 / 1.4", "saved", "calm stopped, at most", "best", "F1, crossed")
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    specs = {rule.spec.name: rule.spec for rule in BUILT_IN}
    names = [(rule, name) for rule in args.rule for name in specs[rule].thresholds]
    configs = [RulesConfig(), *(moved(*one, f) for one in names for f in FACTORS[1:])]
    with Pool(args.jobs) as pool:
        plain, *said = zip(*pool.map(partial(judge_all, configs=configs), runs, chunksize=4), strict=True)
    others = len(FACTORS) - 1
    for at, (rule, name) in enumerate(names):
        table = dict(zip(FACTORS, (plain, *said[others * at : others * (at + 1)]), strict=True))
        scores = {f: f1((r.truth(rule), rule in s.firing) for r, s in zip(runs, table[f], strict=True))
                  for f in FACTORS}  # fmt: skip
        reports = {f: report(runs, table[f]) for f in (0.7, 1.0, 1.4)}
        calm = max(max(r["healthy runs stopped"], r["improving runs stopped"]) for r in reports.values())
        best = max(FACTORS, key=lambda f: merit(rule, runs, table[f]))
        default = specs[rule].thresholds[name].default
        row = {"threshold": f"{rule}.{name}", "default": default, "best": best, "calm_stopped": calm,
               "crossed": crossed(rule, runs, table), "f1": {str(f): scores[f] for f in FACTORS},
               "saved": {str(f): reports[f]["overfitting runs: saved"] for f in reports}}  # fmt: skip
        rows.append(row)
        print(f"| {rule}.{name} | {default:g} | "
              + " / ".join(f"{scores[f]:.2f}" for f in (0.7, 1.0, 1.4)) + " | "
              + " / ".join(f"{reports[f]['overfitting runs: saved']:.3f}" for f in (0.7, 1.0, 1.4))
              + f" | {calm:.3f} | {best:g} | {row['crossed']:.2f} |")  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
