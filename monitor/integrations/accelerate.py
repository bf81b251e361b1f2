"""Accelerate: a tracker, `Accelerator(log_with=MonitorTracker("mine"))`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from accelerate.tracking import GeneralTracker, on_main_process

from monitor.integrations._owned import OwnedRun, RunOptions
from monitor.run.start import Run


class MonitorTracker(GeneralTracker):  # type: ignore[misc]  # accelerate is seen as untyped
    """Logs what `accelerator.log` reports.

    Does not query the distributed state before it is used, because it is created before the `Accelerator`, which must
    set that state up.

    Args:
        project: the project of a run started here.
        run: a run that the caller ends; None: `accelerator.init_trackers` starts one.
        **options: as in `monitor.init`, for a run started here.
    """

    name = "monitor"
    requires_logging_directory = False

    def __init__(self, project: str = "accelerate", run: Run | None = None, **options: Unpack[RunOptions]) -> None:
        super().__init__()
        self._held = OwnedRun(run, project=project, **options)

    @property
    def tracker(self) -> Run | None:
        """The run; None before it starts, after it ends, and on all processes but the main one."""
        return self._held.run

    @on_main_process  # type: ignore[untyped-decorator]  # as above
    def start(self) -> None:
        """Start the run. Versions of Accelerate that do not call this start it with the first record."""
        self._held.start()

    @on_main_process  # type: ignore[untyped-decorator]  # as above
    def store_init_configuration(self, values: Mapping[str, object]) -> None:
        """Add to the run's configuration."""
        self._held.begin().update_config(values)

    @on_main_process  # type: ignore[untyped-decorator]  # as above
    def log(self, values: Mapping[str, object], step: int | None = None, **_: object) -> None:
        """Log metrics at a step."""
        self._held.begin().log(values, step=step)

    @on_main_process  # type: ignore[untyped-decorator]  # as above
    def finish(self) -> None:
        """End the run if it was started here."""
        self._held.end()
