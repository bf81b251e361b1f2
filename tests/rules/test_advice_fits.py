"""What a rule advises stands with its finding after the run has ended, so it says nothing to a live loop."""

from __future__ import annotations

import re

import pytest

from monitor.rules import RULE_NAMES
from monitor.rules.lab import examples

OF_A_LIVE_RUN = re.compile(r"\b(stop(?!ped| its schedule)|let it run|keep (on )?running|continue)\b", re.IGNORECASE)
"""Whether to stop is said by the recommendation, which ends with the run. A schedule may stop."""


@pytest.mark.parametrize("name", RULE_NAMES)
def test_advice_fits_a_run_that_has_ended(name: str) -> None:
    said = [found.advice for found in examples.FIRING[name].diagnose().findings if found.rule == name]
    assert said and not [each for each in said if OF_A_LIVE_RUN.search(each)]
