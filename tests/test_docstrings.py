"""The examples in all docstrings are run: they are where most formats and thresholds are written down."""

from __future__ import annotations

import doctest
import importlib
import re

import pytest

from monitor._resources import ROOT

_EXAMPLE = re.compile(r"^\s*>>> ", re.MULTILINE)
_NEEDS = {
    "monitor.integrations.jax": "jax",
    "monitor.losses.balance": "torch",
    "monitor.losses.comparison.trainable": "torch",
    "monitor.losses.profiles.torch_catalogue": "torch",
    "monitor.losses.specs.torch_modules": "torch",
}
"""Modules that need a library which is optional."""
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for room in ("monitor", "dashboard")
    for path in sorted((ROOT / room).rglob("*.py"))
    if _EXAMPLE.search(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str) -> None:
    if name in _NEEDS:
        pytest.importorskip(_NEEDS[name])
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed
