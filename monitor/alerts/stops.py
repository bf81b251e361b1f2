"""The alert that a stop is advised, where the loop itself is not told; pure."""

from __future__ import annotations

from monitor.domain import Alert, Recommendation, RunInfo, Severity
from monitor.domain.formats import step


def stop_alert(run: RunInfo, advice: Recommendation, *, acts: bool, now_ms: int) -> Alert:
    """A person is told that a run would have been stopped; once for each attempt.

    Args:
        run: the run, with `stop_step`.
        advice: why.
        acts: True where the monitor asks the loop itself, once the advice has stood.
        now_ms: milliseconds since the epoch.
    """
    then = (
        "The loop will be asked to stop if the advice stands."
        if acts
        else "The loop is not told: its mode is `alert`. To stop it: monitor runs stop " + run.id[:8]
    )
    return Alert.of(
        run,
        kind="stop",
        state="firing",
        severity=Severity.CRITICAL,
        title=f"{run.name}: would have stopped at step {step(run.stop_step)} ({run.project})",
        body=f"{advice.reason}\n{then}\nRun {run.id} of project {run.project}.",
        step=run.stop_step,
        created_ms=now_ms,
        dedup_key=f"{run.id}:stop:{run.attempt}",
    )
