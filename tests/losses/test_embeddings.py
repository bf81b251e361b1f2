"""Embeddings that collapse are distinguished from those that use their space."""

from __future__ import annotations

import numpy as np
import pytest

from monitor import losses
from monitor.errors import LossError

RNG = np.random.default_rng(0)


def test_a_uniform_sphere_is_healthy_and_has_the_figures_of_the_paper() -> None:
    found = losses.embedding_health(RNG.normal(size=(1500, 64)), None)
    assert found.collapse == "" and found.alignment is None
    assert found.uniformity == pytest.approx(-4, abs=0.2)  # E exp(-2 d**2) at d**2 = 2, and its spread
    assert found.effective_rank > 55


@pytest.mark.parametrize("spread", [0.3, 0.03, 0.001])
def test_points_around_one_direction_are_one_point(spread: float) -> None:
    z = np.ones(64) + spread * RNG.normal(size=(400, 64))
    assert losses.embedding_health(z).collapse == "they lie close to one point"


@pytest.mark.parametrize("directions", [1, 2, 4])
def test_few_directions_are_counted(directions: int) -> None:
    z = RNG.normal(size=(600, directions)) @ RNG.normal(size=(directions, 64))
    found = losses.embedding_health(z)
    assert "directions" in found.collapse and found.effective_rank <= directions + 0.01


def test_alignment_is_the_mean_squared_distance_of_the_pairs() -> None:
    torch = pytest.importorskip("torch")
    z = torch.eye(4)
    assert losses.embedding_health(z, z).alignment == 0
    assert losses.embedding_health(z, -3 * z).alignment == pytest.approx(4)
    assert set(losses.embedding_health(z, z).to_dict()) == {"alignment", "uniformity", "effective_rank"}


@pytest.mark.parametrize("z", [np.zeros((3, 2)), np.ones(3), np.ones((1, 2)), [[1.0, np.nan], [1.0, 1.0]]])
def test_what_is_no_set_of_embeddings_is_refused(z: object) -> None:
    with pytest.raises(LossError, match="embeddings"):
        losses.embedding_health(z)  # type: ignore[arg-type]  # the mistake
