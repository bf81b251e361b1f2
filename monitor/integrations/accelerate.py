"""Accelerate: a tracker, `Accelerator(log_with=MonitorTracker("mine"))`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from accelerate.tracking import GeneralTracker, on_main_process

from monitor.integrations._owned import OwnedRun, RunOptions
from monitor.run.start import Run


class MonitorTracker(GeneralTracker):  # type: ignore[misc]  # accelerate is seen as untyped
    """Logs what `accelerator.log` reports.

    It is made before the `Accelerator`, which is to find out about the other processes by itself: nothing here asks for
    them before the tracker is used.

    Args:
        project: the project of a run that is started here.
        run: a run that the caller ends; None: one is started by `accelerator.init_trackers`.
        **options: as in `monitor.init`, for a run that is started here.
    """

    name = "monitor"
    requires_logging_directory = False

    def __init__(self, project: str = "accelerate", run: Run | None = None, **options: Unpack[RunOptions]) -> None:
        super().__init__()
        self._held = OwnedRun(run, project=project, **options)

    @property
    def tracker(self) -> Run | None:
        """The run; None before it has begun, after it has ended, and on the other processes."""
        return self._held.run

    @on_main_process  # type: ignore[untyped-decorator]  # as above
    def start(self) -> None:
        """Start the run; versions of Accelerate that do not call this have it started by what is logged first."""
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
        """End a run that was started here."""
        self._held.end()
