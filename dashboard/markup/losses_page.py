"""What is known of a loss: its measured profile, its levels and traps, and advice for a task."""

from __future__ import annotations

import math
from typing import Final

from markupsafe import Markup

from dashboard import skill
from dashboard.markup import pieces
from dashboard.markup.templates import fill
from monitor import losses
from monitor.domain.formats import number
from monitor.losses import Advice, LossProfile, LossSpec

LEVELS: Final = {
    "chance_level": ("chance level", "the best prediction that does not look at its input"),
    "initial_level": ("a fresh network", "outputs of zero; where a run from scratch starts"),
    "floor": ("floor", "a perfect prediction; nothing scores below"),
}
"""Attribute of a specification to its name and its meaning."""
_PAGE: Final = "losses_page"


def profile(found: LossProfile) -> Markup:
    """The measured properties as a table."""
    return fill(_PAGE, "profile", table=pieces.table(("property", "measured"), found.rows()))


def sentences(found: LossProfile) -> Markup:
    """What a person should know of the loss, each with its numbers."""
    return fill(_PAGE, "sentences", found=found.findings, problems=[str(item) for item in found.problems])


def levels(spec: LossSpec) -> Markup:
    """Chance level, start and floor of a specification, its unit, and what misleads people about it."""
    rows = []
    for name, (label, meaning) in LEVELS.items():
        value: float | None = getattr(spec, name)
        shown = "not known from these parameters" if value is None else number(value)
        formula = f" = {spec.chance_formula}" if name == "chance_level" and value is not None else ""
        rows.append((label, shown + (formula if spec.chance_formula else ""), meaning))
    low, high = (number(v) if math.isfinite(v) else "no bound" for v in spec.range)
    rows.append(("range", f"{low} to {high}", f"in {spec.unit}, of the mean over elements"))
    rows.append(("skill", "yes" if spec.skill(0.0) is not None else "not defined", skill.MEANING))
    table = pieces.table((f"levels of {spec.name}", "", ""), rows, css="lm-wrap lm-flow")
    return fill(_PAGE, "levels", table=table, traps=spec.traps)


def judged(spec: LossSpec, value: float) -> Markup:
    """What a logged value means under a specification: impossible, or how far from chance to perfect it is."""
    wrong = losses.impossible(spec, value)
    if wrong is not None:
        return pieces.notice("critical", "Impossible.", wrong, testid="judged")
    score = spec.skill(value)
    if score is None:
        return pieces.notice("info", "Possible.", "This loss has no skill score here.", testid="judged")
    where = "above chance: worse than not looking at the input" if score < 0 else "between chance and perfect"
    kind = "warning" if score < 0 else "info"
    return pieces.notice(kind, f"Skill {score:.3f}.", f"The value lies {where}.", testid="judged")


def advice(found: Advice) -> Markup:
    """The candidates for a task, best first, with the reasons for and against each, and the remarks."""
    remarks = [[(said, i % 2 == 1) for i, said in enumerate(remark.split("`"))] for remark in found.remarks]
    return fill(_PAGE, "advice", found=found, remarks=remarks)
