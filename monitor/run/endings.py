"""How a loop ended, in a word and a line."""

from __future__ import annotations

import contextlib
import traceback
from typing import Final

from monitor.domain import RunStatus
from monitor.errors import StopTraining
from monitor.limits import text

INTERRUPTED: Final = "stopped by user"
"""The error of a run that was ended from the keyboard."""


def ending(error: BaseException | None) -> tuple[str, str | None]:
    """The status and the error line that a loop's last exception stands for.

    >>> ending(ValueError("no data")), ending(None)
    (('failed', 'ValueError: no data'), ('finished', None))
    """
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return str(RunStatus.FINISHED), None
    if isinstance(error, StopTraining):
        return str(RunStatus.STOPPED), None
    if isinstance(error, KeyboardInterrupt):
        return str(RunStatus.FAILED), INTERRUPTED
    return str(RunStatus.FAILED), text(traceback.format_exception_only(error)[-1]).strip()


def error_line(error: object) -> str | None:
    """What a run failed with, in a line.

    >>> error_line(ValueError("no data")), error_line("no data"), error_line(None)
    ('ValueError: no data', 'no data', None)
    """
    if isinstance(error, BaseException):
        with contextlib.suppress(Exception):  # a user's exception may be anything
            return ending(error)[1]
    return None if error is None else text(error)
