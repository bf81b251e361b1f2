"""Inserts that a row may be in the way of, which each database spells its own way."""

from __future__ import annotations

import functools

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Insert


@functools.lru_cache(maxsize=64)
def upsert(table: Table, dialect: str) -> Insert:
    """A statement that inserts a row, or brings the row of the same primary key up to date.

    Args:
        table: one whose rows are given in full.
        dialect: `sqlite` or `postgresql`.
    """
    insert = insert_into(table, dialect)
    keys = [column.name for column in table.primary_key]
    others = {column.name: column for column in insert.excluded if column.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=others)


@functools.lru_cache(maxsize=64)
def insert_once(table: Table, dialect: str) -> Insert:
    """A statement that inserts a row, or does nothing where there is one of the same primary key."""
    return insert_into(table, dialect).on_conflict_do_nothing()


def insert_into(table: Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    """An insert that can be told what to do where the row is there."""
    return (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)
