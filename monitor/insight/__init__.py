"""What people, programs and agents ask for: savings, attention, waits, explanations. Reads the store only."""

from __future__ import annotations

from monitor.insight.attention import attention
from monitor.insight.economics import saving_of, snapshot
from monitor.insight.events import happened
from monitor.insight.explain import explain
from monitor.insight.ledger import ledger
from monitor.insight.waiting import outcomes, until_of, wait_for_events, wait_for_outcomes

__all__ = [
    "attention",
    "explain",
    "happened",
    "ledger",
    "outcomes",
    "saving_of",
    "snapshot",
    "until_of",
    "wait_for_events",
    "wait_for_outcomes",
]
