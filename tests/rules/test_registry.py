from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.errors import RulesError
from monitor.rules import diagnose
from monitor.rules.registry import all_rules, check_rule

PACKAGE = '''
from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules import Reading, Spec, Threshold

class LossBelow:
    """The training loss is below a target."""

    spec = Spec(
        name="{name}", severity=Severity.INFO, reads=(Role.TRAIN,),
        thresholds={{"target": Threshold(default=0.5, low=0, high=1e9, doc="loss")}},
    )

    def check(self, run, limits, firing):
        level = run.train.level
        return Reading(run.step, {{"level": level}}) if level < limits["target"] else None

    def explain(self, reading, unit):
        return f"The loss is {{reading.evidence['level']:.3g}}.", "Done."
'''


@pytest.fixture
def install(tmp_path: Path) -> Iterator[object]:
    """Installs a distribution with one rule under a name, as pip would leave it on the path."""

    def put(name: str) -> None:
        (tmp_path / "acme_rules.py").write_text(PACKAGE.format(name=name))
        info = tmp_path / "acme_rules-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[monitor.rules]\nloss_below = acme_rules:LossBelow\n")
        sys.path.insert(0, str(tmp_path))
        importlib.invalidate_caches()
        all_rules.cache_clear()

    yield put
    sys.path.remove(str(tmp_path))
    sys.modules.pop("acme_rules", None)
    all_rules.cache_clear()


def test_an_installed_rule_is_asked_like_a_built_in_one(install) -> None:
    install("loss_below")
    curve = [(i, 1 / (1 + i / 10)) for i in range(40)]
    found = next(f for f in diagnose(curve).findings if f.rule == "loss_below")
    assert found.fired_step == 12 and found.explanation == "The loss is 0.476."


def test_an_installed_rule_cannot_take_a_name_that_is_taken(install) -> None:
    install("spike")
    with pytest.raises(RulesError, match="defined twice"):
        all_rules()


@pytest.mark.parametrize("bad", [object(), type("R", (), {"spec": 3})()])
def test_an_object_that_is_no_rule_is_refused(bad: object) -> None:
    with pytest.raises(RulesError, match="has no spec"):
        check_rule("bad", bad)
