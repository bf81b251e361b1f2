"""The HTTP API: FastAPI routes over `ingest` and `store`, one file a subject. `docs/api.md` describes it."""

from __future__ import annotations

from monitor.api.app import create_api

__all__ = ["create_api"]
