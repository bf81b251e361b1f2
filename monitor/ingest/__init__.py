"""The single write path: every batch, from any source, goes through `ingest`."""

from __future__ import annotations

from monitor.ingest.ingest import ingest
from monitor.ingest.judge import rejudge

__all__ = ["ingest", "rejudge"]
