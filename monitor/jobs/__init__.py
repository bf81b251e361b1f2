"""Scheduled work of the server: liveness, alert delivery, compaction, retention, the MLflow mirror."""

from __future__ import annotations

from monitor.jobs.scheduler import Jobs, Mirror

__all__ = ["Jobs", "Mirror"]
