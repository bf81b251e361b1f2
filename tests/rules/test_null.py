"""Nothing happens on these curves, whatever the noise: a critical finding would be a false alarm."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest

from monitor.rules import diagnose


def wandering(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    """Gaussian noise of unit variance with autocorrelation `rho`."""
    steps = rng.normal(size=n) * np.sqrt(1 - rho**2)
    steps[0] = rng.normal()
    return np.array(list(accumulate(steps, lambda before, step: rho * before + step)))


def critical(seed: int, rho: float, checks: int) -> bool:
    rng = np.random.default_rng(seed)
    step = np.arange(checks)
    base = 1 + (seed % 2) * 2 * np.exp(-step / (checks / 10))
    train, val = (base + 0.05 * wandering(rng, checks, rho) for _ in range(2))
    findings = diagnose(np.c_[step, train], np.c_[step, val]).findings
    return any(finding.severity == "critical" for finding in findings)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_autocorrelated_noise_raises_hardly_any_critical_finding(rho: float) -> None:
    assert sum(critical(seed, rho, 1000) for seed in range(12)) <= (rho > 0.5)


@pytest.mark.slow
@pytest.mark.parametrize(("rho", "most"), [(0.0, 3), (0.5, 3), (0.9, 6), (0.97, 15)])
def test_one_run_in_a_hundred_raises_a_critical_finding_and_five_where_noise_hardly_forgets(
    rho: float, most: int
) -> None:
    assert sum(critical(seed, rho, 5000) for seed in range(300)) <= most
