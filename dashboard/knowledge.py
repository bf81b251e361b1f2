"""What is known of a loss, as HTML: its measured profile, its levels and traps, and advice for a task."""

from __future__ import annotations

import math
import re
from typing import Final

from dashboard import markup, skill, words
from dashboard.markup import text
from monitor import losses
from monitor.losses import Advice, Candidate, LossProfile, LossSpec

LEVELS: Final = {
    "chance_level": ("chance level", "the best prediction that does not look at its input"),
    "initial_level": ("a fresh network", "outputs of zero; where a run from scratch starts"),
    "floor": ("floor", "a perfect prediction; nothing scores below"),
}
"""Attribute of a specification to its name and its meaning."""


def profile(found: LossProfile) -> str:
    """The measured properties as a table."""
    rows = [(text(label), text(value)) for label, value in found.rows()]
    return f'<div data-testid="profile">{markup.table(("property", "measured"), rows)}</div>'


def sentences(found: LossProfile) -> str:
    """What a person should know of the loss, each with its numbers."""
    listed = "".join(f"<li>{text(sentence)}</li>" for sentence in found.findings)
    return f'<h2>What was measured</h2><ul class="lm-list">{listed}</ul>'


def levels(spec: LossSpec) -> str:
    """Chance level, start and floor of a specification, its unit, and what misleads people about it."""
    rows = []
    for name, (label, meaning) in LEVELS.items():
        value: float | None = getattr(spec, name)
        shown = "not known from these parameters" if value is None else words.number(value)
        formula = f" = {spec.chance_formula}" if name == "chance_level" and value is not None else ""
        rows.append((text(label), text(shown + (formula if spec.chance_formula else "")), text(meaning)))
    low, high = (words.number(v) if math.isfinite(v) else "no bound" for v in spec.range)
    rows.append(("range", text(f"{low} to {high}"), text(f"in {spec.unit}, of the mean over elements")))
    rows.append(("skill", "yes" if _has_skill(spec) else "not defined", text(skill.MEANING)))
    traps = "".join(f"<li>{text(trap)}</li>" for trap in spec.traps)
    misleads = f'<h2>What misleads people</h2><ul class="lm-list">{traps}</ul>' if traps else ""
    table = markup.table((f"levels of {spec.name}", "", ""), rows, css="lm-wrap lm-flow")
    return f'<div data-testid="levels">{table}{misleads}</div>'


def _has_skill(spec: LossSpec) -> bool:
    return spec.skill(0.0) is not None


def judged(spec: LossSpec, value: float) -> str:
    """What a logged value means under a specification: impossible, or how far from chance to perfect it is."""
    wrong = losses.impossible(spec, value)
    if wrong is not None:
        return markup.notice("critical", "Impossible.", wrong, testid="judged")
    score = spec.skill(value)
    if score is None:
        return markup.notice("info", "Possible.", "This loss has no skill score here.", testid="judged")
    where = "above chance: worse than not looking at the input" if score < 0 else "between chance and perfect"
    kind = "warning" if score < 0 else "info"
    return markup.notice(kind, f"Skill {score:.3f}.", f"The value lies {where}.", testid="judged")


def advice(found: Advice) -> str:
    """The candidates for a task, best first, with the reasons for and against each, and the remarks."""
    cards = "".join(_candidate(rank, item) for rank, item in enumerate(found.candidates, 1))
    remarks = "".join(f"<li>{_with_code(remark)}</li>" for remark in found.remarks)
    return (
        f'<div data-testid="advice"><h2>Losses for {text(found.task)}</h2>{cards}'
        f'<h2>Besides</h2><ul class="lm-list">{remarks}</ul></div>'
    )


def _with_code(remark: str) -> str:
    """A remark as escaped HTML, with what stands between backticks set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(remark))


def _candidate(rank: int, item: Candidate) -> str:
    points = "".join(
        f'<li class="lm-{css}"><i aria-hidden="true">{sign}</i> {text(said)}</li>'
        for css, sign, sentences in (("pro", "+", item.pros), ("con", "-", item.cons))
        for said in sentences
    )
    kind = "good" if rank == 1 else "resolved"
    return (
        f'<article class="lm-card lm-card-{kind}" data-testid="candidate"><header><b>{rank}. {text(item.loss)}</b>'
        f'<code>{text(item.torch)}</code></header><ul class="lm-list lm-reasons">{points}</ul></article>'
    )
