"""What the server does by the clock: liveness, delivery of alerts, compaction, the mirror in MLflow."""

from __future__ import annotations

from monitor.jobs.scheduler import Jobs, Mirror

__all__ = ["Jobs", "Mirror"]
