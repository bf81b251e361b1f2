"""The guide to losses runs, and every specification says where its formulas come from."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from monitor import losses
from monitor.losses.profiles.kinds import TORCH_KINDS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_guide_runs() -> None:
    failures, tried = doctest.testfile(str(DOCS / "losses.md"), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert tried > 20
    assert failures == 0


def test_the_page_of_torchs_losses_has_every_loss_and_its_picture() -> None:
    page = (DOCS / "losses" / "torch.md").read_text(encoding="utf-8")
    for name in TORCH_KINDS:
        assert f"## {name}\n" in page
        assert f"({name}.svg)" in page
        assert (DOCS / "losses" / f"{name}.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize("cls", [cls for kind, cls in losses.REGISTRY.items() if kind != "custom"])
def test_every_specification_cites_its_source_and_has_an_example(cls: type[losses.LossSpec]) -> None:
    assert "Source:" in (cls.__doc__ or "")
    assert ">>>" in (cls.__doc__ or "")
