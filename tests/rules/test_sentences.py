"""What the engine says of real runs reads well: no number that is none, none that is not rounded, no contradiction."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from benchmarks.corpus.runs import Run, load
from monitor.domain import Diagnosis, FindingState
from monitor.rules import diagnose

UGLY = {
    "a number that is none": r"\b(?:nan|inf|None)\b",
    "a share that rounds to nothing": r"(?<![\d.])0(?:\.0+)? ?%",
    "a negative share": r"(?<!\d)-\d[\d.]* ?%",
    "a share with an exponent": r"e[+-]\d+ ?%",
    "a share in the thousands": r"\d{4,}(?:\.\d+)? ?%",
    "a number that is not rounded": r"[1-9]\d*\.\d{6,}|(?<!\d)0\.0*[1-9]\d{5,}",
    "two spaces": r"  ",
    "two stops": r"\.\.|,,| [.,;:]",
    "more held than needed": r"held for 4 of 3",
}
CLASH = ("convergence", "stagnation")
"""Rules that say the opposite of each other."""


def prefixes(run: Run) -> Iterator[Diagnosis]:
    """What is said of a run at its end, and was said a third and a tenth of the way there."""
    for share in (1.0, 0.33, 0.1):
        train, val = (curve[: max(1, round(share * len(curve)))] for curve in (run.train, run.val))
        yield diagnose(train, val, unit=run.unit, lr=run.lr, grad_norm=run.grad_norm)


def sentences(found: Diagnosis) -> Iterator[str]:
    advice = found.recommendation
    yield found.headline
    yield advice.reason
    yield advice.patience.explanation if advice.patience else ""
    yield from (pending.explanation for pending in advice.pending)
    for finding in found.findings:
        yield finding.explanation
        yield finding.advice


def complaints(runs: list[Run]) -> list[str]:
    out = []
    for run in runs:
        for found in prefixes(run):
            for text in sentences(found):
                out += [f"{run.run_id}: {what}: {text}" for what, ugly in UGLY.items() if re.search(ugly, text)]
            firing = {f.rule for f in found.findings if f.state is FindingState.FIRING}
            out += [f"{run.run_id}: both {' and '.join(CLASH)}"] * firing.issuperset(CLASH)
            out += [f"{run.run_id}: {f.rule} over before it was told" for f in found.findings
                    if f.resolved_step is not None and f.resolved_step < f.fired_step]  # fmt: skip
    return out


def test_what_is_said_of_some_runs_reads_well() -> None:
    assert complaints([run for split in ("dev", "dev-2") for run in load(split)[::6]]) == []


@pytest.mark.slow
@pytest.mark.parametrize("split", ["dev", "dev-2", "held"])
def test_what_is_said_of_every_run_that_may_be_looked_at_reads_well(split: str) -> None:
    assert complaints(load(split)) == []
