"""TensorBoard event files, read without TensorFlow: the scalars in them, as PyTorch, TensorFlow and others write them.

A file is a row of records, each framed by its length and two checksums; a record is an `Event` message, which may hold
a summary of named values. Only the fields that scalars need are decoded. The tail of a file that is still being
written is cut.

Source: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto,
    tensorflow/core/framework/summary.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from monitor.errors import FileUnreadable
from monitor.importers.table import Cell, Row, Table

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT, _DOUBLE = 1, 2
_MOST: Final = 1 << 28
"""Bytes of one record, at most; a length beyond it is no length."""


def is_event_file(path: Path) -> bool:
    """True where the name is that of an event file."""
    return "tfevents" in path.name


def read_events(paths: list[Path], shown: str) -> Table:
    """Read event files as one table, a row for each value.

    Args:
        paths: the files of one run, in the order in which they were begun.
        shown: what the user named, for errors.

    Raises:
        FileUnreadable: a file is no event file, or holds no scalar.
    """
    names: dict[str, None] = {"step": None}
    rows: list[Row] = []
    for path in paths:
        for step, tag, value in _scalars(path):
            names[tag] = None
            cells: dict[str, Cell] = {"step": step, tag: value}
            rows.append(Row(len(rows) + 1, cells))
    if not rows:
        raise FileUnreadable(shown, "", "holds no scalars")
    return Table(shown, tuple(names), tuple(rows), header=False)


def _scalars(path: Path) -> Iterator[tuple[int, str, float]]:
    for record in _records(path):
        step, summaries = 0, []
        for number, kind, value in _fields(record):
            if number == 2 and kind == _VARINT:
                step = _signed(value)
            elif number == 5 and kind == _BYTES:
                summaries.append(value)
        for summary in summaries:
            for number, kind, value in _fields(summary):
                if number == 1 and kind == _BYTES:
                    found = _value(value)
                    if found is not None:
                        yield step, *found


def _records(path: Path) -> Iterator[bytes]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileUnreadable(str(path), "", error.strerror or str(error)) from None
    at = 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        if length > _MOST:
            raise FileUnreadable(str(path), f"byte {at}", "is no event record")
        if at + 16 + length > len(data):
            return  # the writer has not come further yet, or was killed here
        yield data[at + 12 : at + 12 + length]
        at += 16 + length


def _value(data: bytes) -> tuple[str, float] | None:
    """Tag and number of a `Summary.Value`; None where it is no scalar."""
    tag, number_found = "", None
    for number, kind, value in _fields(data):
        if number == 1 and kind == _BYTES:
            tag = bytes(value).decode("utf-8", "replace")
        elif number == 2 and kind == _FIXED32:
            number_found = struct.unpack("<f", value)[0]
        elif number == 8 and kind == _BYTES:
            number_found = _tensor(value)
    return None if number_found is None or not tag else (tag, float(number_found))


def _tensor(data: bytes) -> float | None:
    """The number in a `TensorProto` of one float or double; None where it holds anything else."""
    dtype, content = 0, b""
    for number, kind, value in _fields(data):
        if number == 1 and kind == _VARINT:
            dtype = int.from_bytes(value, "little")
        elif (number in (4, 5, 6) and kind == _BYTES) or (number, kind) in ((5, _FIXED32), (6, _FIXED64)):
            content = bytes(value)
    if dtype == _FLOAT and len(content) == 4:
        return float(struct.unpack("<f", content)[0])
    if dtype == _DOUBLE and len(content) == 8:
        return float(struct.unpack("<d", content)[0])
    return None


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The fields of a protocol buffer message: number, kind, bytes. A varint is its 8 bytes; what is broken ends it."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, kind, (value & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
        if kind == _BYTES:
            size, at = _varint(data, at)
        if size < 0 or at + size > len(data):
            return
        yield key >> 3, kind, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value, at


def _signed(value: bytes) -> int:
    return int.from_bytes(value, "little", signed=True)
