"""`DisabledRun`: the API of a run, without effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from monitor.journal.notices import Notices
from monitor.run import lifetime
from monitor.run.run import Run


class DisabledRun(Run):
    """A run that records nothing, for `mode="disabled"` and the silent ranks of a distributed job."""

    def __init__(self, project: str, name: str) -> None:
        self.id, self.project, self.name = "0" * 32, project, name
        self._start: Mapping[str, object] = {}
        self._loss_known = True
        self._notices = Notices(name)

    def log(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def log_many(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def flush(self, timeout_s: float = 30.0) -> bool:  # noqa: ARG002  # as in Run
        """Do nothing, successfully."""
        return True

    def finish(self, status: str = "finished", error: object = None) -> None:  # noqa: ARG002  # as in Run
        """Do nothing."""
        self._finished = True
        lifetime.end(self)

    def _event(self, kind: str, data: Mapping[str, object]) -> None:
        pass

    def _quietly(self, what: str, call: Callable[[], None]) -> None:
        pass
