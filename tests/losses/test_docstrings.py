"""The examples in the room's docstrings are run, and every specification says where its formulas come from."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import monitor.losses
from monitor import losses

MODULES = [item.name for item in pkgutil.walk_packages(monitor.losses.__path__, "monitor.losses.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    if name.rsplit(".", 1)[-1] in ("torch_modules", "torch_catalogue", "trainable"):
        pytest.importorskip("torch")
    failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0


@pytest.mark.parametrize("cls", [cls for kind, cls in losses.REGISTRY.items() if kind != "custom"])
def test_every_specification_cites_its_source_and_has_an_example(cls: type[losses.LossSpec]) -> None:
    assert "Source:" in (cls.__doc__ or "")
    assert ">>>" in (cls.__doc__ or "")
