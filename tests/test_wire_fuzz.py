"""Whatever bytes come in, they are read or refused with `WireError`, and what is read can be stored and read again."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from monitor.api.batches import decode
from monitor.domain import Points
from monitor.errors import OffsetGap, RunExists, RunNotFound, WireError
from monitor.ingest import ingest
from monitor.ingest.engines import Engines
from monitor.limits import EVENT_KINDS
from monitor.store import Store
from monitor.wire import (
    MEDIA_TYPE,
    Batch,
    Columns,
    Event,
    batch_to_json,
    curve_from_json,
    decode_batch,
    decode_points,
    encode_batch,
    encode_points,
)
from tests.fuzzing import FAST, LONG_S

NOW_MS = 1_764_000_000_000
DEEP = 3000

JUNK: list[object] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**62, 2**63, -(2**63), 2**64, 10**300, 1e308, -0.0, 1.5),
    *("", " ", "\0", "\ud800", "\udcff.png", "NaN", "Infinity", "x" * 300, "never", "run", "failed", "loss/kl", "é"),
    *([], {}, [[]], [{}], {"": {}}, [None] * 5, {"a": [1, {"b": "\ud800"}]}, {"\ud800": "\0"}, ["x"] * 300),
]


def whole(rng: random.Random, run_id: str, first: int) -> Batch:
    """A batch that is taken as it is: a start, points, and an event of each kind."""
    n = rng.randint(0, 6)
    keys = ("train/loss", "val/loss", "lr", "loss/kl")
    points = Columns(
        np.array([rng.randrange(4) for _ in range(n)], "u2"),
        np.array([rng.choice([0, 1, 2, -(2**63), 2**63 - 1]) for _ in range(n)], "i8"),
        np.array([rng.choice([0.5, np.nan, np.inf, 5e-324]) for _ in range(n)], "f8"),
        np.array([rng.choice([0, NOW_MS, -5, 2**62 + 1]) for _ in range(n)], "i8"),
        np.full(n, 0.5) if rng.random() < 0.5 else None,
    )
    data: dict[str, dict[str, object]] = {
        "run": {"project": "p", "name": "n", "config": {"lr": 0.1}, "tags": {"a": "b"}, "resume": "allow"},
        "config": {"config": {"lr": 0.2}},
        "tags": {"tags": {"x": "y"}},
        "checkpoint": {"step": 3, "path": "a.pt"},
        "finish": {"status": "failed", "error": "ValueError"},
        "output": {"stream": "stdout", "step": 3, "text": "epoch 1"},
        "media": {"key": "k", "kind": "table", "step": 3, "mime": "application/json", "content": "e30="},
        "warning": {"name": "dropped", "key": "k", "count": 2, "example": "e"},
        "alert": {"title": "t", "body": "b", "severity": "critical"},
        "stop": {"request": "r", "step": 3},
        "weights": {"step": 1, "weights": {"kl": 0.5}},
        "capture": {"git": {"commit": "abc"}, "argv": ["a"]},
        "loss": {"loss": {"name": "mse"}},
        "examples": {"split": "train", "step": 3, "count": 2, "top": [["a", 1.5]]},
    }
    kinds = ["run", *rng.sample(sorted(EVENT_KINDS), rng.randint(0, 5))]
    events = tuple(Event(kind=k, record=first + i, time_ms=NOW_MS, data=data[k]) for i, k in enumerate(kinds))
    return Batch(run_id=run_id, writer="w", first=first, count=len(events) + n, keys=keys, points=points, events=events)


def deep(rng: random.Random) -> str:
    """JSON that is nested very deeply."""
    left, right = rng.choice([("[", "]"), ('{"a":', "}"), ('[{"a":[', "]}]")])
    depth = rng.choice([40, 500, 900, DEEP])
    return left * depth + "1" + right * depth


def changed(rng: random.Random, value: object) -> object:
    """The value with something in it replaced, removed, doubled or added."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(list(value))
        how = rng.random()
        if how < 0.1:
            return {key: item for key, item in value.items() if key != name}
        if how < 0.2:
            return {**value, str(rng.choice(JUNK)): rng.choice(JUNK)}
        return {**value, name: changed(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        how = rng.random()
        if how < 0.1:
            return value[:at] + value[at + 1 :]
        if how < 0.2:
            return value * 3
        return [*value[:at], changed(rng, value[at]), *value[at + 1 :]]
    return rng.choice(JUNK)


def odd(rng: random.Random, data: object) -> object:
    """The spelling of a batch with something changed: anything, or what is in its records."""
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.25 or not isinstance(data, dict) or not isinstance(data.get("events"), list):
            data = changed(rng, data)
        elif rng.random() < 0.2 and isinstance(data.get("keys"), list):
            data = {**data, "keys": [rng.choice([k, rng.choice(JUNK)]) for k in data["keys"]]}
        else:
            events = [
                {**e, "data": changed(rng, e["data"])} if isinstance(e, dict) and "data" in e else e
                for e in data["events"]
            ]
            data = {**data, "events": events}
    return data


def body_of(rng: random.Random, batch: Batch) -> tuple[bytes, str]:
    """A body that was once this batch, and its media type."""
    if rng.random() < 0.5:
        text = json.dumps(odd(rng, batch_to_json(batch)))
        return (text.replace("0.1", deep(rng)) if rng.random() < 0.05 else text).encode(), "application/json"
    body = encode_batch(batch)
    if rng.random() < 0.6:  # the header stays JSON
        length = struct.unpack_from("<I", body, 4)[0]
        text = json.dumps(odd(rng, json.loads(body[8 : 8 + length])))
        text = text.replace("0.1", deep(rng)) if rng.random() < 0.05 else text
        raw = text.encode() + b" " * (-len(text.encode()) % 8)
        return body[:4] + struct.pack("<I", len(raw)) + raw + body[8 + length :], MEDIA_TYPE
    return scrambled(rng, body), MEDIA_TYPE


def scrambled(rng: random.Random, body: bytes) -> bytes:
    """Bytes of which some are changed, cut off or added."""
    found = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(found) + 1)
        how = rng.random()
        if how < 0.5 and at < len(found):
            found[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif how < 0.7:
            del found[at : at + rng.randint(1, 16)]
        else:
            found[at:at] = rng.randbytes(rng.randint(1, 16))
    return bytes(found)


@pytest.fixture
def sqlite_store(sqlite_template: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(sqlite_template, tmp_path / "fuzz.db")
    with Store.open(f"sqlite:///{tmp_path / 'fuzz.db'}") as store:
        yield store


def rounds(seconds: float | None) -> Iterator[int]:
    """Count until the time is over; None: as far as the fast suite goes."""
    end = None if seconds is None else time.monotonic() + seconds
    return itertools.takewhile(lambda n: n < FAST if end is None else time.monotonic() < end, itertools.count())


def attack(store: Store, seconds: float | None, seed: int) -> dict[str, int]:
    """Send changed batches for a while; how many of them came to what end."""
    rng, engine = random.Random(seed), Engines()
    ends = {"stored": 0, "refused": 0}
    for _ in rounds(seconds):
        batch = whole(rng, f"{rng.getrandbits(128):032x}", 0)
        body, kind = body_of(rng, batch)
        try:
            ingest(store, engine, decode(body, kind), now_ms=NOW_MS)
        except (WireError, OffsetGap, RunExists, RunNotFound):
            ends["refused"] += 1
            continue
        ends["stored"] += 1
        if rng.random() < 0.1:
            read_all(store, batch.run_id)
    return ends


def read_all(store: Store, run_id: str) -> None:
    """Read what was stored of a run, as the API does; strict JSON, and UTF-8, throughout."""
    try:
        run = store.run(run_id)
    except RunNotFound:  # the id itself was changed
        return
    rows = [run.to_dict(), [e.data for e in store.events(run.id)], [c.to_dict() for c in store.checkpoints(run.id)]]
    json.dumps([*rows, store.diagnosis(run.id).to_dict()], allow_nan=False, ensure_ascii=False).encode()
    for series in store.series(run.id):
        assert len(store.history(run.id, series.key)) == series.count


def attack_readers(seconds: float | None, seed: int) -> None:
    """Read changed answers of a server for a while."""
    rng = random.Random(seed)
    points = Points(np.arange(5), np.arange(5.0), np.arange(5), np.arange(5.0))
    curve: dict[str, object] = {"key": "k", "x_axis": "step", "x": [0, 1], "y": [1, "NaN"], "shown": 2, "total": 2}
    longest = ""
    for _ in rounds(seconds):
        for read, what in (
            (decode_points, scrambled(rng, encode_points(points))),
            (decode_batch, rng.randbytes(rng.randint(0, 200))),
            (curve_from_json, changed(rng, {**curve, "smoothed": rng.choice([None, [1, 2]])})),
        ):
            try:
                if isinstance(what, bytes | dict):
                    read(what)  # type: ignore[arg-type]  # each reads what stands beside it
            except WireError as error:
                said = str(error)
                longest = max(longest, said, key=len)
    assert len(longest) < 1000


def test_two_hundred_changed_batches_are_stored_or_refused(sqlite_store: Store) -> None:
    ends = attack(sqlite_store, None, seed=1)
    assert min(ends.values()) > 0
    attack_readers(None, seed=1)


@pytest.mark.slow
def test_changed_batches_are_stored_or_refused_for_two_minutes(sqlite_store: Store) -> None:
    seed = time.time_ns()
    print("seed", seed)
    ends = attack(sqlite_store, LONG_S * 5 / 6, seed)
    assert min(ends.values()) > 0
    attack_readers(LONG_S / 6, seed)


@pytest.mark.parametrize("depth", [40, 400, 499, 600, 900, 5000, 100_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_any_depth_of_nesting_is_cut_or_refused(sqlite_store: Store, depth: int, left: str, right: str) -> None:
    batch = Batch(run_id="a" * 32, writer="w", first=0, count=1, events=(
        Event(kind="run", record=0, time_ms=NOW_MS, data={"project": "p", "config": {"deep": 12345, "lr": 1}}),
    ))  # fmt: skip
    inside = left * depth + "1" + right * depth
    packed = encode_batch(batch)
    length = struct.unpack_from("<I", packed, 4)[0]
    header = packed[8 : 8 + length].replace(b"12345", inside.encode())
    header += b" " * (-len(header) % 8)
    refused: list[str] = []
    for body, kind in (
        (b"LMB1" + struct.pack("<I", len(header)) + header, MEDIA_TYPE),
        (json.dumps(batch_to_json(batch)).replace("12345", inside).encode(), "application/json"),
    ):
        try:
            ingest(sqlite_store, Engines(), decode(body, kind), now_ms=NOW_MS)
        except WireError as error:
            refused.append(str(error))
            continue
        run = sqlite_store.run("a" * 32)
        assert (run.config["lr"], run.warnings) == (1, {"shortened": 1})
    assert all("nested too deeply" in said for said in refused)
    assert depth > 400 or not refused
