"""A run that a callback was given, or that it starts and ends by itself."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.client.options import Mode
from monitor.client.run import Run, init
from monitor.settings import Settings


class OwnedRun:
    """Holds a run for a callback.

    Args:
        run: a run that the caller starts and ends; None: one is started when training begins.
        project: the project of a run that is started here.
        name: its name.
        mode: as in `monitor.init`.
        settings: as in `monitor.init`.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        project: str = "default",
        name: str | None = None,
        mode: Mode = "auto",
        settings: Settings | None = None,
    ) -> None:
        self.run = run
        self._owned = run is None
        self._project, self._name, self._mode, self._settings = project, name, mode, settings

    def begin(self, config: Mapping[str, object] | None = None) -> Run:
        """The run, started if need be.

        Args:
            config: hyperparameters that the framework knows; added to those of a run that was given.
        """
        if self.run is None:
            self.run = init(self._project, self._name, config=config or {}, mode=self._mode, settings=self._settings)
        elif config:
            self.run.update_config(config)
        return self.run

    def end(self, status: str = "finished", error: str | None = None) -> None:
        """End the run, if it was started here."""
        if self.run is not None and self._owned:
            self.run.finish(status, error)
            self.run = None
