"""Measurements of the machine while a run trains, every ten seconds and off the training thread.

They are logged as `system/...` beside the run's own metrics, at the step the loop is at, and are not judged.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

INTERVAL_S: Final = 10.0
_MIB: Final = 1024 * 1024


class SystemSampler:
    """Reads counters of the kernel and, where `pynvml` is installed, of the graphics cards.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._machine = _machine_times()
        self._process = (clock(), time.process_time())
        self._gpus = _gpu_handles()

    def sample(self) -> dict[str, float]:
        """What is measured now; shares are since the last sample, in percent. What cannot be read is not there."""
        found: dict[str, float] = {}
        for part in (self._cpu, _memory, self._gpu):
            with contextlib.suppress(Exception):  # a container may hide any of it
                found.update(part())
        return found

    def _cpu(self) -> dict[str, float]:
        now, spent = self._clock(), time.process_time()
        (before, spent_before), self._process = self._process, (now, spent)
        found = {}
        if now > before:
            found["system/process_cpu_percent"] = 100 * (spent - spent_before) / (now - before)
        machine, self._machine = self._machine, _machine_times()
        total = self._machine[1] - machine[1]
        if total > 0:
            found["system/cpu_percent"] = 100 * (self._machine[0] - machine[0]) / total
        return found

    def _gpu(self) -> dict[str, float]:
        found: dict[str, float] = {}
        if self._gpus is None:
            return found
        nvml, handles = self._gpus
        for i, handle in enumerate(handles):
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            found[f"system/gpu{i}_percent"] = float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
            found[f"system/gpu{i}_memory_percent"] = 100 * memory.used / memory.total
        return found


def _machine_times() -> tuple[float, float]:
    """Busy and total ticks of all cores since the start; zeros where the kernel does not tell."""
    try:
        ticks = [float(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return 0.0, 0.0
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _memory() -> dict[str, float]:
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    kib = {words[0].rstrip(":"): float(words[1]) for words in lines if len(words) > 1}
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "system/memory_percent": 100 * (1 - kib["MemAvailable"] / kib["MemTotal"]),
        "system/process_memory_mib": pages * os.sysconf("SC_PAGE_SIZE") / _MIB,
    }


def _gpu_handles() -> tuple[Any, list[Any]] | None:
    if not Path("/proc/driver/nvidia").exists():
        return None
    try:
        pynvml: Any = importlib.import_module("pynvml")  # by name: nobody has to have it
        pynvml.nvmlInit()
        return pynvml, [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # not installed, or no driver that answers
        return None
