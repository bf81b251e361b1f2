"""A change of a rule, tried against stored runs: each is replayed under the rules in effect and as they would be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import streamlit as st

from dashboard import readings
from monitor.domain import RunInfo, RunQuery, RunStatus
from monitor.errors import MonitorError
from monitor.reader.cases import case_of
from monitor.rules import RulesConfig
from monitor.rules.lab.backtest import Replayed, labels_of, replay
from monitor.rules.registry import all_rules

RUNS: Final = 50
"""Runs that are replayed, at most: the newest."""
POINTS: Final = 200_000
"""Points of a run's series, in all, from which on its replay would take too long for a page."""
_ONE_AT_A_TIME: Final = threading.Lock()
"""Replays are all computation: side by side they would only keep the other pages waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a trial found.

    Attributes:
        done: the runs that were replayed, their first side under the rules in effect, the second as tried.
        left_out: what was not replayed, and why, in sentences.
    """

    done: tuple[Replayed, ...]
    left_out: tuple[str, ...]


def tried(
    now: RulesConfig, then: RulesConfig, project: str | None, query: str, advance: Callable[[float], object]
) -> Trial:
    """Replay the newest ended runs.

    Args:
        now: the rules in effect.
        then: as they would be.
        project: runs of this one; None: of all.
        query: runs that match it, "" for all.
        advance: called with the share that is done.

    Raises:
        MonitorError: the runs cannot be listed, or the query cannot be read.
    """
    ended = tuple(str(status) for status in RunStatus if not status.live)
    page = readings.api().runs_page(RunQuery(project=project, status=ended, query=query.strip() or None, limit=RUNS))
    done: list[Replayed] = []
    unread: list[str] = []
    for k, run in enumerate(page.items):
        try:
            done.append(_replayed(run, now, then))
        except MonitorError as error:
            unread.append(f"{run.name}: {error}")
        advance((k + 1) / len(page.items))
    return Trial(done=tuple(done), left_out=tuple(_left_out(page.total - len(page.items), unread)))


def _left_out(older: int, unread: Sequence[str]) -> list[str]:
    said = [f"{older:,} older runs were left out; narrow the query to reach them."] if older else []
    if unread:
        more = f", and {len(unread) - 3:,} more" if len(unread) > 3 else ""
        said.append(f"{len(unread):,} could not be replayed: {'; '.join(unread[:3])}{more}.")
    return said


@st.cache_resource(
    show_spinner=False, max_entries=2000, hash_funcs={**readings.BY_VERSION, RulesConfig: attrgetter("hash")}
)
def _replayed(run: RunInfo, now: RulesConfig, then: RulesConfig) -> Replayed:
    view = readings.api().view(run)
    points = sum(series.count for series in view.series() if series.role is not None)
    if points > POINTS:
        raise MonitorError(f"{points:,} points are too many for a page; try `monitor rules backtest`")
    words = str(run.tags.get("label", ""))
    labels, _ = labels_of(words, [rule.spec.name for rule in all_rules()])
    with _ONE_AT_A_TIME:
        return replay(case_of(view, f"{run.project}/{run.name}", labels), (now, then))
