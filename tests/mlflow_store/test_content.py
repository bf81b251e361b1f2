from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain import Action, Checkpoint, Finding, FindingState, Recommendation, RunInfo, RunStatus, Severity
from monitor.mlflow_store import content
from monitor.mlflow_store.content import Subject
from monitor.mlflow_store.note import NOTE, is_replaceable, note_of
from monitor.mlflow_store.rest import Metric
from monitor.run.endings import ending

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from mlflow.entities import Metric as MlflowMetric
    from mlflow.utils.validation import _validate_batch_log_data, _validate_param, _validate_tag


def a_run(**more: Any) -> RunInfo:
    given: dict[str, Any] = {"id": "a" * 32, "project": "p", "name": "n", "status": RunStatus.RUNNING, "created_ms": 1}
    return RunInfo(**(given | more))


def a_finding(rule: str, state: str = "firing", severity: str = "warning", number: int = 1) -> Finding:
    return Finding(
        rule=rule, version=1, state=FindingState(state), severity=Severity(severity), onset_step=10.0, fired_step=20.0,
        resolved_step=None, evidence={}, explanation="It rose.", advice="Stop.", number=number,
    )  # fmt: skip


def test_each_rule_has_a_tag_that_says_whether_it_fires_and_those_that_never_fired_have_none() -> None:
    findings = [
        a_finding("overfitting", "resolved"),
        a_finding("overfitting", "firing", number=2),
        a_finding("spike", "resolved", number=3),
    ]

    tags = content.tags_of(Subject(run=a_run(), findings=findings))

    assert (tags["monitor.overfitting"], tags["monitor.spike"]) == ("true", "false")
    assert "monitor.nan" not in tags


def test_severity_is_that_of_the_worst_finding_that_fires() -> None:
    def severity(*findings: Finding) -> float:
        return content.metrics_of(Subject(run=a_run(), findings=findings))["monitor.severity"]

    assert severity() == 0.0
    assert severity(a_finding("a", severity="info"), a_finding("b", severity="warning")) == 2.0
    assert severity(a_finding("a", severity="critical"), a_finding("b", severity="info")) == 3.0
    assert severity(a_finding("a", "resolved", severity="critical")) == 0.0


def test_skill_is_there_where_the_losss_levels_are_known() -> None:
    best = Recommendation(best_val_loss=0.5, best_step=7.0)

    known = content.metrics_of(
        Subject(run=a_run(recommendation=best, loss={"name": "mine", "chance_level": 2.0, "floor": 0.0}))
    )

    assert (known["best/val_loss"], known["monitor.skill"]) == (0.5, 0.75)
    assert "monitor.skill" not in content.metrics_of(Subject(run=a_run(recommendation=best)))


def test_where_a_run_came_from_is_told_as_mlflow_has_it() -> None:
    capture = {
        "argv": ["/usr/bin/python3", "-m", "train.py", "--lr"], "user": "anna",
        "git": {"commit": "4f" * 20, "branch": "main"},
    }  # fmt: skip

    tags = content.tags_of(Subject(run=a_run(tags={"mlflow.user": "of her own"}), capture=capture))

    assert tags["mlflow.source.name"] == "train.py"
    assert tags["mlflow.source.git.commit"] == "4f" * 20
    assert tags["mlflow.user"] == "of her own"


def test_the_checkpoint_to_go_back_to_is_the_last_one_up_to_the_best_step() -> None:
    saved = [Checkpoint(step=step, path=f"s3://b/{step}.pt", time_ms=1) for step in (100, 200, 300)]
    run = a_run(recommendation=Recommendation(best_step=250.0, best_val_loss=1.0))

    tags = content.tags_of(Subject(run=run, checkpoints=saved))

    assert (tags["monitor.checkpoint.best"], tags["monitor.checkpoint.last"]) == ("s3://b/200.pt", "s3://b/300.pt")
    assert tags["monitor.checkpoints"].splitlines()[0] == "300 s3://b/300.pt"

    many = [Checkpoint(step=step, path="x" * 90, time_ms=1) for step in range(1000)]
    lines = content.tags_of(Subject(run=run, checkpoints=many))["monitor.checkpoints"].splitlines()
    assert lines[0].startswith("999 ")
    assert lines[-1] == f"and {1000 - (len(lines) - 1)} more"


def test_a_tag_of_ours_that_has_nothing_to_say_any_more_is_stale_and_a_users_is_not() -> None:
    there = {"monitor.stop_requested": "anna", "monitor.verdict": "nan", "monitor.goal": "min", "team": "vision"}

    wanted = content.tags_of(Subject(run=a_run()))

    assert content.stale(there, wanted) == ("monitor.stop_requested",)


