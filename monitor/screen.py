"""Command output: data as JSON or as text for a person, errors as one line."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from monitor.domain import (
    Action,
    Diagnosis,
    Finding,
    FindingState,
    Pending,
    Recommendation,
    Regime,
    RunStatus,
    Severity,
    courses,
    folded,
    formats,
    inert,
    most_telling,
)
from monitor.domain.formats import number, plain, step
from monitor.errors import suggestion

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn
    from rich.table import Table

_PIPED = 160
"""Columns when the output is not a terminal."""

_BRACKET, _BACKSLASH = "\ufdd0", "\ufdd1"
"""Stand in for a bracket and a backslash of user text while Rich parses the markup around it.

They are noncharacters, so no text contains them, and `inert` escapes them.
"""
_HIDE: Final = {ord("["): _BRACKET, ord("\\"): _BACKSLASH}
_SHOW: Final = {ord(_BRACKET): "[", ord(_BACKSLASH): "\\"}


class Screen(Console):
    """A console that prints user text literally: it escapes control characters and restores what `escape` hid."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable. Rich's own control codes are separate segments and pass through."""
        for piece in super().render(renderable, options):
            if piece.control:
                yield piece
            else:
                yield Segment(inert(piece.text.translate(_SHOW), lines=True), piece.style)


out = Screen(highlight=False, emoji=False, width=None if sys.stdout.isatty() else _PIPED)
err = Screen(stderr=True, highlight=False, emoji=False, width=None if sys.stderr.isatty() else _PIPED)

COLOURS = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: "green"}
ACTIONS = {Action.STOP: "bold red", Action.INVESTIGATE: "bold yellow", Action.CONTINUE: "green"}
STATUSES = {
    RunStatus.RUNNING: "green",
    RunStatus.STALLED: "yellow",
    RunStatus.LOST: "red",
    RunStatus.FAILED: "red",
    RunStatus.STOPPED: "cyan",
    RunStatus.FINISHED: "default",
}


def fail(message: str, status: int = 2, *, lines: bool = False) -> NoReturn:
    """Print an error on standard error and exit.

    Args:
        message: what is wrong, where, and the fix.
        lines: True if the message has several lines, such as one that points at a character.
    """
    err.print(f"[bold red]error:[/] {escape(message, lines=lines)}", soft_wrap=not err.is_terminal)
    sys.exit(status)


def progress(*columns: ProgressColumn) -> Progress:
    """A progress bar on standard error, which disappears when it is done; none where that is not a terminal."""
    from rich.progress import Progress as Bar

    return Bar(*columns, console=err, transient=True, disable=not err.is_terminal)


def refuse_typo(what: str, value: str | None, known: Sequence[str], *, complete: bool = False) -> None:
    """Refuse a value that is close to one that there is; one that is close to none may be right.

    Args:
        what: a project, a status or a verdict.
        value: what was given; None: nothing.
        known: what there is.
        complete: there can be nothing else, so any other value is refused.
    """
    if value and value not in known and (hint := suggestion(value, known, None if complete else "")):
        fail(f"no {what} is called {value!r}; {hint}")


def emit(data: object, text: object, as_json: bool) -> None:
    """Print `data` as JSON on standard output, or `text` for a person."""
    if as_json:
        sys.stdout.write(json.dumps(data, indent=2, allow_nan=False) + "\n")
    else:
        out.print(text, soft_wrap=isinstance(text, str) and not out.is_terminal)


def table_of(*columns: str, right: Collection[str] = (), whole: Collection[str] = ()) -> Table:
    """A table without lines.

    Args:
        right: columns that are set to the right.
        whole: columns that are not wrapped.
    """
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column in whole)
    return table


def escape(text: object, *, lines: bool = False) -> str:
    """User text for use within Rich markup: it is printed literally.

    Args:
        lines: True to keep line breaks; otherwise they are shown as escapes.
    """
    return inert(str(text), lines=lines).translate(_HIDE)


