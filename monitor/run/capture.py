"""Records the environment of a run off the training thread: commit, command line, packages, host, GPUs.

Each part is independent: one that cannot be read is left out. `MONITOR_CAPTURE` and `init(capture=...)` switch parts
off.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from monitor.captures import CAPTURES
from monitor.run.secrets import hide_command, hide_text

_GIT_S: Final = 5.0


def captured(kinds: Collection[str] = CAPTURES) -> dict[str, object]:
    """The environment of this process as strict JSON data.

    Args:
        kinds: which of `CAPTURES` to record.
    """
    parts: Mapping[str, tuple[str, Callable[[], object]]] = {
        "git": ("git", git_state),
        "argv": ("command", lambda: hide_command([sys.executable, *sys.argv])),
        "cwd": ("command", lambda: hide_text(str(Path.cwd()))),
        "python": ("packages", platform.python_version),
        "platform": ("host", platform.platform),
        "host": ("host", platform.node),
        "user": ("host", getpass.getuser),
        "cpu_count": ("host", os.cpu_count),
        "gpus": ("gpus", gpu_names),
        "packages": ("packages", packages),
    }
    found: dict[str, object] = {}
    for name, (kind, part) in parts.items():
        if kind not in kinds:
            continue
        with contextlib.suppress(Exception):  # any of these may fail in a sandbox, and none is essential
            value = part()
            if value not in (None, "", [], {}):
                found[name] = value
    return found


def git_state(folder: Path | None = None) -> dict[str, object] | None:
    """Commit, branch and whether tracked files are modified; None outside a repository.

    Args:
        folder: where to look; by default the folder of the script, else the current one.
    """
    script = Path(sys.argv[0]) if sys.argv and sys.argv[0] else Path()
    where = folder or (script.resolve().parent if script.is_file() else Path.cwd())
    commit = _git(where, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git(where, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit,
        "branch": _git(where, "rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": bool(changed),
        "changed_files": len(changed.splitlines()) if changed else 0,
    }


def packages() -> dict[str, str]:
    """Installed distributions and versions, read from folder names because that takes only a millisecond."""
    found: dict[str, str] = {}
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in os.scandir(folder):
            stem, _, kind = entry.name.rpartition(".")
            if kind == "dist-info" and "-" in stem:
                name, _, version = stem.partition("-")
                found[name.replace("_", "-").lower()] = version
    return dict(sorted(found.items()))


def gpu_names() -> list[str]:
    """Names of the NVIDIA GPUs as the driver lists them, without loading a GPU library."""
    names = []
    for info in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return names


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            # Without optional locks, a look at the repository cannot get in the way of the user's own git.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
