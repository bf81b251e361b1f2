"""Which runs are open in this process, and what becomes of them when it ends or forks.

No signal handler is installed. A process that is killed leaves its journal; one that ends by itself finishes its runs.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from monitor.shipping import courier

if TYPE_CHECKING:
    from monitor.run.run import Run

_R = TypeVar("_R", bound="Run")
_open: list[Run] = []
_current: list[Run] = []
_hooked: set[str] = set()
_hooked_pid = 0


def begin(run: Run) -> None:
    """Note that a run is open."""
    if run not in _open:
        _open.append(run)
    if "process" not in _hooked:
        _hooked.add("process")
        atexit.register(_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork)
    _hook_multiprocessing()


def end(run: Run) -> None:
    """Note that a run is finished."""
    for runs in (_open, _current):
        with contextlib.suppress(ValueError):
            runs.remove(run)


def make_current(run: _R) -> _R:
    """Let `monitor.log` mean this run."""
    _current.append(run)
    return run


def current_run() -> Run | None:
    """The run that was made current last and is not finished."""
    return _current[-1] if _current else None


def in_background(call: Callable[[], None]) -> threading.Thread:
    """Run something once, off the training thread."""
    thread = threading.Thread(target=call, name="monitor-capture", daemon=True)
    thread.start()
    return thread


def leak(thing: object) -> None:
    """Keep an object for the rest of the process, even without references.

    A child of a fork must not close its parent's database connections, which happens when they are collected.
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
    _open.clear()  # those that the child logs to come back


def _hook_multiprocessing() -> None:
    """Children of `multiprocessing` leave without `atexit`; it has a hook of its own."""
    global _hooked_pid  # noqa: PLW0603  # one hook a process
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _hooked_pid != os.getpid():
        _hooked_pid = os.getpid()
        util.Finalize(None, _at_exit, exitpriority=10)
