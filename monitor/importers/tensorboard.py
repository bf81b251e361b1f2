"""Reads the scalars of TensorBoard event files, without TensorFlow.

A file is a sequence of records, each framed by its length and two checksums. A record is an `Event` message, which may
hold a summary of named values. Only the fields that scalars need are decoded. The incomplete tail of a file that is
still being written is ignored.

Source: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto,
    tensorflow/core/framework/summary.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from monitor.errors import FileUnreadable
from monitor.files import RECORDS, content
from monitor.importers.protobuf import BYTES, FIXED32, FIXED64, VARINT, fields, signed

_FLOAT, _DOUBLE = 1, 2
_MOST: Final = 1 << 28
"""Bytes per record, at most; a longer one is damage."""


def is_event_file(path: Path) -> bool:
    """True if the name is that of an event file."""
    return "tfevents" in path.name


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value of an event file; `time_ms` is in ms since the Unix epoch, 0 if the event has none."""

    step: int
    tag: str
    value: float
    time_ms: int


def scalars(path: Path) -> Iterator[Scalar]:
    """The scalars of an event file, in the order of writing.

    Raises:
        FileUnreadable: it cannot be opened, or is not an event file.
    """
    for record in _records(path):
        step, time_ms, summaries = 0, 0, []
        for number, kind, value in fields(record):
            if number == 1 and kind == FIXED64:
                time_ms = _milliseconds(struct.unpack("<d", value)[0])
            elif number == 2 and kind == VARINT:
                step = signed(value)
            elif number == 5 and kind == BYTES:
                summaries.append(value)
        for summary in summaries:
            for number, kind, value in fields(summary):
                if number == 1 and kind == BYTES:
                    found = _value(value)
                    if found is not None:
                        yield Scalar(step, *found, time_ms)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000) if 0 < seconds < 1e14 else 0


def _records(path: Path) -> Iterator[bytes]:
    data = content(path, takes=RECORDS)
    at = 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        if length > _MOST:
            raise FileUnreadable(str(path), f"byte {at}", "is not an event record")
        if at + 16 + length > len(data):
            return  # still being written, or the writer was killed here
        yield data[at + 12 : at + 12 + length]
        at += 16 + length


def _value(data: bytes) -> tuple[str, float] | None:
    """The tag and number of a `Summary.Value`; None if it is not a scalar."""
    tag, number_found = "", None
    for number, kind, value in fields(data):
        if number == 1 and kind == BYTES:
            tag = bytes(value).decode("utf-8", "replace")
        elif number == 2 and kind == FIXED32:
            number_found = struct.unpack("<f", value)[0]
        elif number == 8 and kind == BYTES:
            number_found = _tensor(value)
    return None if number_found is None or not tag else (tag, float(number_found))


def _tensor(data: bytes) -> float | None:
    """The number in a `TensorProto` with one float or double; None for anything else."""
    dtype, content = 0, b""
    for number, kind, value in fields(data):
        if number == 1 and kind == VARINT:
            dtype = int.from_bytes(value, "little")
        elif (number in (4, 5, 6) and kind == BYTES) or (number, kind) in ((5, FIXED32), (6, FIXED64)):
            content = bytes(value)
    if dtype == _FLOAT and len(content) == 4:
        return float(struct.unpack("<f", content)[0])
    if dtype == _DOUBLE and len(content) == 8:
        return float(struct.unpack("<d", content)[0])
    return None
