"""Underfitting is told only where the loss's chance level and floor are known."""

from __future__ import annotations

import numpy as np

from monitor.rules import diagnose


def test_a_flat_loss_of_which_nothing_is_known_is_not_underfit() -> None:
    step = np.arange(60)
    loss = np.c_[step, 0.85 + 0.15 * np.exp(-step / 3)]
    assert diagnose(loss, loss, unit="epoch").verdict == "convergence"


def test_a_start_at_the_frequencies_of_the_targets_counts_as_way_from_chance() -> None:
    step = np.arange(60)
    loss = np.c_[step, 0.18 + 0.02 * np.exp(-step / 3)]
    known = {"chance": float(np.log(2)), "floor": 0.0}
    assert "underfitting" not in {f.rule for f in diagnose(loss, loss, unit="epoch", loss=known).findings}
