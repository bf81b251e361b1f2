"""Draw the pictures of the rules: docs/rules/*.svg, from both traces of every rule in the tests."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.curve_svg import Line, Mark, Panel, Rows, svg  # noqa: E402 - after the path is set
from monitor.rules import RULE_NAMES  # noqa: E402
from tests.rules.test_rules import CALM, FIRING, HEALTHY, Trace  # noqa: E402

RULES = ROOT / "docs" / "rules"
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
    if rule.startswith("goal") and trace.goal is not None:
        return [Line(name="goal", rows=_rows(trace.goal), colour=2)]
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


def main() -> None:
    """Draw every rule."""
    for rule in RULE_NAMES:
        (RULES / f"{rule}.svg").write_text(rule_picture(rule), encoding="utf-8")


if __name__ == "__main__":
    main()
