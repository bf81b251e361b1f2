"""Draw the pictures of the rules: docs/rules/*.svg, from the examples of `monitor.rules.lab`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.curve_svg import Line, Mark, Panel, svg  # noqa: E402 - after the path is set
from monitor.rules import RULE_NAMES  # noqa: E402
from monitor.rules.lab.examples import CALM, FIRING, HEALTHY, Trace, levels, shown  # noqa: E402

RULES = ROOT / "docs" / "rules"
COLOURS = {"train": 0, "validation": 1, "total": 2, "goal": 2, "gradient norm": 2}
"""Of what is no part; parts take theirs in order."""
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
    """What the rule reads of a trace, in its colours."""
    found = enumerate(shown(trace, rule))
    return [Line(name=name, rows=rows, colour=COLOURS.get(name, k)) for k, (name, rows) in found]


def main() -> None:
    """Draw every rule."""
    for rule in RULE_NAMES:
        (RULES / f"{rule}.svg").write_text(rule_picture(rule), encoding="utf-8")


if __name__ == "__main__":
    main()
