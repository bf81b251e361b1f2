"""Draw the pictures of the documentation: both traces of every rule, and every run that is judged wrongly.

python benchmarks/draw_curves.py rules                 # docs/rules/*.svg, from the traces of the tests
python benchmarks/draw_curves.py failures [CORPUS]     # docs/diagnosis/, from the corpus; about a minute

CORPUS is a file as `calibrate_rules.py` reads it; of its runs those are drawn whose licence allows it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import calibrate_rules, score_corpus  # noqa: E402 - after the path is set
from benchmarks.corpus.runs import load  # noqa: E402
from benchmarks.curve_svg import Line, Mark, Panel, Rows, svg  # noqa: E402
from monitor.domain import RULE_NAMES  # noqa: E402
from monitor.rules import RulesConfig, diagnose  # noqa: E402
from tests.rules.test_rules import CALM, FIRING, HEALTHY, Trace  # noqa: E402

RULES, FAILURES = ROOT / "docs" / "rules", ROOT / "docs" / "diagnosis"
SPLITS = ("dev", "dev-2", "held")
"""What may be looked at; no run of the other halves is ever drawn."""
FREE = ("own", "MIT", "Apache-2.0", "BSD-3-Clause")
"""Licences under which a curve may be shown."""
OTHERS = {"convergence": "improving", "improving": "convergence"}
"""Rules whose healthy trace is the other's firing one."""


def rule_picture(rule: str) -> str:
    """The firing trace of a rule with its onset and the step at which it fires, and its healthy trace."""
    trace = FIRING[rule]
    found = next(f for f in trace.diagnose().findings if f.rule == rule)
    marks = [Mark(step=found.onset_step, kind="onset", label=f"onset {found.onset_step:g}")]
    marks.append(Mark(step=found.fired_step, kind="fire", label=f"fires {found.fired_step:g}"))
    name = rule.replace("_", " ")
    firing = Panel(
        title=f"{name}: fires", lines=lines(trace, rule), marks=marks, levels=levels(trace, rule), unit=trace.unit
    )
    calm = FIRING[OTHERS[rule]] if rule in OTHERS else CALM if trace.parts else HEALTHY
    healthy = Panel(title="healthy: silent", lines=lines(calm, rule), levels=levels(calm, rule), unit=calm.unit)
    return svg((firing, healthy), f"{name}: a trace on which it fires at step {found.fired_step:g}, and a healthy one")


def lines(trace: Trace, rule: str) -> list[Line]:
    """What the rule reads of a trace: the parts under their weights, the gradient norm, or the losses."""
    if trace.parts and rule not in OTHERS:
        shown = [Line(name=name, rows=_weighted(trace, name), colour=k) for k, name in enumerate(trace.parts)]
        return [*shown, Line(name="total", rows=_rows(trace.train), colour=2)] if rule == "parts_sum" else shown
    if rule.startswith("gradient") and trace.grad_norm is not None:
        return [Line(name="gradient norm", rows=_rows(trace.grad_norm), colour=2)]
    found = [Line(name="train", rows=_rows(trace.train), colour=0)]
    if trace.val is not None:
        found.append(Line(name="validation", rows=_rows(trace.val), colour=1))
    return found


def levels(trace: Trace, rule: str) -> dict[str, float]:
    """What the rule holds a loss against, where that is known: the chance level, or the floor."""
    known = {"initial_loss": "chance", "low_start": "chance", "impossible_loss": "floor"}
    value = (trace.loss or {}).get(known.get(rule, ""))
    return {f"{known[rule]} {value:g}": value} if isinstance(value, float) else {}


def _weighted(trace: Trace, name: str) -> Rows:
    rows, weight = _rows((trace.parts or {})[name]), (trace.weights or {}).get(name, 1.0)
    factor = weight if isinstance(weight, int | float) else _rows(weight)[:, 1]
    return np.column_stack([rows[:, 0], rows[:, 1] * factor])


def _rows(series: object) -> Rows:
    return np.asarray(series, float)


def run_picture(title: str, run: score_corpus.Run | calibrate_rules.Run, wrong: Sequence[str]) -> str:
    """A run with what is wrong about its verdict: where something fired, and where something should have begun."""
    found = diagnose(run.train, run.val, unit=run.unit, lr=run.lr, grad_norm=run.grad_norm)
    accused = {word.lstrip("+").split(" ")[0] for word in wrong if word.startswith("+")}
    marks = [Mark(step=f.fired_step, kind="fire", label=f.rule) for f in found.findings if f.rule in accused]
    stop = found.recommendation.first_stop_step
    if stop is not None and "stop" in accused:
        marks.append(Mark(step=stop, kind="onset", label="stop advised"))
    for name in sorted({word.lstrip("-") for word in wrong if word.startswith("-")}):
        due = _due(run, name)
        if due is not None:
            marks.append(Mark(step=due, kind="due", label=f"{name} begins"))
    curves = [Line(name="train", rows=run.train, colour=0), Line(name="validation", rows=run.val, colour=1)]
    told = [word[1:].removesuffix(" for a while") for word in wrong if word.startswith("+")]
    missed = [word[1:] for word in wrong if word.startswith("-")]
    note = f"labelled {', '.join(sorted(run.labels))}"
    note += f"; told: {', '.join(told)}" if told else ""
    note += f"; not told: {', '.join(missed)}" if missed else ""
    panel = Panel(title=title, note=note, lines=[c for c in curves if len(c.rows)], marks=_few(marks), unit=run.unit)
    return svg((panel,), f"{title}, {note}")


