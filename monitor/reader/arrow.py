"""Reads a history streamed as Arrow. pyarrow is optional: without it another format is used."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from typing import IO, Any, Final, cast

import numpy as np

from monitor.domain import Points
from monitor.errors import MonitorError

MEDIA_TYPE: Final = "application/vnd.apache.arrow.stream"


def installed() -> bool:
    """True if pyarrow can be imported."""
    try:
        return importlib.util.find_spec("pyarrow") is not None
    except ValueError:  # the module was set to None
        return False


def decode_stream(parts: Iterator[bytes]) -> Iterator[Points]:
    """Decode batches of points from an Arrow IPC stream.

    Raises:
        ValueError: the bytes are not a complete Arrow stream.
    """
    arrow: Any = importlib.import_module("pyarrow")
    try:
        with arrow.ipc.open_stream(cast("IO[bytes]", arrow.PythonFile(_Reader(parts), mode="r"))) as reader:
            epochs = "epoch" in reader.schema.names
            for batch in reader:
                yield Points(
                    batch.column("step").to_numpy(),
                    batch.column("value").to_numpy(),
                    batch.column("time").cast(arrow.int64()).to_numpy(),
                    np.array(batch.column("epoch").to_numpy(zero_copy_only=False)) if epochs else None,
                )
    except MonitorError:  # from reading `parts`; may be an `OSError` as well
        raise
    except (OSError, NotImplementedError, KeyError) as error:  # pyarrow's errors for a broken stream
        raise ValueError(str(error)) from None


class _Reader:
    """A file-like object over chunks of bytes."""

    closed = False

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._rest = parts, memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        found: list[memoryview] = []
        missing = size if size >= 0 else 2**63
        while missing > 0:
            if not self._rest:
                part = next(self._parts, None)
                if part is None:
                    break
                self._rest = memoryview(part)
                continue
            found.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(found[-1])
        return b"".join(found)

    def close(self) -> None:
        """Do nothing."""
