"""Inserts that may conflict with an existing row; each database has its own syntax."""

from __future__ import annotations

import functools

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Insert


@functools.lru_cache(maxsize=64)
def upsert(table: Table, dialect: str) -> Insert:
    """A statement that inserts a row, or updates the row with the same primary key.

    Args:
        table: its rows must be given in full.
    """
    insert = insert_into(table, dialect)
    keys = [column.name for column in table.primary_key]
    others = {column.name: column for column in insert.excluded if column.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=others)


@functools.lru_cache(maxsize=64)
def insert_once(table: Table, dialect: str) -> Insert:
    """A statement that inserts a row, or does nothing if the primary key exists."""
    return insert_into(table, dialect).on_conflict_do_nothing()


def insert_into(table: Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    """An insert of the dialect, which can say what to do on a conflict."""
    return (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)
