"""Statements on the rows of chunks and spans that several parts of a write share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Table, bindparam, select

from monitor.domain import Points
from monitor.store.points import chunks
from monitor.store.sql.link import Link, Row, Statement
from monitor.store.sql.schema import CHUNKS


def of_series(table: Table) -> tuple[ColumnElement[bool], ...]:
    """The conditions for the rows of one series: `run` and `series`; for spans, `level` as well."""
    own = (table.c.run_id == bindparam("run"), table.c.series == bindparam("series"))
    return own if table is CHUNKS else (*own, table.c.level == bindparam("level"))


_BETWEEN: Final = CHUNKS.c.seq.between(bindparam("low"), bindparam("high"))
RANGE: Final = Statement(select(CHUNKS).where(*of_series(CHUNKS), _BETWEEN).order_by(CHUNKS.c.seq))
"""The chunks from `low` to `high`."""
_DELETE: Final = Statement(CHUNKS.delete().where(*of_series(CHUNKS), _BETWEEN))
_INSERT: Final = Statement(CHUNKS.insert(), CHUNKS.c.keys())


def read(link: Link, run_id: str, series: object, low: object, high: object) -> list[Row]:
    """Neighbouring chunks of a series."""
    return link.ask(RANGE, {"run": run_id, "series": series, "low": low, "high": high}).all()


def replace(link: Link, rows: Sequence[Row], points: Points) -> None:
    """Store points as one chunk in place of neighbouring chunks."""
    first, last = rows[0], rows[-1]
    place = {"run": first["run_id"], "series": first["series"], "low": first["seq"], "high": last["seq"]}
    link.tell(_DELETE, place)
    same = {name: first[name] for name in ("run_id", "series", "seq", "attempt")}
    link.tell(_INSERT, {**chunks.encode(points), **same})
