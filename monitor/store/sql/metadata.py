"""What all tables share: their MetaData, and the column that ties a row to its run."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, MetaData, String

METADATA: Final = MetaData()


def run_id() -> Column[str]:
    """The first column of a table whose rows are deleted with their run."""
    parent = ForeignKey("monitor_runs.run_id", ondelete="CASCADE")
    return Column("run_id", String(32), parent, primary_key=True)