@pytest.mark.parametrize("status", list(RunStatus))
def test_every_status_has_one_in_mlflow_and_ends_with_it(status: RunStatus) -> None:
    run = a_run(status=status, heartbeat_ms=5)

    assert (content.end_ms(run) is None) == (content.status_of(run) == "RUNNING")


def test_a_run_that_was_interrupted_from_the_keyboard_is_killed_and_one_that_raised_failed() -> None:
    def status(error: BaseException) -> str:
        ended, line = ending(error)
        return content.status_of(a_run(status=RunStatus(ended), error=line))

    assert status(KeyboardInterrupt()) == "KILLED"
    assert status(ValueError("x")) == "FAILED"


_names = st.text(max_size=300)
_texts = st.text(max_size=50) | st.just("x" * 9000) | st.just("\U0001f600" * 9000) | st.sampled_from(["", " ", "\n"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=50) | st.just("x" * 9000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=8,
)


@given(config=st.dictionaries(_names, _json, max_size=5))
def test_mlflow_takes_every_configuration_as_params_and_none_is_lost(config: dict[str, object]) -> None:
    params = content.params_of(config)

    for key, value in params.items():
        assert len(value) <= content.MAX_PARAM
        _validate_param(key, value)
    assert len(params) == sum(1 for _ in content._leaves("", config))


@given(
    tags=st.dictionaries(_names, _texts, max_size=5),
    texts=st.lists(_texts, min_size=5, max_size=5),
    rules=st.lists(_names, max_size=3),
)
def test_mlflow_takes_every_tag_and_none_is_empty(tags: dict[str, str], texts: list[str], rules: list[str]) -> None:
    headline, reason, error, path, group = texts
    run = a_run(
        tags=tags, headline=headline, error=error, group=group,
        recommendation=Recommendation(action=Action.STOP, reason=reason, best_step=1.0),
    )  # fmt: skip
    subject = Subject(
        run=run, checkpoints=[Checkpoint(step=1, path=path, time_ms=1)], findings=[a_finding(rule) for rule in rules],
        capture={"user": group, "argv": ["python", error]},
    )  # fmt: skip

    found = content.tags_of(subject)

    for key, value in found.items():
        assert value.strip()
        assert len(value) <= content.MAX_TAG
        _validate_tag(key, value)
    assert len([key for key in found if not key.startswith(("monitor.", "mlflow."))]) >= len(
        [key for key in tags if not content.safe_key(key).startswith(("monitor.", "mlflow."))]
    )
    note = note_of(subject, None)
    assert note is not None or NOTE in tags
    if note is not None:
        _validate_tag(NOTE, note)
        assert is_replaceable(note)


@given(keys=st.lists(_names, unique=True, max_size=8), value=st.floats())
def test_mlflow_takes_every_metric_and_no_two_are_one(keys: list[str], value: float) -> None:
    found = content.metric_names(keys)

    assert list(found) == keys
    assert len(set(found.values())) == len(keys)
    for name in found.values():
        sent = Metric(name, value, 1, 0).to_json()
        number = sent["value"] if not isinstance(sent["value"], str) else float(sent["value"])
        _validate_batch_log_data([MlflowMetric(name, number, 1, 0)], [], [])


def test_a_note_has_the_verdict_the_numbers_and_a_link() -> None:
    run = a_run(
        verdict="overfitting", headline="It rose <b>by 41%</b>.", status=RunStatus.FAILED, error="a|b",
        recommendation=Recommendation(action=Action.STOP, reason="Worse.", best_step=875.0, best_val_loss=0.41),
    )  # fmt: skip

    note = note_of(Subject(run=run, findings=[a_finding("overfitting")], page="http://h/run?id=a"), None)

    assert note is not None
    assert "**overfitting**: It rose \\<b\\>by 41%\\</b\\>." in note
    assert "| best loss | 0.41 |" in note
    assert "| error | a\\|b |" in note
    assert "[The run's page](http://h/run?id=a)" in note


def test_a_note_is_replaced_only_while_nobody_has_changed_it() -> None:
    subject = Subject(run=a_run(verdict="healthy"))
    first = note_of(subject, "")
    assert first is not None
    changed = Subject(run=dataclasses.replace(subject.run, verdict="nan"))

    assert note_of(subject, first) is None  # it says the same
    assert note_of(changed, first) not in (None, first)
    assert note_of(changed, first.replace("\n", "\r\n")) is not None  # a browser's line ends are no change
    assert note_of(changed, "My experiment.") is None
    assert note_of(changed, first + "\nI like it.") is None
    assert note_of(changed, "I like it. " + first) is None
    assert note_of(Subject(run=a_run(tags={NOTE: "hers"})), None) is None
