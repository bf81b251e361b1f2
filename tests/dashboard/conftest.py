"""Curves, findings and runs as the dashboard gets them from `monitor.Api`."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC
from html import escape
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import streamlit as st
from markupsafe import Markup
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from dashboard import data, readings
from dashboard.charts.axes import Look
from dashboard.charts.figure import Figure
from dashboard.markup import run_page
from dashboard.theme import palette
from monitor.domain import Curve, Finding, FindingState, RunInfo, RunSnapshot, RunStatus, SeriesInfo, Severity
from monitor.roles import role_of
from monitor.store import Store

from ..conftest import Feed

MAIN = Path(__file__).parents[2] / "dashboard" / "pages" / "main.py"
PAGES = {
    "attention": "attention.py",
    "runs": "run_list.py",
    "run": "run_page.py",
    "compare": "comparison.py",
    "losses": "losses_page.py",
    "alerts": "alerts.py",
    "rules": "rules_page.py",
}
Show = Callable[..., str]
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


def snapshot(keys: Sequence[str] = ("train/loss", "val/loss"), **more: object) -> RunSnapshot:
    """A run with these series."""
    series = tuple(
        SeriesInfo(key=k, role=role_of(k), count=10, last_step=9, last=0.5, min=0.25, min_step=7) for k in keys
    )
    findings = more.pop("findings", ())
    assert isinstance(findings, tuple)
    return RunSnapshot(a_run(**more), series, findings, ())


def head(seen: RunSnapshot, now_ms: int) -> Markup:
    """The head of a run's page, with its numbers."""
    return run_page.header(seen, now_ms) + run_page.facts(seen, now_ms, UTC)


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


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page reads what has changed and nothing else, however long a busy machine takes for it.

    Whether anything has changed is looked at whenever a page is drawn, since tests write and draw within moments; no
    value is so costly that it rests, and none is read anew for its age, nor the permissions of whoever looks.
    """
    monkeypatch.setattr(readings, "LOOK_S", -1.0)
    monkeypatch.setattr(readings, "COSTLY_S", math.inf)
    monkeypatch.setattr(readings, "FRESH_S", 86_400.0)
    monkeypatch.setattr(data, "KNOWN_S", 86_400.0)


@pytest.fixture(scope="session", autouse=True)
def scanned() -> Iterator[None]:
    """For each `AppTest`, Streamlit reads the metadata of all installed packages, which takes longer than a page."""
    once = functools.cache(manifest_scanner.scan_component_manifests)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", once)
        yield


@pytest.fixture
def embedded(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An embedded store that the pages read in process."""
    monkeypatch.delenv("MONITOR_SERVER_URL", raising=False)
    monkeypatch.setenv("MONITOR_DIR", str(Path(sqlite_url.removeprefix("sqlite:///")).parent))
    st.cache_resource.clear()
    with Store.open(sqlite_url) as store:
        yield store
    st.cache_resource.clear()


@pytest.fixture
def show(embedded: Store) -> Show:
    """Runs a page with its query and gives back all that it shows as text."""

    def run(view: str = "runs", /, **query: str) -> str:
        app = AppTest.from_file(str(MAIN), default_timeout=120)
        if view:
            app.run()
            app.switch_page(PAGES[view])
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception
        parts = [block.value for kind in ("markdown", "caption", "code") for block in app.get(kind)]
        for block in app.get("bidi_component"):
            data = json.loads(block.proto.json) if block.proto.json else _mixed(block)
            parts.append(data.get("html") or data.get("figure") or escape(json.dumps(data.get("sections", ""))))
        return "\n".join(parts)

    return run


def _mixed(block: object) -> dict[str, str]:
    proto = block.proto  # type: ignore[attr-defined]  # a Streamlit element of a kind that it has no class for
    found: dict[str, str] = json.loads(proto.mixed.json)
    return found


def logged(store: Store, name: str, train: list[float], val: list[float] = [], **start: object) -> Feed:  # noqa: B006  # never changed
    """A run with these losses."""
    feed = Feed(store)
    feed.start(name=name, **start)
    if train:
        feed.log("train/loss", range(len(train)), train)
    if val:
        feed.log("val/loss", range(len(val)), val)
    return feed
