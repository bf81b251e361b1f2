from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain import RunInfo, RunStatus, SeriesInfo
from monitor.mlflow_store import content
from monitor.roles import Role

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from mlflow.utils.validation import _validate_batch_log_data, _validate_param, _validate_tag


def a_series(key: str, role: Role, **more: float) -> SeriesInfo:
    values = {"last_step": 9, "last": 0.5, "min": 0.4, "min_step": 7, "max": 2.0, "max_step": 1, "last_time_ms": 90}
    return SeriesInfo(key=key, role=role, count=10, **(values | more))  # type: ignore[arg-type]


def test_a_loss_has_its_last_its_best_and_the_step_of_the_best() -> None:
    metrics = content.metrics_of([a_series("val/loss", Role.VAL)], now_ms=1)

    assert {str(m["key"]): (m["value"], m["step"]) for m in metrics} == {
        "val/loss": (0.5, 9),
        "val/loss.best": (0.4, 7),
        "val/loss.best_step": (7, 7),
    }
    assert {m["timestamp"] for m in metrics} == {90}


def test_what_is_no_loss_has_extremes_and_what_is_measured_only_its_last_value() -> None:
    metrics = content.metrics_of([a_series("accuracy", Role.UNMAPPED), a_series("lr", Role.LR)], now_ms=1)

    assert sorted(str(m["key"]) for m in metrics) == ["accuracy", "accuracy.max", "accuracy.min", "lr"]


def test_a_series_without_a_finite_value_says_how_many_it_has_of_the_others() -> None:
    (metric,) = content.metrics_of(
        [SeriesInfo(key="loss", role=Role.TRAIN, count=3, nan_count=2, inf_count=1)], now_ms=1
    )

    assert (metric["key"], metric["value"]) == ("loss.non_finite", 3)


def test_a_series_of_the_users_that_is_called_like_one_of_ours_keeps_its_name() -> None:
    theirs = a_series("loss.best", Role.UNMAPPED, last=123.0)

    metrics = {m["key"]: m["value"] for m in content.metrics_of([a_series("loss", Role.TRAIN), theirs], now_ms=1)}

    assert metrics["loss.best"] == 123.0
    assert metrics["loss.best_2"] == 0.4


@pytest.mark.parametrize("status", list(RunStatus))
def test_every_status_has_one_in_mlflow_and_ends_with_it(status: RunStatus) -> None:
    run = RunInfo(id="a" * 32, project="p", name="n", status=status, created_ms=1, heartbeat_ms=5)

    assert (content.end_ms(run) is None) == (content.STATUS[status] == "RUNNING")


_names = st.text(max_size=300)
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


@given(tags=st.dictionaries(_names, st.text(max_size=50) | st.just("x" * 9000), max_size=5), name=_names)
def test_mlflow_takes_every_tag_and_metric_name(tags: dict[str, str], name: str) -> None:
    run = RunInfo(id="a" * 32, project="p", name="n", status=RunStatus.RUNNING, created_ms=1, tags=tags)

    metrics = content.metrics_of([a_series(name, Role.VAL), a_series(name + "?", Role.TRAIN)], now_ms=1)

    for key, value in content.tags_of(run).items():
        _validate_tag(key, value)
    for metric in metrics:
        assert len(str(metric["key"])) <= content.MAX_KEY
        _validate_batch_log_data(_metric_entities(metric), [], [])
    assert len({m["key"] for m in metrics}) == 6


def _metric_entities(metric: dict[str, object]) -> list[object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.entities import Metric
    return [Metric(metric["key"], metric["value"], metric["timestamp"], metric["step"])]
