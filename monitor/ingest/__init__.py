"""The single write path: every batch, from whichever door, ends in `ingest`."""

from __future__ import annotations

from monitor.ingest.ingest import ingest
from monitor.ingest.judge import rejudge

__all__ = ["ingest", "rejudge"]
