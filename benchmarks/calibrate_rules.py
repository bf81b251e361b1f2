"""Re-derive the thresholds of the rules from a corpus of labelled curves, and print cross-validated figures.

    python benchmarks/calibrate_rules.py CORPUS [--rule NAME ...] [--jobs 2] [--json OUT]

The corpus is a `.jsonl` or `.jsonl.gz` file, one run a line: `run_id`, `source`, `unit` ("epoch" or "step"), `train`
and `val` (lists of [step, loss], what is not finite as "NaN", "Infinity" or "-Infinity"), `lr` and `grad_norm` alike
where they were logged, and `label` with `labels`, `ambiguous`, `confidence` and the onsets. For every rule each
combination of its grids is replayed over all runs. Then, for every source, the combination that is best on the *other*
sources judges this one: the figures of all sources together are what to expect on curves from elsewhere, as far as
sources differ from each other as new ones will.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.judge_many import ManyEngines
from monitor.domain import Finding
from monitor.roles import Role
from monitor.rules import RULE_NAMES, RulesConfig, diagnose
from monitor.rules.advice.conflicts import SILENCED_BY
from monitor.rules.registry import BUILT_IN
from monitor.rules.replay import merge

GRID: dict[str, tuple[dict[str, tuple[float, ...]], ...]] = {
    "nan": ({"confirm": (2,)},),
    "divergence": ({"rise": (0.1, 0.16, 0.25), "lost": (0.05, 0.1, 0.2), "z": (4, 6, 9)},),
    "overfitting": ({"rise": (0.01, 0.02, 0.04), "z": (3, 4, 6), "likely_z": (2.0, 2.5, 3.5)},),
    "stagnation": ({"progress": (0.03, 0.05, 0.08)},),
    "oscillation": ({"swing": (0.15, 0.25, 0.4), "share": (0.1, 0.15, 0.2), "turns": (3, 4, 5)},),
    "spike": ({"jump": (0.1, 0.15, 0.3), "z": (8, 12, 20), "record": (2.0, 3.0, 5.0)},),
    "convergence": ({"gain": (0.004, 0.008, 0.016), "way": (0.015, 0.03, 0.06)},),
}
"""By rule, the values of its thresholds: every combination within a group, the others of the rule at their defaults."""
NEEDS = SILENCED_BY
"""Rules that silence another one while they are out."""
CALM = {"healthy", "convergence", "improving"}
CRITICAL = {"nan", "divergence", "overfitting"}


@dataclass(frozen=True, slots=True)
class Run:
    """One labelled run; `train` and `val` are (n, 2), the others too where they were logged."""

    run_id: str
    source: str
    unit: str
    train: np.ndarray
    val: np.ndarray
    labels: frozenset[str]
    ambiguous: frozenset[str]
    onset: float | None
    lr: np.ndarray | None = None
    grad_norm: np.ndarray | None = None

    def truth(self, condition: str) -> bool | None:
        """None where the run does not count."""
        if condition == "convergence" and self.labels & {"healthy", "overfitting", "oscillation"}:
            return None
        return True if condition in self.labels else None if condition in self.ambiguous else False

    @property
    def calm(self) -> bool:
        """Nothing is wrong with it at any step."""
        return bool(self.labels & CALM) and "spike" not in self.labels


@dataclass(frozen=True, slots=True)
class Said:
    """What the engine said about a run."""

    firing: frozenset[str]
    ever: frozenset[str]
    stop: float | None


def load(path: Path) -> list[Run]:
    """The runs labelled with high confidence."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [_run(row) for row in rows if row["label"]["confidence"] == "high"]


def _run(row: Mapping[str, Any]) -> Run:
    series = {
        key: np.array([[float(x), float(y)] for x, y in row[key]]).reshape(-1, 2)
        for key in ("train", "val", "lr", "grad_norm")
        if key in row
    }
    label = row["label"]
    return Run(row["run_id"], row["source"], row["unit"], labels=frozenset(label["labels"]),
               ambiguous=frozenset(label["ambiguous"]), onset=label.get("divergence_onset_step"), **series)  # fmt: skip


