from __future__ import annotations

import argparse
import dataclasses
import decimal
import enum
import json
import math
import os
from collections import deque, namedtuple
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import limits

Told = tuple[str, str, str, int]


class Raises:
    """Whatever is asked of it, it raises."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__

    def __float__(self) -> float:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("no")


class RaisingMapping(dict[str, object]):
    def items(self) -> Any:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def get(self, *_: object) -> Any:
        raise RuntimeError("no")


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Inner:
    lr: float = math.nan
    path: Path = Path("/a")


def cyclic() -> dict[str, object]:
    data: dict[str, object] = {"x": 1}
    data["again"] = data["twice"] = [data, data]
    return data


ODD: list[Callable[[], object]] = [
    Raises,
    lambda: RaisingMapping(a=1),
    cyclic,
    lambda: Colour.RED,
    Inner,
    lambda: np.float32(0.5),
    lambda: np.arange(3),
    lambda: torch.tensor(1.5),
    lambda: torch.zeros(3, 3),
    lambda: b"\xff\0",
    lambda: 10**400,
    lambda: 10**5000,
    lambda: -(2**63) - 1,
    lambda: decimal.Decimal("1e400"),
    lambda: os.fsdecode(b"caf\xe9"),
    lambda: "x" * 100_000,
    lambda: {"k" * 300: 1, "k" * 301: 2},
    lambda: [[[[[]]]]] * 3,
    lambda: SimpleNamespace(a=1),
    lambda: {1: 2, "1": 3, None: 4, (1, 2): 5},
    lambda: {5, 6},
    lambda: print,
    lambda: math.nan,
]
odd = st.sampled_from(ODD).map(lambda make: make())
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.binary(max_size=8)
    | odd
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4),
    max_leaves=10,
)
FIELDS = [
    *("project", "name", "group", "config", "tags", "loss", "resume", "heartbeat_s", "join", "step", "path", "status"),
    *("error", "reason", "title", "body", "severity", "weights", "count", "key", "example", "x"),
]
NAMES = st.sampled_from(FIELDS) | st.text(max_size=4)


def noted() -> tuple[list[Told], limits.Note]:
    told: list[Told] = []
    return told, lambda *each: told.append(each)


@given(st.sampled_from([*sorted(limits.EVENT_KINDS), "dance", ""]), st.dictionaries(NAMES, values, max_size=6) | values)
def test_what_is_valid_once_stays_as_it_is_and_is_told_of_once(kind: str, data: object) -> None:
    told, note = noted()
    found = limits.valid(kind, data, note)
    if found is None:
        assert told or kind in ("tags", "warning")
        return
    text = json.dumps(found, allow_nan=False)
    text.encode()
    assert "\\u0000" not in text
    again, listen = noted()
    assert limits.valid(kind, json.loads(text), listen) == found
    assert again == []


@given(st.dictionaries(st.text(max_size=5) | st.integers() | st.none(), values, max_size=6))
def test_a_document_is_strict_json_of_bounded_size_and_depth(data: Mapping[object, object]) -> None:
    found = limits.document(data, limits.silent)
    assert len(json.dumps(found, allow_nan=False, ensure_ascii=False)) <= 2 * limits.MAX_CONFIG
    assert limits.document(found, lambda *told: pytest.fail(str(told))) == found
    assert depth(found) <= limits.MAX_DEPTH


def depth(value: object) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(depth, inside), default=0)


@pytest.mark.parametrize(
    "data",
    [
        {"text": "x" * 70_000_000, "lr": 0.1},
        {"list": list(range(2_000_000)), "lr": 0.1},
        {"many": {str(i): "x" * 100 for i in range(200_000)}, "lr": 0.1},
        {**{f"k{i}": "x" * 900 for i in range(3000)}, "lr": 0.1},
        {"wide": [["x" * 1000] * 1000] * 1000, "lr": 0.1},
        {"again": cyclic(), "lr": 0.1},
    ],
    ids=["text", "list", "mapping", "entries", "shared", "cyclic"],
)
def test_a_huge_configuration_is_cut_and_its_small_entries_stay(data: dict[str, object]) -> None:
    told, note = noted()
    found = limits.document(data, note)
    assert len(json.dumps(found, ensure_ascii=False)) <= limits.MAX_CONFIG
    assert [name for name, *_ in told] == ["shortened"]
    if len(data) < 100:
        assert found["lr"] == 0.1
    assert limits.document(found, lambda *each: pytest.fail(str(each))) == found


def test_a_document_takes_what_people_configure_with() -> None:
    config = {
        "a": Inner(),
        "b": np.float32(0.5),
        "c": torch.tensor(3),
        "d": (1, {2}),
        5: True,
        "e": Colour.RED,
        "f": None,
    }
    told, note = noted()
    assert limits.document(config, note) == {
        "a": {"lr": "NaN", "path": "/a"},
        "b": 0.5,
        "c": 3,
        "d": [1, [2]],
        "5": True,
        "e": "Colour.RED",
        "f": None,
    }
    assert told == []


class Says:
    def __init__(self, held: object) -> None:
        self.held = held

    def to_dict(self) -> object:
        return self.held


class Somewhere:
    def __repr__(self) -> str:
        return f"<Somewhere object at {id(self):#x}>"


class Endless:
    def to_dict(self) -> dict[str, object]:
        return {"again": Endless()}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (Says({"r": 8, "inner": Inner()}), {"r": 8, "inner": {"lr": "NaN", "path": "/a"}}),
        (SimpleNamespace(lr=0.1, of=SimpleNamespace(b=2)), {"lr": 0.1, "of": {"b": 2}}),
        (argparse.Namespace(lr=0.1), {"lr": 0.1}),
        (namedtuple("Betas", "first second")(0.9, 0.99), {"first": 0.9, "second": 0.99}),
        (np.array([0.9, np.nan]), [0.9, "NaN"]),
        (np.array([[2]]), [[2]]),
        (np.array([1, "a", None], dtype=object), [1, "a", None]),
        (torch.ones(2, requires_grad=True), [1.0, 1.0]),
        (np.datetime64("2020-01-01"), "2020-01-01"),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        ({1: 2}.keys(), [1]),
        (enum.StrEnum("Kind", "ADAM").ADAM, "adam"),
        (enum.Enum("Kind", {"ADAM": "adam"}).ADAM, "adam"),  # type: ignore[attr-defined]
        (torch.float32, "torch.float32"),
        (dict, "builtins.dict"),
        (math.prod, "math.prod"),
        (Says(5), f"{__name__}.Says"),
        (b"x", "x"),
        (Somewhere(), "<Somewhere object>"),
    ],
)
def test_a_document_takes_objects_as_data_at_any_depth(given: object, kept: object) -> None:
    assert limits.document({"a": {"b": [given]}}, lambda *each: pytest.fail(str(each))) == {"a": {"b": [kept]}}


def test_a_document_survives_objects_that_hold_themselves() -> None:
    space = SimpleNamespace(lr=0.1)
    space.me = space
    held: dict[str, object] = {}
    held["me"] = Says(held)
    told, note = noted()
    found = limits.document({"space": space, "held": held, "endless": Endless(), "large": np.zeros(10**6)}, note)
    assert found["space"] == {"lr": 0.1, "me": "…"}
    assert json.dumps(found).count("again") < 100
    assert isinstance(found["large"], str)
    assert [name for name, *_ in told] == ["shortened"]


@settings(max_examples=300)
@given(st.text(st.characters(), max_size=300) | odd)
def test_a_key_is_a_name_that_every_store_takes_and_stays_one(value: object) -> None:
    found = limits.key(value)
    assert 1 <= len(found) <= limits.MAX_NAME
    assert found == found.strip()
    assert "\0" not in found
    found.encode()
    assert limits.key(found) == found


def test_long_names_that_differ_stay_different() -> None:
    names = [f"{'k' * 300}{i}" for i in range(1000)] + [f"caf{chr(0xDC80 + i)}" for i in range(100)]
    assert len({limits.key(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("given_", "kept", "counter"),
    [
        (3, 3, None),
        (True, 1, None),
        (False, 0, None),
        (3.0, 3, None),
        (np.int64(5), 5, None),
        (torch.tensor(5), 5, None),
        (2.5, 2, "converted"),
        (10**400, 2**63 - 1, "converted"),
        (-(10**5000), -(2**63), "converted"),
        (1e300, 2**63 - 1, "converted"),
        (math.nan, None, "dropped"),
        (math.inf, None, "dropped"),
        ("4", None, "dropped"),
        (None, None, "dropped"),
        (Raises(), None, "dropped"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_step_is_an_integer_of_64_bits_or_none(given_: object, kept: int | None, counter: str | None) -> None:
    told, note = noted()
    assert limits.step(given_, note) == kept
    assert [name for name, *_ in told] == ([] if counter is None else [counter])


@pytest.mark.parametrize("named", [":max", " ", 5, ["a"]])
def test_a_role_that_names_no_series_is_dropped_and_noted(named: object) -> None:
    noted: list[tuple[object, ...]] = []
    found = limits.valid(
        "run", {"project": "p", "roles": {"goal": named, "train": "fit"}}, lambda *told: noted.append(told)
    )
    assert found is not None and found["roles"] == {"train": "fit"}
    assert [told[:2] for told in noted] == [("dropped", "roles.goal")]
