"""The findings of the linter, as data and as text."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem.

    Attributes:
        check: the check that found it, such as "no_gradient".
        evidence: what was measured, one sentence.
        mend: the fix, one sentence.
    """

    check: str
    evidence: str
    mend: str

    def __str__(self) -> str:
        return f"{self.evidence} {self.mend}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintReport:
    """The problems of one loss.

    Attributes:
        name: of the loss.
        kind: how it was called; see `profiles.kinds`. Empty if it could not be called.
        problems: most serious first; empty if none was found.
        notes: how it was called, if that is unusual or leaves something unchecked.
    """

    name: str
    kind: str
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    def to_dict(self) -> dict[str, object]:
        """The report as strict JSON data."""
        listed = [asdict(item) for item in self.problems]
        return {"name": self.name, "kind": self.kind, "ok": self.ok, "problems": listed, "notes": list(self.notes)}

    def to_markdown(self) -> str:
        """The report as Markdown."""
        called = f", called as {self.kind}" if self.kind else ""
        lines = [f"- **{item.check}**: {item.evidence} *{item.mend}*" for item in self.problems]
        lines += [f"- {note}" for note in self.notes]
        start = f"**{self.name}**{called}:" + (" nothing wrong was found." if self.ok else "")
        return "\n".join([start, *(["", *lines] if lines else []), ""])
