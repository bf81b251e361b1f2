"""Samples the machine every ten seconds while a run trains, off the training thread.

Logged as `system/...` next to the run's own metrics, at the current step. These series are not diagnosed.
"""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import Any, Final

import psutil

INTERVAL_S: Final = 10.0  # between samples
_MIB: Final = 1024 * 1024


class SystemSampler:
    """Measures the machine, this process and, if `pynvml` is installed, the GPUs."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first call only starts the measurement
        psutil.cpu_percent()
        self._gpus = _gpu_handles()

    def sample(self) -> dict[str, float]:
        """The current measurements. CPU shares cover the time since the last sample; what cannot be read is missing."""
        found: dict[str, float] = {}
        for part in (self._cpu, self._memory, self._gpu):
            with contextlib.suppress(Exception):  # a container may hide any of it
                found.update(part())
        return found

    def _cpu(self) -> dict[str, float]:
        """CPU use: of the machine in percent of all cores, of this process in percent of one core."""
        return {"system/process_cpu_percent": self._process.cpu_percent(), "system/cpu_percent": psutil.cpu_percent()}

    def _memory(self) -> dict[str, float]:
        return {
            "system/memory_percent": psutil.virtual_memory().percent,
            "system/process_memory_mib": self._process.memory_info().rss / _MIB,
        }

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


def _gpu_handles() -> tuple[Any, list[Any]] | None:
    if not Path("/proc/driver/nvidia").exists():
        return None
    try:
        pynvml: Any = importlib.import_module("pynvml")  # by name, since the package is optional
        pynvml.nvmlInit()
        return pynvml, [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # not installed, or no driver that answers
        return None
