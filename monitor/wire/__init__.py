"""The one wire format: batches of points and events from a writer's journal, and series on the way back to readers.

A *batch* holds records `first` up to `first + count` of a writer's journal: columns of points in the order in which
they were logged, and events (a run's start, its checkpoints, its end). `docs/formats/wire.md` draws the bytes.

There are two encodings of the same content. Packed (`encode_batch`, media type `application/x-monitor-batch`) sends
float64 values as they are. JSON, for people with curl (`batch_from_json`), writes NaN, +inf and -inf as "NaN",
"Infinity" and "-Infinity". Both are lossless, and both are checked completely before anything is stored.
"""

from __future__ import annotations

from typing import Final

from monitor.limits import EVENT_KINDS, MAX_POINTS
from monitor.limits import MAX_NAME as MAX_KEY
from monitor.wire.batch import Batch, Columns, Event
from monitor.wire.packed import MEDIA_TYPE, POINTS_MEDIA_TYPE, decode_batch, decode_points, encode_batch, encode_points
from monitor.wire.text import (
    batch_from_json,
    batch_to_json,
    curve_from_json,
    curve_to_json,
    jsonable,
    number_from_json,
    number_to_json,
)

VERSION: Final = 1

__all__ = [
    "EVENT_KINDS",
    "MAX_KEY",
    "MAX_POINTS",
    "MEDIA_TYPE",
    "POINTS_MEDIA_TYPE",
    "VERSION",
    "Batch",
    "Columns",
    "Event",
    "batch_from_json",
    "batch_to_json",
    "curve_from_json",
    "curve_to_json",
    "decode_batch",
    "decode_points",
    "encode_batch",
    "encode_points",
    "jsonable",
    "number_from_json",
    "number_to_json",
]
