"""A history that comes as an Arrow stream, changed or cut off anywhere: it is read, or refused in one way."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.api.arrow import encode_stream
from monitor.domain import Points
from monitor.reader.arrow import decode_stream
from tests.fuzzing import BUDGETS, mutants, refuses_in_one_way

WORDS = [b"step", b"value", b"epoch", b"time", b"\xff\xff\xff\xff", b"\0\0\0\0", b"<html>"]


def stream(n: int, *, epochs: bool) -> bytes:
    steps = np.arange(n)
    points = Points(steps, 2 / (1 + steps), steps + 10**12, steps / 10 if epochs else None)
    return b"".join(encode_stream(iter([points, points]), {"run_id": "r", "run": "r", "key": "k"}, epochs=epochs))


def read(data: bytes) -> None:
    for points in decode_stream(iter([data[at : at + 100] for at in range(0, len(data), 100)])):
        assert len(points.steps) == len(points.values) == len(points.times)


def test_a_stream_that_is_cut_off_anywhere_is_refused_unless_that_is_between_two_batches() -> None:
    data = stream(20, epochs=True)
    read_ = refuses_in_one_way(read, (data[:end] for end in range(1, len(data))), ValueError)

    assert 0 < read_ < len(data) / 10


@pytest.mark.parametrize("seconds", BUDGETS)
def test_changed_streams_are_read_or_refused(seconds: float | None) -> None:
    seeds = [stream(20, epochs=epochs) for epochs in (False, True)]

    assert refuses_in_one_way(read, mutants(seeds, WORDS, seconds), ValueError) > 0