def judge(run: Run, config: RulesConfig) -> Said:
    """The verdict at the end: what fires, and a spike or a NaN in any state."""
    # Whoever trained these says what the loss is; without that, a loss below zero ends no training.
    loss = {"comparable": True}
    found = diagnose(run.train, run.val, unit=run.unit, lr=run.lr, grad_norm=run.grad_norm, config=config, loss=loss)
    return _said(found.findings, found.recommendation.first_stop_step)


def judge_all(run: Run, configs: Sequence[RulesConfig]) -> list[Said]:
    """`judge` by many configurations, most of them alike, in a tenth of the time."""
    series = {Role.LR: run.lr, Role.GRAD_NORM: run.grad_norm, Role.TRAIN: run.train, Role.VAL: run.val}
    return [_said(own.findings.values(), own.stop) for own in ManyEngines(configs).judge(merge(series), run.unit)]


def _said(findings: Iterable[Finding], stop: float | None) -> Said:
    seen = list(findings)
    ever = frozenset(f.rule for f in seen)
    firing = frozenset(f.rule for f in seen if f.state == "firing")
    return Said(firing | (ever & {"spike", "nan"}), ever, stop)


def f1(pairs: Iterable[tuple[bool | None, bool]]) -> float:
    """F1 over (truth, said); NaN where there is nothing to find or to say."""
    seen = list(pairs)
    tp, fp, fn = (seen.count(pair) for pair in ((True, True), (False, True), (True, False)))
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else math.nan


def stop_cost(run: Run, stop: float | None) -> tuple[float, float]:
    """Share of the run saved, and regret as a share of the validation loss's range."""
    ends = [curve[i, 0] for curve in (run.train, run.val) for i in (0, -1)]
    first, length = min(ends[0], ends[2]), max(max(ends[1], ends[3]) - min(ends[0], ends[2]), 1e-12)
    saved = 0.0 if stop is None else max(0.0, 1 - (stop - first) / length)
    val = run.val[np.isfinite(run.val[:, 1])]
    if len(val) < 3:
        return saved, 0.0
    seen = val[:, 1] if stop is None else val[val[:, 0] <= stop, 1]
    lost = (seen.min() if len(seen) else val[0, 1]) - val[:, 1].min()
    return saved, float(lost / max(abs(val[0, 1] - val[:, 1].min()), 1e-12))


def merit(condition: str, runs: Sequence[Run], said: Sequence[Said]) -> float:
    """What a threshold is chosen by: F1, less what false alarms exceed 1 %, and a little for steps saved."""
    score = f1((run.truth(condition), condition in s.firing) for run, s in zip(runs, said, strict=True))
    calm = [condition in s.ever for run, s in zip(runs, said, strict=True) if run.calm]
    score = (0.0 if math.isnan(score) else score) - 3 * max(0.0, float(np.mean(calm or [0])) - 0.01) * (
        condition in CRITICAL
    )
    if condition == "overfitting":
        score += 0.3 * _mean(stop_cost(r, s.stop)[0] for r, s in zip(runs, said, strict=True) if condition in r.labels)
    return score


