"""The tables of what people save: views of the dashboard, and settings of rules."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, String, Table, Text

from monitor.store.sql.metadata import METADATA

VIEWS: Final = Table(
    "monitor_views",
    METADATA,
    Column("project", String(250), primary_key=True),  # "" for those who see all projects
    Column("page", String(32), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("query", Text, nullable=False),
    Column("saved_ms", BigInteger, nullable=False),
)
"""Saved views of the dashboard. Belongs to no run."""

RULES: Final = Table(
    "monitor_rules",
    METADATA,
    Column("project", String(250), primary_key=True),  # "" for all projects
    Column("rule", String(250), primary_key=True),
    Column("settings", Text, nullable=False),  # JSON
    Column("saved_ms", BigInteger, nullable=False),
    Column("who", String(250), nullable=False),
)
"""Saved settings of rules. What was saved before is in the audit log."""
