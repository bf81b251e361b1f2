"""Score the engine, and simple stopping rules beside it, on the labelled corpus of this repository.

python benchmarks/score_corpus.py --split dev dev-2 --failures  # tables, and every wrong verdict
python benchmarks/score_corpus.py --split held                  # tables, and how many verdicts are wrong
python benchmarks/score_corpus.py --split dev --export FILE     # the runs as calibrate_rules.py reads them

Runs labelled with low confidence are not scored. A rule says what fires at the end; `spike` and `nan` also what passed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.calibrate_rules import CRITICAL, Said, f1, judge, stop_cost  # noqa: E402 - after the path is set
from benchmarks.corpus.runs import CONDITIONS, SPLITS, Run, load  # noqa: E402
from monitor.rules import RulesConfig  # noqa: E402
from monitor.rules.lab.backtest import BAD_REGRET, patience_stop  # noqa: E402

GROUPS = ("divergence", "overfitting", "stagnation", "improving", "healthy")
"""Kinds of runs for the stops; a run joins the first that it is labelled with, convergence counting as healthy."""
NOTHING = frozenset[str]()
Policy = Callable[[Run], Said]


def patience(run: Run, evaluations: int) -> Said:
    """Keras' `EarlyStopping` and Lightning's, by their default patience; neither names a condition."""
    return Said(NOTHING, NOTHING, patience_stop(run.val, evaluations))


def prechelt(run: Run, kind: str, threshold: float, strip: int = 5) -> Said:
    """Prechelt (1998): GL stops `threshold` percent above the best, UP after so many strips that ended higher."""
    best, rises, strip_end = math.inf, 0, math.inf
    for i, (step, loss) in enumerate(run.val.tolist()):
        if not math.isfinite(loss):
            break
        best = min(best, loss)
        stop = kind == "gl" and best > 0 and 100 * (loss / best - 1) > threshold
        if kind == "up" and (i + 1) % strip == 0:
            rises, strip_end = (rises + 1 if loss > strip_end else 0), loss
            stop = rises >= threshold
        if stop:
            return Said(frozenset({"overfitting"}), frozenset({"overfitting"}), step)
    return Said(NOTHING, NOTHING, None)


POLICIES: dict[str, Policy] = {
    "ours": partial(judge, config=RulesConfig()),
    "Keras patience 10": partial(patience, evaluations=10),
    "Lightning patience 3": partial(patience, evaluations=3),
    "Prechelt GL5": partial(prechelt, kind="gl", threshold=5),
    "Prechelt UP3": partial(prechelt, kind="up", threshold=3),
}


def counts(runs: Sequence[Run], said: Sequence[Said], condition: str) -> tuple[int, int, int]:
    """True positives, false positives and false negatives among the runs that count."""
    pairs = [(run.truth(condition), condition in s.firing) for run, s in zip(runs, said, strict=True)]
    return pairs.count((True, True)), pairs.count((False, True)), pairs.count((True, False))


def figures(runs: Sequence[Run], said: Sequence[Said]) -> dict[str, float]:
    """F1, precision and recall by condition, false alarms on calm runs, and the stops by kind of run."""
    both = list(zip(runs, said, strict=True))
    out: dict[str, float] = {}
    for name in CONDITIONS:
        tp, fp, fn = counts(runs, said, name)
        out[f"{name}: precision"] = tp / (tp + fp) if tp + fp else math.nan
        out[f"{name}: recall"] = tp / (tp + fn) if tp + fn else math.nan
        out[f"{name}: F1"] = f1((r.truth(name), name in s.firing) for r, s in both)
    calm = [s for r, s in both if r.calm]
    for name in CONDITIONS[:-1]:
        out[f"calm: {name}"] = mean(name in s.ever for s in calm)
    out["calm: any critical"] = mean(bool(s.ever & CRITICAL) for s in calm)
    out["calm: stopped"] = mean(s.stop is not None for s in calm)
    for group in GROUPS:
        part = [(r, s) for r, s in both if kind(r) == group]
        costs = [stop_cost(r, s.stop) for r, s in part]
        out[f"{group} runs: number"] = len(part)
        out[f"{group} runs: stopped"] = mean(s.stop is not None for _, s in part)
        out[f"{group} runs: saved"] = mean(saved for saved, _ in costs)
        out[f"{group} runs: regret"] = mean(regret for _, regret in costs)
        out[f"{group} runs: bad"] = mean(regret > BAD_REGRET for _, regret in costs)
    delays = [delay for r, s in both if (delay := stop_delay(r, s.stop)) is not None]
    out["divergence runs: median delay"] = float(np.median(delays)) if delays else math.nan
    return out


def kind(run: Run) -> str | None:
    labels = run.labels | ({"healthy"} if "convergence" in run.labels else set())
    return next((group for group in GROUPS if group in labels), None)


def stop_delay(run: Run, stop: float | None) -> float | None:
    """From the onset of a divergence to the stop, as a share of the run."""
    onset = run.divergence_onset()
    if stop is None or onset is None:
        return None
    return (stop - onset) / max(float(run.train[-1, 0] - run.train[0, 0]), 1e-12)


def wrong(run: Run, said: Said) -> list[str]:
    """What is wrong with a verdict: `-name` for a condition that was missed, `+name` for one that is not there."""
    out = []
    for name in CONDITIONS:
        truth, says = run.truth(name), name in said.firing
        if truth is not None and truth != says:
            out.append(f"{'+' if says else '-'}{name}")
    if run.calm:
        out += [f"+{name} for a while" for name in sorted((said.ever & CRITICAL) - said.firing)]
        out += [] if said.stop is None else [f"+stop at {said.stop:g}"]
    return out


def mean(values: Iterable[float]) -> float:
    seen = list(values)
    return float(np.mean(seen)) if seen else math.nan


def cell(value: float, digits: int = 2) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)) + "\n"


def tables(runs: Sequence[Run], found: dict[str, dict[str, float]], ours: Sequence[Said]) -> str:
    """The figures as Markdown."""
    verdicts = [
        [name, str(sum(run.truth(name) is True for run in runs)), *map(str, counts(runs, ours, name)[1:])]
        + [cell(found["ours"][f"{name}: {what}"]) for what in ("precision", "recall", "F1")]
        for name in CONDITIONS
    ]
    alarms = [*(f"calm: {name}" for name in CONDITIONS[:-1]), "calm: any critical", "calm: stopped"]
    stops = [
        [name, *(stop_cells(row, group) for group in GROUPS), cell(row["divergence runs: median delay"])]
        for name, row in found.items()
    ]
    sizes = [f"{group} ({found['ours'][f'{group} runs: number']:.0f})" for group in GROUPS]
    return "\n".join(
        [
            table(["condition", "runs", "too many", "missed", "precision", "recall", "F1"], verdicts),
            f"Share of the {sum(run.calm for run in runs)} calm runs on which a rule ever fired:\n",
            table(
                ["", *(name.removeprefix("calm: ") for name in alarms)],
                ([name, *(cell(row[key]) for key in alarms)] for name, row in found.items()),
            ),
            f"Stopped / steps saved / mean regret / regret over {BAD_REGRET:.0%}:\n",
            table(["", *sizes, "delay after divergence"], stops),
        ]
    )


def stop_cells(row: dict[str, float], group: str) -> str:
    parts = (("stopped", 2), ("saved", 2), ("regret", 3), ("bad", 2))
    return " / ".join(cell(row[f"{group} runs: {what}"], digits) for what, digits in parts)


def exported(run: Run) -> dict[str, object]:
    """A run as `calibrate_rules.py` reads it."""
    counts_neither = sorted(name for name in CONDITIONS if run.truth(name) is None)
    label = {
        "labels": sorted(run.labels),
        "ambiguous": counts_neither,
        "confidence": run.confidence,
        "overfit_onset_step": run.overfitting_onset(),
        "divergence_onset_step": run.divergence_onset(),
        "nan_step": run.nan_step(),
    }
    curves = {key: [[x, str(y)] for x, y in curve.tolist()] for key, curve in (("train", run.train), ("val", run.val))}
    others = {key: curve.tolist() for key in ("lr", "grad_norm") if (curve := getattr(run, key)) is not None}
    return {"run_id": run.run_id, "source": run.source, "unit": run.unit, **curves, **others, "label": label}


def main(argv: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Command line; the figures of each policy."""
    parser = argparse.ArgumentParser(description="Score the engine on the labelled corpus.")
    parser.add_argument("--split", "--half", nargs="+", choices=SPLITS, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--failures", action="store_true", help="print every wrong verdict, not only how many")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--export", type=Path, help="write the runs for calibrate_rules.py (.jsonl.gz) and end")
    args = parser.parse_args(argv)
    runs = [run for split in args.split for run in load(split) if run.confidence == "high"]
    if args.export:
        text = "".join(json.dumps(exported(run)) + "\n" for run in runs)
        args.export.write_bytes(gzip.compress(text.encode()))
        return {}
    with Pool(args.jobs) as pool:
        said = {name: pool.map(policy, runs, chunksize=8) for name, policy in POLICIES.items()}
    found = {name: figures(runs, each) for name, each in said.items()}
    domains = len({run.source for run in runs})
    print(f"{' and '.join(args.split)}: {len(runs)} runs, {domains} domains, rules {RulesConfig().hash}\n")
    print(tables(runs, found, said["ours"]))
    failures = [(run, bad) for run, s in zip(runs, said["ours"], strict=True) if (bad := wrong(run, s))]
    print(f"Something is wrong with {len(failures)} verdicts.")
    if args.failures:
        for run, bad in failures:
            print(f"- {run.run_id} ({' '.join(sorted(run.labels))}: {run.reason}): {', '.join(bad)}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


if __name__ == "__main__":
    main()