def calibrate(condition: str, runs: Sequence[Run], pool: Any) -> tuple[dict[str, float], float, float]:
    """The best combination on all runs, its F1, and the F1 with every source judged by thresholds from the others."""
    defaults = {rule.spec.name: rule.spec for rule in BUILT_IN}[condition].thresholds
    combos = [dict(zip(grid, values, strict=True)) for grid in GRID[condition] for values in product(*grid.values())]
    combos.sort(key=lambda c: sum(value != defaults[key].default for key, value in c.items()))  # ties: the defaults
    off = {name: False for name in RULE_NAMES if name != condition and name not in NEEDS.get(condition, ())}
    configs = [RulesConfig.from_mapping({**off, condition: combo}) for combo in combos]
    table = list(zip(*pool.map(partial(judge_all, configs=configs), runs, chunksize=4), strict=True))
    best = max(range(len(combos)), key=lambda i: merit(condition, runs, table[i]))
    crossed = []
    for source in sorted({run.source for run in runs}):
        rest = [i for i, run in enumerate(runs) if run.source != source]
        others = [runs[i] for i in rest]
        chosen = max(range(len(combos)), key=lambda c: merit(condition, others, [table[c][i] for i in rest]))
        crossed += [(runs[i].truth(condition), condition in table[chosen][i].firing)
                    for i, run in enumerate(runs) if run.source == source]  # fmt: skip
    fitted = f1((run.truth(condition), condition in s.firing) for run, s in zip(runs, table[best], strict=True))
    return combos[best], fitted, f1(crossed)


def report(runs: Sequence[Run], said: Sequence[Said]) -> dict[str, float]:
    """The figures of the defaults: F1 by condition, false alarms, stops."""
    both = list(zip(runs, said, strict=True))
    out = {f"F1 {name}": f1((r.truth(name), name in s.firing) for r, s in both) for name in GRID}
    calm = [s for r, s in both if r.calm]
    for name in ("overfitting", "divergence"):
        out[f"false alarms {name}"] = _mean(name in s.ever for s in calm)
    out["false alarms, any critical"] = _mean(bool(s.ever & CRITICAL) for s in calm)
    over = [stop_cost(r, s.stop) for r, s in both if "overfitting" in r.labels and "divergence" not in r.labels]
    out["overfitting runs: saved"] = _mean(saved for saved, _ in over)
    out["overfitting runs: regret"] = _mean(regret for _, regret in over)
    out["overfitting runs: regret over 2 %"] = _mean(regret > 0.02 for _, regret in over)
    out["improving runs stopped"] = _mean(s.stop is not None for r, s in both if "improving" in r.labels)
    healthy = [s for r, s in both if r.labels & {"healthy", "convergence"}]
    out["healthy runs stopped"] = _mean(s.stop is not None for s in healthy)
    diverged = [(r, s) for r, s in both if "divergence" in r.labels]
    out["diverged runs stopped"] = _mean(s.stop is not None for _, s in diverged)
    delays = [(s.stop - r.onset) / max(r.train[-1, 0] - r.train[0, 0], 1e-12)
              for r, s in diverged if s.stop is not None and r.onset is not None]  # fmt: skip
    out["diverged runs: median delay"] = float(np.median(delays)) if delays else math.nan
    return out


def _mean(values: Iterable[float]) -> float:
    seen = list(values)
    return float(np.mean(seen)) if seen else math.nan


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Re-derive the rules' thresholds from labelled curves.")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rule", nargs="*", choices=list(GRID), default=list(GRID))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    runs = load(args.corpus)
    with Pool(args.jobs) as pool:
        defaults = report(runs, pool.map(partial(judge, config=RulesConfig()), runs, chunksize=8))
        print(f"{len(runs)} runs, {len({run.source for run in runs})} sources, rules {RulesConfig().hash}\n")
        print("| with the default thresholds | figure |\n| --- | --- |")
        for name, value in defaults.items():
            print(f"| {name} | {value:.3f} |")
        print(
            "\n| rule | best thresholds | F1, fitted | F1, leave one source out |\n| --- | --- | --- | --- |",
            flush=True,
        )
        fitted: dict[str, object] = {}
        for name in args.rule:
            best, on_all, crossed = calibrate(name, runs, pool)
            fitted[name] = {"thresholds": best, "fitted": on_all, "crossed": crossed}
            text = ", ".join(f"{key} {value:g}" for key, value in best.items())
            print(f"| {name} | {text} | {on_all:.3f} | {crossed:.3f} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps({"defaults": defaults, "rules": fitted}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
