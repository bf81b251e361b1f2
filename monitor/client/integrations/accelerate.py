"""Accelerate: a tracker, `Accelerator(log_with=MonitorTracker("mine"))`."""

from __future__ import annotations

from collections.abc import Mapping

from accelerate.tracking import GeneralTracker, on_main_process

from monitor.client.integrations._owned import OwnedRun
from monitor.client.options import Mode
from monitor.client.run import Run
from monitor.settings import Settings


class MonitorTracker(GeneralTracker):  # type: ignore[misc]  # accelerate is seen as untyped
    """Logs what `accelerator.log` reports.

    Args:
        project: the project of a run that is started here, like the rest as in `monitor.init`.
        run: a run that the caller ends; None: one is started.
    """

    name = "monitor"
    requires_logging_directory = False

    @on_main_process  # type: ignore[untyped-decorator]  # as above
    def __init__(
        self,
        project: str = "accelerate",
        run: Run | None = None,
        *,
        mode: Mode = "auto",
        settings: Settings | None = None,
    ) -> None:
        super().__init__()
        self._held = OwnedRun(run, project=project, mode=mode, settings=settings)

    @property
    def tracker(self) -> Run | None:
        """The run; None on the other processes."""
        return self._held.begin() if hasattr(self, "_held") else None

    @on_main_process  # type: ignore[untyped-decorator]  # as above
    def store_init_configuration(self, values: Mapping[str, object]) -> None:
        """Add to the run's configuration."""
        self._held.begin(values)

    @on_main_process  # type: ignore[untyped-decorator]  # as above
    def log(self, values: Mapping[str, object], step: int | None = None, **_: object) -> None:
        """Log metrics at a step."""
        self._held.begin().log(values, step=step)

    @on_main_process  # type: ignore[untyped-decorator]  # as above
    def finish(self) -> None:
        """End a run that was started here."""
        self._held.end()
