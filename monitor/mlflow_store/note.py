"""The description of a run in MLflow: verdict, numbers, a link to the run's page. Pure functions.

A note that a person wrote or edited is never replaced. Ours ends in a line that Markdown does not show, with a checksum
of the rest: if it does not match, somebody has edited the note.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from monitor.domain import Action, FindingState, formats, whole
from monitor.importers.mlflow_runs import SKILL
from monitor.limits import cut
from monitor.mlflow_store.content import MAX_TAG, Subject, metrics_of, plain

NOTE: Final = "mlflow.note.content"
_MARK: Final = re.compile(r"(?P<text>.*)\n\n\[//\]: # \(monitor (?P<checksum>[0-9a-f]{16})\)\s*", re.DOTALL)
_ROOM: Final = 64
"""Characters reserved for the line with the checksum."""
_SHOWN: Final = 8
"""Most findings that a note names."""


def note_of(subject: Subject, there: str | None) -> str | None:
    """The note to write; None if a person wrote the existing one, or if it is already up to date.

    Args:
        there: the note in MLflow; None or empty if there is none.
    """
    if NOTE in subject.run.tags or not is_replaceable(there):
        return None
    text = plain(cut(_text(subject), MAX_TAG - _ROOM))
    note = f"{text}\n\n[//]: # (monitor {_checksum(text)})"
    return None if note == there else note


def is_replaceable(there: str | None) -> bool:
    """True if there is no note, or an unedited one of ours."""
    if not there or not there.strip():
        return True
    found = _MARK.fullmatch(there.replace("\r\n", "\n"))
    return found is not None and found["checksum"] == _checksum(found["text"])


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _text(subject: Subject) -> str:
    run, rec = subject.run, subject.run.recommendation
    parts = [f"**{_escaped(run.verdict)}**" + (f": {_escaped(run.headline)}" if run.headline else "")]
    if rec.action is not Action.CONTINUE:
        verb = str(rec.action).capitalize() + (" was advised" if run.status.ended else "")
        parts.append(f"**{verb}.** {_escaped(rec.reason)}")
    score = metrics_of(subject).get(SKILL)
    numbers = {
        "state": str(run.status),
        "last step": run.last_step,
        "best loss": None if rec.best_val_loss is None else f"{rec.best_val_loss:.6g}",
        "best step": whole(rec.best_step),
        "skill": None if score is None else f"{score:.3g}",
        "stop since step": whole(rec.stop_step),
        "stop asked for by": run.stop_requested,
        "error": run.error,
    }
    rows = [f"| {name} | {_cell(value)} |" for name, value in numbers.items() if value is not None]
    parts.append("\n".join(["| | |", "|---|---|", *rows]))
    firing = [finding for finding in subject.findings if finding.state is FindingState.FIRING]
    lines = [
        f"- **{_escaped(finding.rule)}** ({finding.severity}, since step {formats.step(finding.onset_step)}): "
        f"{_escaped(finding.explanation)} {_escaped(finding.advice)}".rstrip()
        for finding in firing[:_SHOWN]
    ]
    if lines:
        parts.append("\n".join(lines))
    if subject.page:
        parts.append(f"[The run's page]({subject.page})")
    return "\n\n".join(parts)


def _cell(value: object) -> str:
    return _escaped(str(value)).replace("|", "\\|")


def _escaped(text: str) -> str:
    """One line without active HTML, links and images: names of runs and rules may come from anybody."""
    return re.sub(r"([\\\[\]<>`])", r"\\\1", " ".join(text.split()))
