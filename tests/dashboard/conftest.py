"""Curves, findings and runs as the dashboard gets them from `monitor.Api`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.charts import Look
from dashboard.data import Snapshot
from dashboard.figure import Figure
from dashboard.theme import palette
from monitor.domain import Curve, Finding, FindingState, RunInfo, RunStatus, SeriesInfo, Severity
from monitor.roles import role_of

NOW_MS = 1_764_000_000_000
LOOK = Look(palette=palette("light"), revision="r")


def curve(
    values: Sequence[float], *, x: Sequence[float] | None = None, total: int | None = None, **more: object
) -> Curve:
    """A curve over steps 0, 1, 2… unless other x are given."""
    y = np.array(values, float)
    xs = np.arange(len(y), dtype=float) if x is None else np.array(x, float)
    made = Curve("train/loss", "step", xs, y, len(y), len(y) if total is None else total)
    return replace(made, **more)  # type: ignore[arg-type]  # passed on


def finding(rule: str = "overfitting", **more: object) -> Finding:
    """A firing, critical finding from step 3 on, fired at step 5."""
    made = Finding(
        rule=rule, version=1, state=FindingState.FIRING, severity=Severity.CRITICAL, onset_step=3.0, fired_step=5.0,
        resolved_step=None, evidence={"rise": 0.2, "noise": 0.01, "rise_limit": 0.1}, explanation="It rose.",
        advice="Stop.",
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]  # passed on


def a_run(**more: object) -> RunInfo:
    """A live run."""
    made = RunInfo(
        id="0" * 31 + "1", project="p", name="a run", status=RunStatus.RUNNING, created_ms=NOW_MS - 60_000,
        heartbeat_ms=NOW_MS - 1000, last_step=9,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]  # passed on


def snapshot(keys: Sequence[str] = ("train/loss", "val/loss"), **more: object) -> Snapshot:
    """A run with these series."""
    series = tuple(
        SeriesInfo(key=k, role=role_of(k), count=10, last_step=9, last=0.5, min=0.25, min_step=7) for k in keys
    )
    findings = more.pop("findings", ())
    assert isinstance(findings, tuple)
    return Snapshot(a_run(**more), series, findings, ())


def checked(figure: Figure) -> go.Figure:
    """The figure as Plotly's own classes read it, which refuse what Plotly's reference does not know."""
    return go.Figure(figure.to_dict())


def trace(figure: go.Figure, name: str) -> go.Scatter:
    """The trace of this name."""
    found = [t for t in figure.data if t.name == name]
    assert len(found) == 1, [t.name for t in figure.data]
    return found[0]


def notes(figure: go.Figure) -> list[str]:
    """The texts drawn on a figure."""
    return [a.text for a in figure.layout.annotations]


@pytest.fixture
def look() -> Look:
    """Steps, an automatic scale, light colours."""
    return LOOK
