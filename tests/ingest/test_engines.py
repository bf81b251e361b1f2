"""Each project is judged by its own rules, whoever stores its points."""

from __future__ import annotations

import numpy as np
import pytest

from monitor import settings
from monitor.domain import Finding
from monitor.errors import RulesError, SettingsError
from monitor.ingest import rejudge
from monitor.ingest.engines import Engines, open_engines
from monitor.store import Store
from tests.conftest import NOW_MS, Feed

STEPS = np.arange(0, 1200, 10)
TRAIN = 2.0 * 0.995**STEPS + 0.05
VAL = 2.0 * 0.995**STEPS + 4e-4 * np.maximum(0, STEPS - 300)
OFF = Engines({"overfitting": {"enabled": False}})


def overfit(feed: Feed, until: int = len(STEPS), start: int = 0) -> list[Finding]:
    """Log a run that overfits; what the rules say of overfitting."""
    for key, values in (("train/loss", TRAIN), ("val/loss", VAL)):
        feed.log(key, STEPS[start:until].tolist(), values[start:until].tolist())
    return [finding for finding in feed.store.findings(feed.run_id) if finding.rule == "overfitting"]


def test_projects_are_judged_by_their_own_rules(store: Store) -> None:
    own = {"calm": {"rules": {"overfitting": False}}, "strict": {"rules": {"overfitting": {"rise": 0.03}}}}
    engines = Engines({"overfitting": {"severity": "warning"}}, own)
    found = {}
    for project in ("calm", "strict", "any"):
        feed = Feed(store, engines=engines)
        feed.start(project=project)
        found[project] = overfit(feed)
        assert store.run(feed.run_id).verdict == ("overfitting" if found[project] else store.run(feed.run_id).verdict)
    assert found["calm"] == []
    assert {f.severity for f in (*found["strict"], *found["any"])} == {"warning"}
    hashes = {project: findings[0].rules_hash for project, findings in found.items() if findings}
    assert hashes == {"strict": engines.hashes["strict"], "any": engines.default.config.hash}
    assert len({*hashes.values(), engines.hashes["calm"]}) == 3


def test_a_rule_that_is_switched_off_under_a_run_is_resolved_and_its_stop_withdrawn(feed: Feed) -> None:
    (before,) = overfit(feed, 100)
    assert before.state == "firing" and feed.store.run(feed.run_id).recommendation.action == "stop"
    feed.engines = OFF
    (after,) = overfit(feed, start=100)
    run = feed.store.run(feed.run_id)
    assert (after.state, after.number, after.resolved_step) == ("resolved", before.number, STEPS[99])
    assert "switched off" in after.explanation and after.rules_hash == OFF.default.config.hash != before.rules_hash
    assert run.verdict != "overfitting" and run.recommendation.action == "continue"
    assert run.recommendation.first_stop_step is not None  # what was advised is not unsaid
    assert [d.alert.state for d in feed.store.alerts(feed.run_id) if d.alert.kind == "overfitting"] == [
        "resolved", "firing",
    ]  # fmt: skip


def test_a_rule_that_is_switched_on_under_a_run_fires_with_the_hash_of_the_new_rules(feed: Feed) -> None:
    feed.engines = OFF
    assert overfit(feed, 100) == []
    feed.engines = Engines()
    (found,) = overfit(feed, start=100)
    assert found.rules_hash == Engines().default.config.hash and found.fired_step >= STEPS[100]


def test_judging_anew_takes_the_rules_of_the_projects(feed: Feed) -> None:
    assert overfit(feed)
    rejudge(feed.store, Engines({}, {"p": {"rules": {"overfitting": False}}}), feed.run_id, now_ms=NOW_MS)
    assert overfit(feed, 0) == []


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("monitor.toml", "[rules.overfitting]\nrize = 1\n",
         r"rules overfitting.rize \(monitor.toml, line 2\): is not a setting of this rule; did you mean 'rise'\?"),
        ("monitor.toml", "port = 1\n\n[projects.vision.rules.spikes]\nz = 3\n",
         r"rules projects.vision.rules.spikes \(monitor.toml, line 3\): is not a rule; did you mean 'spike'\?"),
        ("monitor.toml", "[projects.vision]\nrule = {}\n",
         r"projects.vision.rule \(monitor.toml, line 2\): is not known; did you mean 'rules'\?"),
        ("monitor.toml", "[projects.vision.rules.spike]\nseverity = 'critcal'\n",
         r"projects.vision.rules.spike.severity \(monitor.toml, line 2\): is 'critcal'; did you mean 'critical'\?"),
        ("monitor.yaml", "projects:\n  vision:\n    rules:\n      spike: {warmup: -1}\n",
         r"projects.vision.rules.spike.warmup \(monitor.yaml, line 4\): is -1; write a number from 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_with_its_line_and_the_nearest_name(
    tmp_path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MONITOR_CONFIG", raising=False)
    (tmp_path / name).write_text(text)
    with pytest.raises(RulesError, match=says):
        open_engines(settings.load(dir=tmp_path / "home"))


def test_an_unknown_setting_is_told_with_its_line(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MONITOR_CONFIG", raising=False)
    (tmp_path / "monitor.toml").write_text("port = 1\nproject = {}\n")
    with pytest.raises(SettingsError, match=r"monitor.toml, line 2: project: is not known; did you mean 'projects'\?"):
        settings.load(dir=tmp_path / "home")


def test_a_projects_settings_lie_over_those_of_all(tmp_path) -> None:
    engines = Engines({"overfitting": {"patience": 3, "unit": "evals"}, "spike": False},
                      {"vision": {"rules": {"overfitting": {"patience": 9}, "spike": True}}, "text": {}})  # fmt: skip
    own = engines.of("vision").config.settings
    assert (own["overfitting"].patience, own["overfitting"].unit, own["spike"].enabled) == (9, "evals", True)
    assert engines.of("text").config.hash == engines.of("nobody").config.hash == engines.default.config.hash
