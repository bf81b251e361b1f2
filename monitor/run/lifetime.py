"""Tracks the open runs of this process, and handles exit and fork.

No signal handler is installed. A killed process leaves its journal; a process that exits finishes its runs.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import sys
from typing import TYPE_CHECKING, TypeVar

from monitor.shipping import courier

if TYPE_CHECKING:
    from monitor.run.run import Run

_R = TypeVar("_R", bound="Run")
_open: list[Run] = []
_current: list[Run] = []
_hooked = False
_hooked_pid = 0


def begin(run: Run) -> None:
    """Register an open run."""
    if run not in _open:
        _open.append(run)
    _hook_process()
    _hook_multiprocessing()


def opened() -> tuple[Run, ...]:
    """The runs of this process that are not finished."""
    return tuple(_open)


def end(run: Run) -> None:
    """Unregister a finished run."""
    for runs in (_open, _current):
        with contextlib.suppress(ValueError):
            runs.remove(run)


def make_current(run: _R) -> _R:
    """Make this the run of `monitor.log`."""
    _current.append(run)
    return run


def current_run() -> Run | None:
    """The last run made current that is not finished."""
    return _current[-1] if _current else None


def leak(thing: object) -> None:
    """Keep an object alive for the rest of the process.

    A forked child must not close its parent's database connections, which garbage collection would do.
    """
    if thing is not None:
        # A list in this module would be cleared at exit, and the connections closed after all.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _at_exit() -> None:
    from monitor.run.endings import ending

    error = getattr(sys, "last_value", None)
    interactive = hasattr(sys, "ps1") or "ipykernel" in sys.modules
    status, text = ending(None if interactive else error)
    for run in list(_open):
        run.finish(status, text)
    courier.close()


def _after_fork() -> None:
    leak(courier.forget())
    for run in _open:
        run._forked()
    _open.clear()  # the runs that the child logs to are added again


def _hook_process() -> None:
    """Finish runs at exit; a forked child leaves them to its parent."""
    global _hooked  # noqa: PLW0603  # once per process
    if _hooked:
        return
    _hooked = True
    atexit.register(_at_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)


def _hook_multiprocessing() -> None:
    """Finish runs in children of `multiprocessing` too: they skip `atexit` but run its own finalizers."""
    global _hooked_pid  # noqa: PLW0603  # one hook per process
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _hooked_pid != os.getpid():
        _hooked_pid = os.getpid()
        util.Finalize(None, _at_exit, exitpriority=10)
