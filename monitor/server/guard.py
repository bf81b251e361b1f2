"""Runs a command, and ends it when the parent of this script is gone, even by SIGKILL.

It is run as a script, not imported: `python guard.py COMMAND…`. Its standard input is a pipe whose other end the parent
holds and never writes to. The operating system closes that end when the parent dies, however it dies; end of input is
the signal. On Linux, the command is also killed if this script itself is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE_S = 3.0
"""Seconds between SIGTERM and SIGKILL."""
_PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> int:
    """Run the command until it ends or the parent does.

    Returns:
        The command's exit status; 0 if it was ended for its parent.
    """
    posix = os.name == "posix"
    # Ctrl-C reaches the whole foreground group, but the parent decides what ends, and when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=posix,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # no thread runs yet
    )
    over = threading.Event()
    if posix:
        signal.signal(signal.SIGTERM, lambda *_: over.set())
    threading.Thread(target=_watch_parent, args=(over,), daemon=True).start()
    while not over.wait(0.1):
        if child.poll() is not None:
            _signal_group(child, _KILL)
            return child.returncode if child.returncode >= 0 else 128 - child.returncode
    _end(child)
    return 0


def _watch_parent(over: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    over.set()


def _end(child: subprocess.Popen[bytes]) -> None:
    _signal_group(child, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_S)
    _signal_group(child, _KILL)
    child.wait()


_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    """Signal the command and everything that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(child.pid, number)
        elif child.poll() is None:
            child.terminate()


def _die_with_parent() -> None:
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
