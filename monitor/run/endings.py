"""How a loop ended: a status and one line."""

from __future__ import annotations

import contextlib
import traceback
from typing import Final

from monitor.domain import Reply, RunStatus
from monitor.errors import StopTraining
from monitor.limits import text

INTERRUPTED: Final = "stopped by user"
"""The error of a run that was interrupted by Ctrl-C."""


def ending(error: BaseException | None) -> tuple[str, str | None]:
    """The run status and error line for the exception that ended a loop."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return str(RunStatus.FINISHED), None
    if isinstance(error, StopTraining):
        return str(RunStatus.STOPPED), None
    if isinstance(error, KeyboardInterrupt):
        return str(RunStatus.FAILED), INTERRUPTED
    return str(RunStatus.FAILED), text(traceback.format_exception_only(error)[-1]).strip()


def error_line(error: object) -> str | None:
    """An error in one line."""
    if isinstance(error, BaseException):
        with contextlib.suppress(Exception):  # a user's exception may be anything
            return ending(error)[1]
    return None if error is None else text(error)


def stop_reason(reply: Reply) -> str:
    """Why the loop should stop, in one sentence."""
    if reply.stop_reason is not None:
        return reply.stop_reason
    if reply.stop_requested is not None:
        return f"{reply.stop_requested} asked the run to stop."
    return reply.recommendation.reason


def obeyed(asked_at: int | None, count: int) -> bool:
    """Whether a loop ended because it was asked to stop: it logged little afterwards.

    Args:
        asked_at: number of records when it was first asked; None: never.
        count: number of records at its end.
    """
    # A loop may finish an epoch first: up to 20 records, or 5 % of those before.
    return asked_at is not None and count - asked_at <= max(20, asked_at // 20)
