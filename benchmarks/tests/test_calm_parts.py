"""Calm composite runs raise none of the rules over parts: real trainings, and synthetic ones with wandering noise."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from monitor._resources import ROOT


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The benchmark that counts false alarms; it makes the runs."""
    spec = importlib.util.spec_from_file_location("bench_parts", ROOT / "benchmarks" / "bench_parts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_synthetic_calm_runs_raise_nothing(bench: ModuleType) -> None:
    assert {seed: found for seed in range(25) if (found := bench.fired(bench.synthetic(seed)))} == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vae", "l2", "tasks", "all"])
def test_real_calm_trainings_raise_nothing(bench: ModuleType, kind: str) -> None:
    assert {seed: found for seed in range(2) if (found := bench.fired(bench.real(kind, seed)))} == {}
