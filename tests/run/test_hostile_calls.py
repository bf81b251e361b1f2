"""Any calls with any arguments: no number that was legal is missing, the run ends, and what was left out is counted."""

from __future__ import annotations

import contextlib
import decimal
import json
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor import limits
from monitor.api import create_api
from monitor.domain import RunStatus
from monitor.ingest.engines import Engines
from monitor.run.start import Run, init
from monitor.settings import Settings, load
from monitor.shipping.sinks import EmbeddedSink, HttpSink, MemorySink, Sink
from monitor.store import Store
from monitor.wire import Batch
from tests.api.conftest import served
from tests.limits.test_limits import ODD, Raises, cyclic

Start = Callable[..., Run]


def numbers() -> st.SearchStrategy[object]:
    """Everything that is a number, with which float it is."""
    return (
        st.floats()
        | st.integers(-(2**70), 2**70)
        | st.booleans()
        | st.floats(width=32).map(np.float32)
        | st.integers(-(2**31), 2**31 - 1).map(np.int32)
        | st.floats().map(lambda v: np.array([v]))
        | st.floats(width=32).map(torch.tensor)
        | st.fractions()
        | st.decimals(allow_nan=False, allow_infinity=False)
    )


def _has_hash(value: object) -> bool:
    try:
        hash(value)
    except Exception:
        return False
    return True


odd = st.sampled_from(ODD).map(lambda make: make())
keys: st.SearchStrategy[Any] = (
    st.sampled_from(["train/loss", "val/loss", "lr", "loss/kl", "é", " a", "a", "\udcff", "k" * 300, "x\0", "", 5])
    | st.text(st.characters(), max_size=6)
    | odd.filter(lambda value: getattr(type(value), "__hash__", None) is not None and type(value).__name__ != "dict")
)
steps: st.SearchStrategy[Any] = st.none() | st.integers(0, 50) | st.just(10**400) | st.booleans() | st.floats() | odd
anything: st.SearchStrategy[Any] = odd | st.text(st.characters(), max_size=12) | st.none() | st.integers() | st.floats()
rows = st.dictionaries(keys.filter(_has_hash), numbers() | odd | st.text(max_size=3), max_size=4)
calls = st.one_of(
    st.tuples(st.just("log"), rows | anything, steps, anything, anything, st.none() | rows | anything),
    st.tuples(st.just("log_plain"), st.floats(), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("log_many"), anything | st.lists(st.integers(0, 9), max_size=40), anything | rows),
    st.tuples(st.just("checkpoint"), anything, anything),
    st.tuples(st.just("alert"), anything, anything, anything),
    st.tuples(st.just("update_config"), anything | rows),
    st.tuples(st.just("update_tags"), anything | rows | st.lists(anything, max_size=3)),
    st.tuples(st.just("update_loss"), anything),
    st.tuples(st.just("should_stop"), st.sampled_from([0, 0.0, "x", None, math.nan, -1, Raises()])),
    st.tuples(st.just("flush"), st.sampled_from([0.01, "x", None, math.nan, -1, Raises()])),
)
endings = st.tuples(
    st.sampled_from(["finished", "failed", "stopped", "nonsense", None, 5, [], Raises(), np.zeros(3)]),
    st.none() | anything | st.builds(ValueError, anything),
)


@dataclass
class Expected:
    """What must be stored: values by metric, in the order in which they were logged, bit by bit."""

    points: dict[str, list[bytes]] = field(default_factory=dict)

    def row(self, data: object) -> None:
        """Take in the flat rows of a call; where a name comes twice the last one counts."""
        if type(data) is not dict:
            return
        flat: dict[str, object] = {}
        for name, value in data.items():
            if not isinstance(value, dict):
                flat[limits.key(name)] = value
        for name, value in flat.items():
            number = as_float(value)
            if number is not None:
                self.points.setdefault(name, []).append(np.float64(number).tobytes())


