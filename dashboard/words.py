"""Verdicts, statuses, actions and errors as people read them; numbers and times are `monitor.domain.formats`'."""

from __future__ import annotations

from typing import Final

from monitor.domain import Action, RunInfo, RunStatus, Severity
from monitor.errors import (
    Forbidden,
    MonitorError,
    RulesChanged,
    RulesError,
    ServerUnreachable,
    StoreBusy,
    StoreError,
    Unauthorized,
    WireError,
)
from monitor.rules import spec_of

MARKS: Final = {"critical": "▲", "warning": "◆", "info": "●", "good": "✓", "none": "…", "resolved": "○", "pending": "◌"}
"""A mark for each kind of chip and notice, so that none relies on colour alone."""
ACTION_WORDS: Final = {Action.CONTINUE: "Continue", Action.STOP: "Stop", Action.INVESTIGATE: "Investigate"}
PAST_WORDS: Final = {
    Action.CONTINUE: "No stop was advised",
    Action.STOP: "Stop was advised",
    Action.INVESTIGATE: "Worth a look",
}
ACTION_MARKS: Final = {Action.CONTINUE: "→", Action.STOP: "■", Action.INVESTIGATE: "?"}

STATUS_MEANING: Final[dict[RunStatus, str]] = {
    RunStatus.RUNNING: "The client's heartbeat arrives and its steps continue.",
    RunStatus.STALLED: "The heartbeat continues, but no new step has come for a long while.",
    RunStatus.LOST: "The heartbeat stopped without a finish: killed, crashed, or cut off.",
    RunStatus.FINISHED: "The loop said that it is done.",
    RunStatus.STOPPED: "The loop ended early because it was asked to stop.",
    RunStatus.FAILED: "The loop ended with an exception.",
}


def label(verdict: str) -> str:
    """A rule's name, a verdict or a status as a phrase.

    >>> label("gradient_explosion"), label("too_early"), label("nan")
    ('gradient explosion', 'too early to tell', 'NaN')
    """
    return {"too_early": "too early to tell", "nan": "NaN"}.get(verdict, verdict.replace("_", " "))


def severity_of(verdict: str) -> str:
    """Class of a verdict: a severity, "good" for healthy, "none" if nothing is judged, a custom rule's a warning.

    >>> severity_of("overfitting"), severity_of("healthy"), severity_of("not_judged"), severity_of("my_rule")
    ('critical', 'good', 'none', 'warning')
    """
    if verdict in ("healthy", "improving", "convergence"):
        return "good"
    spec = spec_of(verdict)
    return (
        "none" if verdict in ("too_early", "not_judged") else str(Severity.WARNING if spec is None else spec.severity)
    )


def kind_of(run: RunInfo) -> str:
    """Class of a run's verdict chip: what `severity_of` says, but nothing that failed is good."""
    kind = severity_of(run.verdict)
    return "resolved" if kind == "good" and run.status is RunStatus.FAILED else kind


AWAY: Final = ("The server does not answer.", "This page tries again and continues when it is back.")


def explain(error: MonitorError) -> tuple[str, str]:
    """A title and an explanation for a read error.

    >>> explain(ServerUnreachable("http://localhost:8470", "connection refused"))[0]
    'The server does not answer.'
    """
    for kind, title, body in _EXPLAINED:
        if isinstance(error, kind):
            return title, body or str(error)
    return "The run cannot be read.", str(error)


_EXPLAINED: Final[tuple[tuple[type[MonitorError], str, str], ...]] = (
    (ServerUnreachable, *AWAY),
    (Forbidden, "Your token may not do this.", ""),
    (Unauthorized, "You are not signed in.", "Reload the page to sign in with a token that the server knows."),
    (RulesChanged, "The rules have changed since this page was read.", ""),
    (RulesError, "The setting cannot be used.", ""),
    (StoreBusy, "The database is busy.", "This page tries again by itself."),
    (StoreError, "The database cannot be read.", ""),
    (WireError, "The query cannot be read.", ""),
)
"""By kind of error: a title, and a sentence if the error's own does not help. The first match counts."""