def ago(then_ms: int | None) -> str:
    """How long ago a time was, in words."""
    return formats.ago(then_ms, time.time_ns() // 10**6)


def finding_lines(finding: Finding) -> str:
    """One finding with its steps, its explanation, its evidence and its advice, as Rich markup."""
    colour = COLOURS[finding.severity]
    steps = f"began at {step(finding.onset_step)}, fired at {step(finding.fired_step)}"
    if finding.resolved_step is not None:
        steps += f", resolved at {step(finding.resolved_step)}"
    # The headline above uses the newest points, the explanation those of when it fired.
    when = "[dim]When it fired:[/] " if finding.state is FindingState.FIRING else ""
    shown = ", ".join(f"{name}={plain(v)}" for name, v in finding.evidence.items() if v is not None)
    lines = [
        f"[{colour}]●[/] [bold]{escape(finding.rule)}[/] ({finding.state}, {finding.severity}; {steps})",
        f"  {when}{escape(finding.explanation)}",
        f"  [dim]{escape(shown)}[/]",
    ]
    if finding.advice:
        lines.append(f"  → {escape(finding.advice)}")
    return "\n".join(lines)


def findings_lines(findings: Sequence[Finding], *, every: bool = False) -> list[str]:
    """Firing findings in full, then resolved ones briefly. Old ones are folded into a count unless `every`."""
    shown, hidden = (most_telling(findings), ()) if every else folded(findings)
    lines = [_over(f) if f.state is FindingState.RESOLVED else finding_lines(f) for f in shown]
    if hidden:
        lines.append(f"[dim]○ and {len(hidden)} more, all resolved; --all lists them[/]")
    return lines


def _over(f: Finding) -> str:
    """A resolved finding: its steps and its explanation."""
    head = f"({f.state}, {f.severity}; began at {step(f.onset_step)}, fired at {step(f.fired_step)}"
    return f"[dim]○ {escape(f.rule)} {head}, resolved at {step(f.resolved_step)})\n  {escape(f.explanation)}[/]"


def pending_lines(pending: Sequence[Pending]) -> list[str]:
    """Findings that may fire soon, one line each, as Rich markup."""
    return [f"[{COLOURS[p.severity]}]…[/] [bold]{escape(p.rule)}[/] (pending) {escape(p.explanation)}" for p in pending]


def recommendation_lines(rec: Recommendation) -> list[str]:
    """The action (unless the run has ended), its reason, and what simple patience would do, as Rich markup."""
    best = ""
    if rec.best_step is not None and rec.action is not Action.STOP and not rec.ended:
        best = f" [dim](best {number(rec.best_val_loss)} at step {step(rec.best_step)})[/]"
    sure = "" if rec.confidence is None else f" [dim]Confidence {rec.confidence:.0%}.[/]"
    action = "" if rec.ended else f"[{ACTIONS[rec.action]}]{rec.action.upper()}[/] "
    lines = [f"{action}{escape(rec.reason)}{best}{sure}"]
    if rec.patience:
        lines.append(f"[dim]{escape(str(rec.patience.explanation))}[/]")
    return lines


def course_lines(regimes: Sequence[Regime]) -> list[str]:
    """One line per curve that describes its course."""
    return [f"[dim]{name}:[/] {escape(course)}" for name, course in courses(regimes).items()]


def diagnosis_text(diagnosis: Diagnosis, *, every: bool = False) -> str:
    """A complete diagnosis as Rich markup. `every` also lists findings that came and went long ago."""
    counts = diagnosis.counts
    lines = [
        f"[bold]{escape(diagnosis.verdict)}[/]: {escape(diagnosis.headline)}",
        *recommendation_lines(diagnosis.recommendation),
        *course_lines(diagnosis.regimes),
        *(f"[dim]{escape(line)}[/]" for line in diagnosis.progress.sentences()),
        "",
        *findings_lines(diagnosis.findings, every=every),
        *pending_lines(diagnosis.recommendation.pending),
    ]
    tail = formats.points(counts.train, counts.val, counts.goal)
    set_aside = (
        ("not finite", counts.non_finite),
        ("late", counts.late),
        ("of parts beyond the eight that are judged", counts.beyond),
    )
    tail += "".join(f", {value:,} {name}" for name, value in set_aside if value)
    if counts.unmapped:
        tail += f"; stored but not judged: {', '.join(counts.unmapped)}"
    return "\n".join([*lines, f"[dim]{escape(tail)}[/]"])


_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 48) -> str:
    """A curve as one line of block characters; values that are not finite are spaces.

    >>> sparkline([3, 1, 0, 1, 3], 5)
    '█▃▁▃█'
    """
    n = min(width, len(values))
    taken = [values[round(i * (len(values) - 1) / max(n - 1, 1))] for i in range(n)]
    finite = [value for value in taken if math.isfinite(value)]
    if not finite:
        return " " * n
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    scaled = (round(7 * (value - low) / span) if math.isfinite(value) else -1 for value in taken)
    return "".join(_BLOCKS[i] if i >= 0 else " " for i in scaled)