def said(wrong: Sequence[str]) -> list[str]:
    """Errors in words.

    >>> said(["-spike", "+stop at 80", "+overfitting for a while"])
    ['spike missed', 'a stop at 80', 'overfitting for a while, wrongly']
    """
    words = {"-": "{} missed", "+": "{}, wrongly"}
    return [f"a {w[1:]}" if w.startswith("+stop") else words[w[0]].format(w[1:].replace("_", " ")) for w in wrong]


def _few(marks: Sequence[Mark], most: int = 4) -> list[Mark]:
    """The first of the findings of each rule; a spiky run has dozens."""
    first: dict[str, Mark] = {}
    for mark in sorted(marks, key=lambda m: m.step):
        first.setdefault(mark.label, mark)
    return list(first.values())[:most]


def _due(run: score_corpus.Run | calibrate_rules.Run, name: str) -> float | None:
    """Where a condition that was missed begins, where that can be computed."""
    if isinstance(run, calibrate_rules.Run):
        return run.onset if name == "divergence" else None
    onsets = {"overfitting": run.overfitting_onset, "divergence": run.divergence_onset, "nan": run.nan_step}
    return onsets[name]() if name in onsets else None


def failures(corpus: Path | None) -> list[tuple[str, str, str, str]]:
    """(file name, title, what is wrong, picture) of every run that is judged wrongly and may be shown."""
    found = []
    for split in SPLITS:
        for run in (r for r in load(split) if r.confidence == "high"):
            wrong = score_corpus.wrong(run, calibrate_rules.judge(run, RulesConfig()))
            if wrong:
                found.append(_drawn(run.run_id, run, wrong))
    if corpus is not None:
        licences = _licences(corpus)
        for other in (r for r in calibrate_rules.load(corpus) if licences.get(r.run_id) in FREE):
            wrong = score_corpus.wrong(other, calibrate_rules.judge(other, RulesConfig()))  # type: ignore[arg-type]
            if wrong:
                title = _title(other.run_id)
                found.append(_drawn(title, other, wrong, f" ({other.source}, {licences[other.run_id]})"))
    return found


def _title(run_id: str) -> str:
    """The file and the place in it.

    >>> _title("ageron/handson-ml2:15_rnns_and_cnns.ipynb#cell18/0")
    '15_rnns_and_cnns, cell18'
    """
    _, path, *place = re.split(r"[:#]", run_id)
    return ", ".join([Path(path).stem, *(part.removesuffix("/0") for part in place)])


def _drawn(
    title: str, run: score_corpus.Run | calibrate_rules.Run, wrong: Sequence[str], origin: str = ""
) -> tuple[str, str, str, str]:
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return name, title + origin, ", ".join(said(wrong)), run_picture(title, run, wrong)


def _licences(corpus: Path) -> Mapping[str, str]:
    opened = gzip.open if corpus.suffix == ".gz" else open
    with opened(corpus, "rt", encoding="utf-8") as file:
        return {row["run_id"]: row.get("licence", "") for row in map(json.loads, file)}


def page(found: Sequence[tuple[str, str, str, str]]) -> str:
    """The gallery of the failures."""
    head = (
        "# Runs that are judged wrongly\n\n"
        f"Every run of the `{'`, `'.join(SPLITS)}` splits of the [corpus](../../benchmarks/corpus/README.md), and "
        "of\nthe development corpus of [the diagnosis](../diagnosis.md) where its licence allows it, whose verdict at "
        "the\nend is wrong, or which is calm and was told of trouble, or to stop, on the way. Drawn by `python\n"
        f"benchmarks/draw_curves.py failures`, rules {RulesConfig().hash}. Red: where a rule fired that should not "
        "have;\ndotted: where one should have begun.\n"
    )
    told = (f"\n## {title}\n\n{wrong}.\n\n![{title}: {wrong}]({name}.svg)\n" for name, title, wrong, _ in found)
    return head + "".join(told)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rules", "failures"))
    parser.add_argument("corpus", nargs="?", type=Path)
    args = parser.parse_args()
    folder = RULES if args.what == "rules" else FAILURES
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    if args.what == "rules":
        for rule in RULE_NAMES:
            (folder / f"{rule}.svg").write_text(rule_picture(rule), encoding="utf-8")
        return
    found = failures(args.corpus)
    for name, _, _, picture in found:
        (folder / f"{name}.svg").write_text(picture, encoding="utf-8")
    (folder / "README.md").write_text(page(found), encoding="utf-8")
    print(f"{len(found)} runs are judged wrongly")


if __name__ == "__main__":
    main()
