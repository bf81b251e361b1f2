"""Reads runs that W&B wrote offline, `wandb/offline-run-<time>-<id>/run-<id>.wandb`, without W&B.

After a seven-byte header, the file is a log in LevelDB's format: blocks of 32 KiB with pieces that have a checksum, a
length and a kind (whole, first, middle, last). The records made of these pieces are protocol buffer messages; only the
fields with metrics, parameters and the run's name are decoded.

Source: wandb/sdk/internal/datastore.py (release 0.16), wandb/proto/wandb_internal.proto,
    github.com/google/leveldb/doc/log_format.md.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from monitor.errors import FileUnreadable
from monitor.files import RECORDS, content
from monitor.importers.attempts import begins
from monitor.importers.imported import ImportedRun, NotTraining, PointList, by_role
from monitor.importers.protobuf import BYTES, FIXED64, VARINT, fields, signed

_BLOCK: Final = 32_768  # bytes per block of LevelDB's log format; no record header crosses a block's end
_START: Final = struct.Struct("<4sHB")
_PIECE: Final = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4  # how a piece belongs to its record
_HISTORY, _CONFIG, _STATS, _RUN, _EXIT = 2, 5, 7, 17, 18
"""Fields of a `Record`."""


@dataclass(slots=True)
class _Run:
    """The content of the records so far."""

    points: PointList = field(default_factory=PointList)
    config: dict[str, object] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    """Text fields of the `RunRecord`."""
    tags: list[str] = field(default_factory=list)
    started_ms: int | None = None
    exit_code: int | None = None
    samples: int = 0


def read_wandb(path: Path, shown: str) -> ImportedRun | NotTraining:
    """Read the file of one run.

    Args:
        shown: the file as the user named it, for errors.

    Raises:
        FileUnreadable: it cannot be opened, or is not such a file.
    """
    run = _Run()
    data = content(path, shown, takes=RECORDS)
    try:
        written_ms = int(path.stat().st_mtime * 1000)
    except OSError as error:
        raise FileUnreadable(shown, "", error.strerror or str(error)) from None
    if len(data) < _START.size or _START.unpack_from(data)[0] != b":W&B":
        raise FileUnreadable(shown, "byte 0", "is not a W&B file")
    for record in _records(data, run.points):
        for number, kind, value in fields(record):
            if kind == BYTES and number in _READERS:
                _READERS[number](value, run)
    if not len(run.points):
        return NotTraining(shown, "holds no metrics")
    ident = run.names.get(1) or path.stem.removeprefix("run-")
    status, reason = _end(run)
    started, finished = run.points.span()
    points = run.points.columns(written_ms)
    return ImportedRun(
        source=shown,
        kind="wandb",
        origin=f"wandb:{run.names.get(2, '')}:{run.names.get(3, '')}:{ident}:{run.started_ms}",
        name=run.names.get(8) or ident,
        project=run.names.get(3) or None,
        group=run.names.get(6) or None,
        config={name: value for name, value in run.config.items() if name != "_wandb"},
        tags={**dict.fromkeys(run.tags, ""), **({"notes": run.names[9]} if run.names.get(9) else {})},
        status=status,
        error=reason,
        started_ms=run.started_ms or started,
        finished_ms=finished,
        keys=run.points.keys,
        points=points,
        attempts=begins(points.key, points.step),
        skipped=tuple(run.points.skipped.values()),
    )


def _records(data: bytes, points: PointList) -> Iterator[bytes]:
    """The records of a file; damaged ones are skipped and noted, an incomplete tail ends them."""
    at, parts, begun = _START.size, b"", False
    while at + _PIECE.size <= len(data):
        room = _BLOCK - at % _BLOCK
        if room < _PIECE.size:
            at += room
            continue
        checksum, length, kind = _PIECE.unpack_from(data, at)
        if kind == 0 and length == 0:  # padding at the end of a block
            at += room
            continue
        piece = data[at + _PIECE.size : at + _PIECE.size + length]
        if len(piece) < length:
            return  # the writer was killed here
        if not _WHOLE <= kind <= _LAST or zlib.crc32(piece, zlib.crc32(bytes([kind]))) != checksum:
            points.skip(f"byte {at}", "holds a damaged record; what follows in its block is lost", broken=True)
            at, begun = at + room, False
            continue
        at += _PIECE.size + length
        if kind in (_WHOLE, _FIRST):
            parts, begun = b"", True
        parts += piece
        if kind in (_WHOLE, _LAST) and begun:
            yield parts
            begun = False


def _history(data: bytes, run: _Run) -> None:
    cells: dict[str, object] = {}
    step = 0
    for number, kind, value in fields(data):
        if number == 1 and kind == BYTES:
            name, cell = _item(value)
            cells[name] = cell
        elif number == 2 and kind == BYTES:
            step = next((signed(v) for n, k, v in fields(value) if n == 1 and k == VARINT), 0)
    time, own = cells.pop("_timestamp", None), cells.pop("_step", None)
    cells.pop("_runtime", None)
    if isinstance(own, int):
        step = own
    epoch = cells.get("epoch")
    for name in sorted(cells, key=by_role):
        cell = cells[name]
        if isinstance(cell, int | float):
            run.points.add(
                name,
                step,
                float(cell),
                int(time * 1000) if isinstance(time, int | float) and time > 0 else 0,
                float(epoch) if isinstance(epoch, int | float) and name != "epoch" else math.nan,
            )
        elif cell is not None:
            run.points.skip(f"metric {name!r:.60}", "holds text" if isinstance(cell, str) else "holds no number")


def _stats(data: bytes, run: _Run) -> None:
    """Add a system measurement; its steps count the measurements."""
    when = next((_timestamp(value) for number, kind, value in fields(data) if number == 2 and kind == BYTES), 0)
    for number, kind, value in fields(data):
        if number == 3 and kind == BYTES:
            name, cell = _item(value)
            if isinstance(cell, int | float):
                run.points.add(f"system/{name}", run.samples, float(cell), when)
    run.samples += 1


def _config(data: bytes, run: _Run) -> None:
    for number, kind, value in fields(data):
        if number == 1 and kind == BYTES:
            name, cell = _item(value)
            run.config[name] = cell


def _run(data: bytes, run: _Run) -> None:
    for number, kind, value in fields(data):
        if kind != BYTES:
            continue
        if number in (1, 2, 3, 6, 8, 9):
            run.names[number] = _text(value)
        elif number == 4:
            _config(value, run)
        elif number == 10:
            run.tags.append(_text(value))
        elif number == 17 and run.started_ms is None:
            run.started_ms = _timestamp(value)


def _exit(data: bytes, run: _Run) -> None:
    run.exit_code = next((signed(value) for number, kind, value in fields(data) if number == 1 and kind == VARINT), 0)


_READERS: Final = {_HISTORY: _history, _CONFIG: _config, _STATS: _stats, _RUN: _run, _EXIT: _exit}


def _end(run: _Run) -> tuple[Literal["finished", "stopped", "failed"], str | None]:
    if run.exit_code is None:
        return "stopped", "the file does not say how the run ended"
    if run.exit_code:
        return "failed", f"exit code {run.exit_code}"
    return "finished", None


def _item(data: bytes) -> tuple[str, object]:
    """Name and value of an item of a history, configuration or measurement; nested names are joined by `/`."""
    names = ""
    nested: list[str] = []
    value: object = None
    for number, kind, inner in fields(data):
        if number == 1 and kind == BYTES:
            names = _text(inner)
        elif number == 2 and kind == BYTES:
            nested.append(_text(inner))
        elif number in (8, 16) and kind == BYTES:
            value = _json(inner)
        elif number == 4 and kind == VARINT:
            value = bool(signed(inner))
        elif number == 5 and kind == VARINT:
            zigzag = int.from_bytes(inner, "little")
            value = (zigzag >> 1) ^ -(zigzag & 1)
        elif number == 6 and kind == FIXED64:
            value = struct.unpack("<d", inner)[0]
        elif number == 7 and kind == BYTES:
            value = _text(inner)
    return names or "/".join(nested), value


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return _text(content)


def _timestamp(data: bytes) -> int:
    """A `google.protobuf.Timestamp` in ms since the Unix epoch."""
    found = {number: signed(value) for number, kind, value in fields(data) if kind == VARINT}
    return found.get(1, 0) * 1000 + found.get(2, 0) // 1_000_000


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
