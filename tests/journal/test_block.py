"""Arrays that go to the journal in blocks read back as records that were written one by one."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from monitor.journal.checksum import crc32, whole
from monitor.journal.read.records import JournalReader
from monitor.journal.read.scan import Range
from monitor.journal.write.block import Block, log_many
from monitor.journal.write.journal import Journal

RUN = "0123456789abcdef" * 2


def read(folder: Path) -> list[Range]:
    """All that the journal holds, checksums checked."""
    reader, parts = JournalReader(folder, recover=True), []
    while (part := reader.read()) is not None:
        parts.append(part)
    return parts


@given(npst.arrays(np.uint16, st.tuples(st.integers(0, 9), st.integers(0, 40))))
def test_checksums_of_rows_are_those_of_zlib(halves: np.ndarray) -> None:
    assert crc32(halves).tolist() == [zlib.crc32(row.tobytes()) for row in halves]


@pytest.mark.parametrize("n", [1, 255, 256, 3000])
@pytest.mark.parametrize("words", [3, 5, 40])
def test_the_first_record_that_does_not_match_its_checksum_is_found_among_few_and_many(n: int, words: int) -> None:
    rows = np.random.default_rng(n).integers(0, 2**63, (n, words)).astype("<u8")
    for row in rows:
        row[0] = row[0] >> np.uint64(32) << np.uint64(32) | np.uint64(zlib.crc32(row.tobytes()[4:]))
    data = bytearray(b"before! " + rows.tobytes() + b"after!! ")
    assert whole(memoryview(data), 8, 8 * words, n) == n
    for bad in dict.fromkeys([n - 1, n // 2, 0]):
        data[8 + 8 * words * bad + 8 * words - 1] ^= 1
        assert whole(memoryview(data), 8, 8 * words, n) == bad


@given(data=st.data(), n=st.integers(32, 3000), width=st.integers(1, 5), epoch=st.booleans())
def test_a_block_reads_back_bit_by_bit_across_segments(data: st.DataObject, n: int, width: int, epoch: bool) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    steps = rng.integers(-(2**63), 2**63 - 1, n)
    values = rng.normal(size=(n, width))
    values.ravel()[rng.integers(0, values.size, 9)] = [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1e308, 0, 1, np.nan]
    epochs = rng.uniform(0, 9, n) if epoch else None
    keys = [f"key{i}" for i in range(width)]
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "w", RUN, first_bytes=16 * 1024)
        one = lambda row, step, epoch: journal.points(tuple(row), list(row.values()), step=step, epoch=epoch)  # noqa: E731
        log_many(one, journal, steps, dict(zip(keys, values.T, strict=True)), epochs)  # type: ignore[arg-type]  # arrays
        journal.points(("after",), [1.0], step=7)
        journal.close()
        parts = read(journal.folder)
    assert sum(part.count for part in parts) == journal.count == n + 1
    step, value = (np.concatenate([getattr(part.points, name) for part in parts]) for name in ("step", "value"))
    assert step[:-1].tolist() == np.repeat(steps, width).tolist()
    assert value[:-1].tobytes() == values.tobytes()
    if epochs is not None:
        stages = np.concatenate([part.points.epoch for part in parts if part.points.epoch is not None])
        assert stages[: n * width].tolist() == np.repeat(epochs, width).tolist()


@pytest.mark.parametrize(
    ("steps", "values", "epochs"),
    [
        ([1, 2], {"a": [1.0]}, None),
        ([1, 2], {"a": [1.0, None]}, None),
        ([1.5, 2.5], {"a": [1.0, 2.0]}, None),
        ([1, 2**64], {"a": [1.0, 2.0]}, None),
        (np.array([1, 2**63], np.uint64), {"a": [1.0, 2.0]}, None),
        (range(2), {"a": [1.0, 2.0]}, None),
        ([1, 2], {}, None),
        ([1, 2], {"a": [[1.0], [2.0]]}, None),
        ([1, 2], {"a": [1.0, 2.0]}, [0.1, np.nan]),
        ([1, 2], {"a": [1.0, 2.0]}, [0.1]),
        ([1, 2], {"a": np.ones(2, np.longdouble)}, None),
    ],
)
def test_what_is_no_plain_array_is_left_to_the_calls_for_each(steps: object, values: dict, epochs: object) -> None:
    assert Block.of(steps, values, epochs) is None


def test_past_the_quota_a_block_is_thinned_like_single_records(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w", RUN, quota=256 * 1024, first_bytes=16 * 1024)
    n = 60_000
    one = lambda row, step, epoch: journal.points(tuple(row), list(row.values()), step=step, epoch=epoch)  # noqa: E731
    log_many(one, journal, np.arange(n), {"loss": np.ones(n)}, None)  # type: ignore[arg-type]  # arrays
    journal.close()
    kept = sum(part.count for part in read(journal.folder))
    assert kept == journal.count == n - journal.dropped
    assert 0 < journal.dropped < n
    assert journal.why_dropped in ("quota", "disk_full")
