"""Rules of installed packages: pip builds and installs the one of the guide, and its finding goes through ingest."""

from __future__ import annotations

import importlib
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor._resources import ROOT
from monitor.domain import FindingState
from monitor.rules import diagnose
from monitor.rules.registry import BUILT_IN, all_rules, broken_rules, forget
from tests.conftest import Feed

GUIDE = (ROOT / "docs" / "adding-a-rule.md").read_text(encoding="utf-8")
STEPS = list(range(40))
LOSSES = [1 / (1 + i / 10) for i in STEPS]

BROKEN = '''
from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules import Reading, Spec

class Quiet:
    spec = Spec(name="quiet", severity=Severity.INFO, reads=(Role.TRAIN,))
    def check(self, run, limits, firing): return None
    def explain(self, reading, unit): return "", ""

class Raises(Quiet):
    """Goes wrong half way."""
    spec = Spec(name="raises", severity=Severity.INFO, reads=(Role.TRAIN,))
    def check(self, run, limits, firing): return None if run.step < 20 else {}["nothing"]

class Mute(Quiet):
    """Fires, but cannot say why."""
    spec = Spec(name="mute", severity=Severity.INFO, reads=(Role.TRAIN,))
    def check(self, run, limits, firing): return Reading(run.step, {"levels": [1, 2]})
    def explain(self, reading, unit): raise ValueError("no words")

class Spike(Quiet):
    spec = Spec(name="spike", severity=Severity.INFO, reads=(Role.TRAIN,))

class Shapeless:
    spec = 3
'''
POINTS = """[monitor.rules]
a_missing = nowhere.at.all:Rule
b_shapeless = broken_rules:Shapeless
c_taken = broken_rules:Spike
mute = broken_rules:Mute
quiet = broken_rules:Quiet
raises = broken_rules:Raises
"""


@pytest.fixture
def on_path() -> Iterator[Callable[[Path], None]]:
    """Puts a folder of installed packages on the path, and takes it off again."""
    put: list[Path] = []
    before = set(sys.modules)

    def add(folder: Path) -> None:
        sys.path.insert(0, str(folder))
        put.append(folder)
        importlib.invalidate_caches()
        forget()

    yield add
    for folder in put:
        sys.path.remove(str(folder))
    for name in {"acme_rules", "broken_rules"} & (set(sys.modules) - before):
        del sys.modules[name]
    forget()


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that the guide shows, file by file, installed by pip into a folder."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    files = re.findall(r"`([\w./]+)`:\n\n```\w+\n(.*?)```", GUIDE, re.DOTALL)
    assert [name for name, _ in files] == ["acme_rules.py", "pyproject.toml"]
    for name, text in files:
        (source / name).write_text(text, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    return target


@pytest.fixture
def broken(tmp_path: Path, on_path: Callable[[Path], None]) -> None:
    """A package with rules that are broken in every way, as pip would leave it."""
    (tmp_path / "broken_rules.py").write_text(BROKEN)
    info = tmp_path / "broken_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    on_path(tmp_path)


def test_the_rule_of_the_guide_fires_at_the_step_that_the_guide_says(
    acme: Path, on_path: Callable[[Path], None]
) -> None:
    on_path(acme)
    found = next(f for f in diagnose(list(zip(STEPS, LOSSES, strict=True))).findings if f.rule == "loss_below")
    assert (found.fired_step, found.explanation) == (13, "The loss is 0.455 since step 12.")
    assert f"at step {found.fired_step:g}" in GUIDE and found.explanation in GUIDE


def test_its_finding_goes_through_ingest_into_the_store_in_whatever_pieces_points_come(
    acme: Path, on_path: Callable[[Path], None], feed: Feed
) -> None:
    on_path(acme)
    feed = Feed(feed.store)  # with an engine that knows the new rule
    feed.start()
    for at in range(0, 40, 7):
        feed.log("train/loss", STEPS[at : at + 7], LOSSES[at : at + 7])
    found = next(f for f in feed.store.diagnosis(feed.run_id).findings if f.rule == "loss_below")
    assert (found.fired_step, found.state) == (13, FindingState.FIRING)
    assert found.evidence == {"level": 0.454545, "target": 0.5}
    assert found.rules_hash == feed.engines.default.config.hash


def test_the_command_line_lists_it_with_its_threshold(acme: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "monitor", "rules", "ls", "--json"]
    env = {"PYTHONPATH": f"{acme}:{ROOT}", "PATH": "", "MONITOR_DIR": str(tmp_path)}
    data = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout)
    row = next(row for row in data["rules"] if row["rule"] == "loss_below")
    assert row["thresholds"]["target"]["value"] == 0.5 and data["broken"] == []


@pytest.mark.usefixtures("broken")
def test_what_cannot_be_loaded_is_left_out_and_named_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="monitor.rules"):
        names = [rule.spec.name for rule in all_rules()]
    assert names == [*(rule.spec.name for rule in BUILT_IN), "mute", "quiet", "raises"]
    said = {b.name: b.problem for b in broken_rules()}
    assert said == {
        "a_missing": "loading it raised ModuleNotFoundError: No module named 'nowhere'",
        "b_shapeless": "rules b_shapeless: has no spec; "
        "give it a class attribute `spec` of type monitor.rules.rule.Spec",
        "c_taken": "rules spike: is defined twice, by broken_rules:Spike too; give it another name",
    }
    assert [record.message for record in caplog.records] == [str(b) for b in broken_rules()]
    assert all("broken-rules 1.0" in record.message for record in caplog.records)


@pytest.mark.usefixtures("broken")
def test_a_rule_that_raises_is_a_finding_and_every_point_and_other_rule_goes_on(feed: Feed) -> None:
    feed = Feed(feed.store)
    feed.start()
    reply = feed.log("train/loss", STEPS, [*LOSSES[:-1], float("nan")])
    assert reply.acked == 1 + len(STEPS)
    found = {f.rule: f for f in feed.store.diagnosis(feed.run_id).findings}
    assert found["raises"].explanation == (
        "The installed rule raises (broken_rules.Raises) is broken: it raised KeyError: 'nothing' at step 20. "
        "It says nothing about this run."
    )
    assert "ValueError: no words" in found["mute"].explanation and found["mute"].evidence == {"levels": "[1, 2]"}
    assert found["nan"].fired_step == 39
