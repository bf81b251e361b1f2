"""The alert for advice to stop that does not reach the loop. Pure.

A stop may be advised before its rule's finding is certain, or long after that was reported. It is reported as an alert
of that rule, so that one trouble is one alert: acknowledging, silencing or inhibiting the rule applies to it too.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.domain import Action, Alert, Recommendation, RunInfo, Severity
from monitor.domain.formats import step
from monitor.stop_modes import merged, mode_for


def stop_alert(run: RunInfo, advice: Recommendation, *, now_ms: int) -> Alert:
    """The message that a run would have been stopped.

    Args:
        run: the run, with `stop_step`.
    """
    title = f"{str(advice.rule).replace('_', ' ')}, would have stopped at step {step(run.stop_step)}"
    return _alert(run, str(advice.rule), "firing", title, advice.reason, now_ms)


def no_stop_alert(run: RunInfo, rule: str, *, now_ms: int) -> Alert:
    """The message that a stop is no longer advised, though the rule never fired."""
    title = f"{rule.replace('_', ' ')} no longer likely at step {step(run.last_step)}"
    return _alert(run, rule, "resolved", title, f"A stop is no longer advised. {run.recommendation.reason}", now_ms)


def what_becomes_of(run: RunInfo, modes: Mapping[str, str]) -> str:
    """What happens to advice to stop, and what a person can do; empty if the advice reaches the loop.

    Args:
        modes: what the server's settings say for the run's project.
    """
    advice = run.recommendation
    mode = mode_for(merged(modes, run.stop_modes or {}), advice.rule)
    if advice.action is not Action.STOP or run.stop_step is None or run.status.ended:
        return ""
    return {
        "alert": f"The loop is not told: its mode is alert. To stop it: monitor runs stop {run.id[:8]}",
        "stop": "The loop will be asked to stop if the advice stands.",
    }.get(mode, "")


def _alert(run: RunInfo, rule: str, state: str, title: str, body: str, now_ms: int) -> Alert:
    return Alert.of(
        run,
        kind=rule,
        state=state,
        severity=Severity.CRITICAL,
        title=f"{run.name}: {title} ({run.project})",
        body=f"{body}\nRun {run.id} of project {run.project}.",
        step=run.stop_step if state == "firing" else run.last_step,
        created_ms=now_ms,
        dedup_key=f"{run.id}:{rule}:stop",
    )