def as_float(value: object) -> float | None:
    """The number that a value is; None where it is none."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        return float(value.item()) if value.size != 0 and np.prod(tuple(value.shape)) == 1 else None
    if not isinstance(value, float | int | decimal.Decimal | Fraction):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def play(run: Run, sequence: list[tuple[Any, ...]], ending: tuple[Any, Any]) -> Expected:
    expected = Expected()
    for name, *arguments in sequence:
        if name == "log":
            data, step, epoch, time, weights = arguments
            run.log(data, step, epoch, time, weights=weights)
            expected.row(data)
        elif name == "log_plain":
            value, step = arguments
            run.log({"plain": value}, step)
            expected.row({"plain": value})
        else:
            getattr(run, name)(*arguments)
    run.finish(*ending)
    return expected


def check(store: Store, run: Run, expected: Expected, ending: tuple[Any, Any]) -> None:
    info = store.run(run.id)
    known = isinstance(ending[0], str) and ending[0] in ("failed", "stopped", "finished")
    said = RunStatus(ending[0]) if known else RunStatus.FINISHED
    assert info.status in (said, RunStatus.STOPPED if said is RunStatus.FINISHED else said)
    no_text = ending[1] is None or (isinstance(ending[1], str) and not ending[1])
    assert (info.error is None) == no_text  # no text is no error
    stored: dict[str, Counter[bytes]] = {}
    for series in store.series(run.id):
        values = store.history(run.id, series.key).values
        stored[series.key] = Counter(bits(v.tobytes()) for v in values)
    for name, points in expected.points.items():
        missing = Counter(map(bits, points)) - stored.get(name, Counter())
        assert not missing, (name, missing, info.warnings)
    told = Counter[str]()
    for event in store.events(run.id):
        assert event.data == json.loads(json.dumps(event.data, allow_nan=False))
        if event.kind == "warning":
            told[str(event.data["name"])] += int(str(event.data["count"]))
    assert told == {name: n for name, n in info.warnings.items() if name != "late"}


def bits(value: bytes) -> bytes:
    """A float's bits; a NaN's payload may change on its way through a float32."""
    return b"nan" if math.isnan(np.frombuffer(value)[0]) else value


@contextlib.contextmanager
def playground() -> Iterator[tuple[Settings, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        chosen = load(dir=Path(folder), capture=False, ship_interval_s=0.01, finish_timeout_s=60, fsync_interval_s=0)
        yield chosen, Path(folder)


relaxed = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@relaxed
@given(sequence=st.lists(calls, max_size=12), ending=endings, config=anything | rows, tags=st.none() | rows)
def test_no_legal_number_is_lost_to_any_sequence_of_calls(
    embedded: tuple[Settings, Store], sequence: list[tuple[Any, ...]], ending: tuple[Any, Any], config: Any, tags: Any
) -> None:
    chosen, store = embedded
    one_run(chosen, store, EmbeddedSink(chosen, lambda: 1_764_000_000_000), sequence, ending, config, tags)


@settings(relaxed, max_examples=8)
@given(sequence=st.lists(calls, max_size=12), ending=endings, config=anything | rows, tags=st.none() | rows)
def test_nor_on_its_way_through_a_server(
    server: tuple[Settings, Store, str],
    sequence: list[tuple[Any, ...]],
    ending: tuple[Any, Any],
    config: Any,
    tags: Any,
) -> None:
    chosen, store, url = server
    one_run(chosen, store, HttpSink(url), sequence, ending, config, tags)


def one_run(
    chosen: Settings, store: Store, sink: Sink, sequence: Any, ending: tuple[Any, Any], config: Any, tags: Any
) -> None:
    config = config if isinstance(config, dict) else {"of": config}
    run = init("p", settings=chosen, sink=sink, config=config, tags=tags)
    expected = play(run, sequence, ending)
    assert not list(chosen.journal_dir.rglob("*.seg")), "something was not delivered"
    check(store, run, expected, ending)


@pytest.fixture(scope="module")
def embedded() -> Iterator[tuple[Settings, Store]]:
    with playground() as (chosen, _), Store.open(chosen.store_url) as store:
        yield chosen, store


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Settings, Store, str]]:
    with contextlib.ExitStack() as stack:
        chosen, _ = stack.enter_context(playground())
        store = stack.enter_context(Store.open(chosen.store_url))
        yield chosen, store, stack.enter_context(served(create_api(store, Engines(), chosen)))


@pytest.mark.parametrize(
    ("call", "kind", "counter"),
    [
        (lambda run: run.alert(""), "alert", "mended"),
        (lambda run: run.alert("  ", "look here"), "alert", "mended"),
        (lambda run: run.alert("t" * 10**6, "b" * 10**6), "alert", "shortened"),
        (lambda run: run.checkpoint(1, ""), None, "dropped"),
        (lambda run: run.checkpoint(10**400, "a.pt"), "checkpoint", "converted"),
        (lambda run: run.checkpoint(1, b"a\xff"), "checkpoint", None),
        (lambda run: run.update_tags(["a sentence " * 50]), "tags", "renamed"),
        (lambda run: run.update_tags({"": "x"}), None, "dropped"),
        (lambda run: run.update_tags({"k" * 300: "v" * 10**6}), "tags", "shortened"),
        (lambda run: run.update_config({"a": "x" * 70_000_000}), "config", "shortened"),
        (lambda run: run.update_config(cyclic()), "config", "shortened"),
        (lambda run: run.update_config({"a\udcff": "b\udcff\0"}), "config", "mended"),
        (lambda run: run.update_config({1: 2, b"x": Raises()}), "config", "mended"),
        (lambda run: run.log({"x": 1.0}, step=True, weights={"x": 0.5}), "weights", None),
        (lambda run: run.log({"x": 1.0}, step=10**400, weights={"x": 0.5}), "weights", "converted"),
        (lambda run: run.log({os.fsdecode(b"caf\xe9.png"): 1.0}, step=1), None, "renamed"),
        (lambda run: run.log({"k" * 10_000: 1.0}, step=1), None, "renamed"),
        (lambda run: run.log({"a": cyclic()}, step=1), None, "dropped"),
        (lambda run: run.log({Raises(): 1.0}, step=1), None, None),
        (lambda run: run.log({"x": 1.0}, time=-5.0), None, "converted"),
    ],
)
def test_an_odd_call_is_mended_or_left_out_and_told_of(
    embedded: tuple[Settings, Store], call: Callable[[Run], None], kind: str | None, counter: str | None
) -> None:
    chosen, store = embedded
    run = init("p", settings=chosen, sink=EmbeddedSink(chosen, lambda: 1_764_000_000_000))
    run.log({"train/loss": 1.0}, step=0)
    call(run)
    run.log({"train/loss": 0.5}, step=1)
    run.finish()
    assert store.history(run.id, "train/loss").values.tolist() == [1.0, 0.5]
    kinds = {event.kind for event in store.events(run.id)} - {"run", "finish", "warning"}
    assert kinds == (set() if kind is None else {kind})
    assert set(store.run(run.id).warnings) >= (set() if counter is None else {counter})
    assert counter is not None or not store.run(run.id).warnings


@pytest.mark.parametrize(
    "given_",
    [ValueError("x"), KeyError("x"), 5, b"x", ["x"], Raises(), "x" * 10**6, KeyboardInterrupt()],
    ids=lambda value: type(value).__name__,
)
def test_a_run_ends_whatever_it_is_said_to_have_failed_with(start: Start, sink: MemorySink, given_: object) -> None:
    start().finish("failed", given_)
    (event,) = [event for batch in sink.batches for event in batch.events if event.kind == "finish"]
    assert event.data["status"] == "failed"
    assert isinstance(event.data["error"], str)
    assert 0 < len(event.data["error"]) <= limits.MAX_ERROR
    if isinstance(given_, ValueError):
        assert event.data["error"] == "ValueError: x"


def test_a_run_has_so_many_series_and_the_others_are_counted(
    start: Start, sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.run.values.MAX_SERIES", 5)
    with start() as run:
        run.log({f"m{i}": 1.0 for i in range(4)}, step=0)
        for step in range(100):
            run.log({"m0": 1.0, "m4": 2.0, f"new{step}": 3.0}, step=step)
        run.log_many(list(range(50)), {"other": [1.0] * 50})
        run.log_many(list(range(50)), {"m0": [1.0] * 50})
    logged = Counter(batch.keys[k] for batch in sink.batches for k in batch.points.key.tolist())
    assert logged == {"m0": 151, "m1": 1, "m2": 1, "m3": 1, "m4": 100}
    assert warned(sink.batches) == {"dropped": 150}


def warned(batches: list[Batch]) -> Counter[str]:
    found = Counter[str]()
    for batch in batches:
        for event in batch.events:
            if event.kind == "warning":
                found[str(event.data["name"])] += int(str(event.data["count"]))
    return found
