"""Histories as an Arrow IPC stream, sent batch by batch, so memory does not grow with the series.

Columns: `step` int64, `value` float64, `time` timestamp[ms, UTC] and, where any point has one, `epoch` float64, null
where a point has none. The schema's metadata names the run and the series.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from monitor.domain import Points

MEDIA_TYPE: Final = "application/vnd.apache.arrow.stream"


def encode_stream(batches: Iterable[Points], metadata: Mapping[str, str], *, epochs: bool) -> Iterator[bytes]:
    """Encode an Arrow IPC stream, one piece per batch.

    Args:
        batches: points in reading order; all with epochs, or none.
        metadata: metadata of the schema.
    """
    arrow: Any = importlib.import_module("pyarrow")
    fields = [("step", arrow.int64()), ("value", arrow.float64()), ("time", arrow.timestamp("ms", tz="UTC"))]
    if epochs:
        fields.append(("epoch", arrow.float64()))
    schema = arrow.schema(fields, metadata=dict(metadata))
    pieces = _Pieces()
    with arrow.ipc.new_stream(arrow.PythonFile(pieces, mode="w"), schema) as writer:
        yield pieces.take()
        for points in batches:
            times = arrow.array(points.times).cast(schema.field("time").type)
            columns = [arrow.array(points.steps), arrow.array(points.values), times]
            if points.epochs is not None:
                columns.append(arrow.array(points.epochs, mask=np.isnan(points.epochs)))
            writer.write_batch(arrow.record_batch(columns, schema=schema))
            yield pieces.take()
    yield pieces.take()


class _Pieces:
    """A file-like buffer for pyarrow, emptied with `take`."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: object) -> int:
        """Keep a copy, since pyarrow reuses its buffer after the call."""
        part = bytes(memoryview(data))  # type: ignore[arg-type]  # pyarrow gives a buffer
        self._parts.append(part)
        return len(part)

    def flush(self) -> None:
        """Do nothing; there is no buffer below."""

    def close(self) -> None:
        """Do nothing; there is nothing to release."""

    def take(self) -> bytes:
        """Return what was written so far and clear it."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found
