"""How often each kind of advice is right on labelled curves, beside the confidence that the engine states.

    python benchmarks/advice_reliability.py CORPUS [CORPUS ...]

A stop counts when it is first advised: it is right where the run overfits, diverges or ends in NaN, and the validation
loss finds no better value later, by 2% of its range. All other advice counts at the end of the run: `look` is right
where something is labelled as wrong, `continue` where a stop would be wrong. The interval is a 95% bootstrap over
sources. The last columns cross-validate: each source is judged by the share of right advice on the other ones, and
both this and the stated confidence are scored by the mean squared error (Brier).
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.calibrate_rules import CALM, CRITICAL, Run, load, stop_cost  # noqa: E402 - after the path is set
from monitor.domain import Action, Recommendation  # noqa: E402
from monitor.rules import RulesConfig, diagnose  # noqa: E402
from monitor.rules.advice.recommend import CONFIDENCE  # noqa: E402

BAD = 0.02
BOOTS = 2000


class Advice(NamedTuple):
    """One piece of advice on a run."""

    kind: str
    source: str
    right: bool


def advice_on(run: Run) -> Iterator[Advice]:
    """What counts of the advice on a run: its first stop, and what is said at its end."""
    said = _said(run, np.inf)
    stop = said.first_stop_step
    if stop is not None:
        kind = _kind(_said(run, stop))
        if kind:
            right = bool(run.labels & CRITICAL) and stop_cost(run, stop)[1] <= BAD
            yield Advice(kind, run.source, right)
    if said.confidence is not None and said.action is Action.INVESTIGATE:
        yield Advice("look", run.source, not run.labels <= CALM)
    if said.confidence is not None and said.action is Action.CONTINUE:
        yield Advice("continue", run.source, not run.labels & CRITICAL)


def _said(run: Run, until: float) -> Recommendation:
    train, val = (rows[rows[:, 0] <= until] for rows in (run.train, run.val))
    return diagnose(train, val, unit=run.unit, loss={"comparable": True}).recommendation


def _kind(said: Recommendation) -> str:
    """Which of the confidences a stop states; "" where it is of no kind that is measured."""
    if said.action is not Action.STOP:
        return ""
    if " is likely since " in said.reason:
        return "likely"
    risen = said.rule == "overfitting" and said.confidence == CONFIDENCE["risen"]
    return "risen" if risen else str(said.rule)


def crossed(found: Sequence[Advice], told: float) -> tuple[float, float]:
    """The Brier scores of the share on the other sources, and of what is told."""
    names = sorted({each.source for each in found})
    ours, stated = [], []
    for name in names:
        rest = [each.right for each in found if each.source != name]
        share = (sum(rest) + 1) / (len(rest) + 2)
        own = [each.right for each in found if each.source == name]
        ours += [(right - share) ** 2 for right in own]
        stated += [(right - told) ** 2 for right in own]
    return float(np.mean(ours)), float(np.mean(stated))


def interval(found: Sequence[Advice]) -> tuple[float, float]:
    """A 95% bootstrap interval of the share that is right, over sources."""
    by_source: dict[str, list[bool]] = defaultdict(list)
    for each in found:
        by_source[each.source].append(each.right)
    groups, rng = list(by_source.values()), np.random.default_rng(0)
    shares = []
    for _ in range(BOOTS):
        drawn = [right for at in rng.integers(len(groups), size=len(groups)) for right in groups[at]]
        shares.append(np.mean(drawn))
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="+")
    runs = [run for path in parser.parse_args().corpus for run in load(path)]
    found = [each for run in runs for each in advice_on(run)]
    print(f"{len(runs)} runs, {len({run.source for run in runs})} sources, rules {RulesConfig().hash}\n")
    print("| advice | times | right | 95% | stated | Brier, other sources | Brier, stated |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind, told in CONFIDENCE.items():
        own = [each for each in found if each.kind == kind]
        if not own:
            print(f"| `{kind}` | 0 | | | {told:g} | | |")
            continue
        low, high = interval(own)
        ours, stated = crossed(own, told)
        share = np.mean([each.right for each in own])
        print(
            f"| `{kind}` | {len(own)} | {share:.2f} | {low:.2f} to {high:.2f} | {told:g} | {ours:.3f} | {stated:.3f} |"
        )


if __name__ == "__main__":
    main()
