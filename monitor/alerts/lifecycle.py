"""Turns changes of findings and of a run's status into alerts. Pure.

Findings of severity `info` are good news or context and stay on the run's page. Each message about one finding carries
the same `dedup_key`, so that a receiver can fold `resolved` into the `firing` it belongs to, as Alertmanager's
fingerprints do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from monitor.domain import Alert, Finding, FindingState, RunInfo, RunStatus, Severity
from monitor.domain.formats import duration, plain, step

EVIDENCE_SHOWN: Final = 12
"""Most numbers of a finding in a message; the run's page has them all."""

_STATUS_SEVERITY: Final = {
    RunStatus.LOST: Severity.CRITICAL,
    RunStatus.FAILED: Severity.CRITICAL,
    RunStatus.STALLED: Severity.WARNING,
}
ALERTED: Final = frozenset(_STATUS_SEVERITY)
"""The statuses that raise an alert."""


def alerts_for(run: RunInfo, changes: Sequence[Finding], *, now_ms: int) -> tuple[Alert, ...]:
    """The alerts that a batch's changes call for, in the order of the changes.

    Args:
        changes: findings that fired or resolved with this batch.

    Returns:
        One alert a change of a warning or critical finding; none for info and for pending findings.
    """
    return tuple(
        _finding_alert(run, finding, now_ms)
        for finding in changes
        if finding.severity is not Severity.INFO and finding.state is not FindingState.PENDING
    )


def status_alert(run: RunInfo, status: RunStatus, *, now_ms: int) -> Alert:
    """The alert for a run that turns lost, stalled or failed, or that comes back from it.

    Args:
        run: the run as it was before the change.
        status: what it becomes. Any status but lost, stalled and failed resolves the alert of `run.status`.

    Raises:
        ValueError: neither status is one that people are alerted of.
    """
    if status in _STATUS_SEVERITY:
        kind, state, severity = status, "firing", _STATUS_SEVERITY[status]
        title = f"{run.name} {_STATUS_TITLE[status]}"
    elif run.status in _STATUS_SEVERITY:
        kind, state, severity = run.status, "resolved", _STATUS_SEVERITY[run.status]
        title = f"{run.name} is {status}, no longer {run.status}"
    else:
        raise ValueError(f"no alert exists for a run that goes from {run.status} to {status}")
    return Alert.of(
        run,
        kind=str(kind),
        state=state,
        severity=severity,
        title=f"{title} ({run.project})",
        body="\n".join((*_status_lines(run, status, now_ms), _where(run))),
        step=run.last_step,
        created_ms=now_ms,
        dedup_key=f"{run.id}:{kind}:{run.attempt}",
    )


def finished_alert(run: RunInfo, status: RunStatus, *, now_ms: int) -> Alert:
    """The news that a run finished or was stopped, for channels that ask for it.

    Args:
        run: the run as it was before its end.
        status: how it ended, finished or stopped.
    """
    advice = run.recommendation.of_run_over(str(status))
    took = f"It took {duration(now_ms - run.created_ms)}; the last step was {step(run.last_step)}."
    return Alert.of(
        run,
        kind="finished",
        state="firing",
        severity=Severity.INFO,
        title=f"{run.name} {status} ({run.project})",
        body="\n".join((advice.reason, took, _where(run))),
        step=run.last_step,
        created_ms=now_ms,
        dedup_key=f"{run.id}:finished:{run.attempt}",
    )


_STATUS_TITLE: Final = {
    RunStatus.LOST: "is lost: its heartbeat stopped",
    RunStatus.STALLED: "is stalled: no new step arrives",
    RunStatus.FAILED: "failed",
}


def _finding_alert(run: RunInfo, finding: Finding, now_ms: int) -> Alert:
    resolved = finding.state is FindingState.RESOLVED
    at = finding.resolved_step if resolved else finding.fired_step
    what = finding.rule.replace("_", " ")
    title = (
        f"{run.name}: {what} resolved at step {step(at)}"
        if resolved
        else f"{run.name}: {what} since step {step(finding.onset_step)}"
    )
    return Alert.of(
        run,
        kind=finding.rule,
        state=str(finding.state),
        severity=finding.severity,
        title=f"{title} ({run.project})",
        body="\n".join(_finding_lines(run, finding)),
        step=at,
        created_ms=now_ms,
        dedup_key=f"{run.id}:{finding.rule}:{finding.number}",
    )


def _finding_lines(run: RunInfo, finding: Finding) -> list[str]:
    if finding.state is FindingState.RESOLVED:  # it says from when to when; the numbers are those of then
        return [finding.explanation, _where(run)]
    lines = [finding.explanation]
    if finding.advice:
        lines.append(f"What to do: {finding.advice}")
    numbers = [f"{k} = {plain(v)}" for k, v in finding.evidence.items() if v is not None]
    if numbers:
        more = f", and {len(numbers) - EVIDENCE_SHOWN} more" if len(numbers) > EVIDENCE_SHOWN else ""
        lines.append(f"Numbers: {', '.join(numbers[:EVIDENCE_SHOWN])}{more}.")
    return [*(line for line in lines if line), _where(run)]


def _status_lines(run: RunInfo, status: RunStatus, now_ms: int) -> list[str]:
    at = "before its first step" if run.last_step is None else f"at step {step(run.last_step)}"
    if status is RunStatus.LOST:
        return [
            f"No heartbeat for {_since(run.heartbeat_ms, now_ms)}; it was {at}.",
            "What to do: see whether the process and its machine are alive. What it had logged is in its journal and "
            'arrives with `monitor sync`; continue the run with resume="allow".',
        ]
    if status is RunStatus.STALLED:
        return [
            f"Its process is alive, but nothing was logged for {_since(run.last_point_ms or run.created_ms, now_ms)}; "
            f"it was {at}.",
            "What to do: look for a hanging data loader, a dead peer in a collective operation, or a debugger.",
        ]
    if status is RunStatus.FAILED:
        return [
            f"It ended with an exception {at}: {run.error}" if run.error else f"It failed {at}, without a message.",
            'What to do: mend the cause, then continue from the last checkpoint with resume="allow".',
        ]
    return [f"It was {run.status}; now it is {status}, {at}."]


def _where(run: RunInfo) -> str:
    return f"Run {run.id} of project {run.project}."


def _since(then_ms: int | None, now_ms: int) -> str:
    return "an unknown time" if then_ms is None else duration(now_ms - then_ms)
