"""The data types that all packages exchange: frozen values without behaviour beyond reading and writing themselves.

Steps are counted by the user (batches or epochs). In a file they may be fractional; the store keeps them as int64.
Times are milliseconds since the epoch, UTC, as int. A missing number is None, never 0 and never NaN; a NaN is a value
that was measured.
"""

from __future__ import annotations

from monitor.domain.access import Access, AuditEntry, Caller, TokenInfo
from monitor.domain.alerts import (
    MARKS,
    MATCHED,
    RUN_DELETED,
    Alert,
    AlertInfo,
    AlertPage,
    AlertQuery,
    AlertState,
    DeadLetter,
    Delivery,
    Gauges,
    JobHealth,
    Mark,
    Outgoing,
    Silence,
    alert_id,
    alert_key,
    check_channel_name,
    headline,
)
from monitor.domain.aside import SET_ASIDE, Counter
from monitor.domain.attention import Attention, Happened, Happenings, Item, Outcome
from monitor.domain.economics import Ledger, LedgerEntry, LedgerMonth, Saving
from monitor.domain.plain import Json, whole
from monitor.domain.progress import Gap, Milestone, Progress, Rate, Regime, courses
from monitor.domain.run_query import RunFilters, RunQuery
from monitor.domain.runs import (
    Checkpoint,
    Extremes,
    Output,
    Reply,
    RunEdit,
    RunInfo,
    RunPage,
    RunStatus,
    SavedView,
    best_checkpoint,
)
from monitor.domain.series import Curve, Points, SeriesInfo
from monitor.domain.snapshot import MAIN_ROLES, CurveOf, RunSnapshot
from monitor.domain.stops import MONITOR, Stop, StopState
from monitor.domain.texts import cell, inert
from monitor.domain.verdicts import (
    Action,
    Counts,
    Diagnosis,
    Finding,
    FindingState,
    Forecast,
    Patience,
    Pending,
    Recommendation,
    Severity,
    folded,
    most_telling,
)

__all__ = [
    "MAIN_ROLES",
    "MARKS",
    "MATCHED",
    "MONITOR",
    "RUN_DELETED",
    "SET_ASIDE",
    "Access",
    "Action",
    "Alert",
    "AlertInfo",
    "AlertPage",
    "AlertQuery",
    "AlertState",
    "Attention",
    "AuditEntry",
    "Caller",
    "Checkpoint",
    "Counter",
    "Counts",
    "Curve",
    "CurveOf",
    "DeadLetter",
    "Delivery",
    "Diagnosis",
    "Extremes",
    "Finding",
    "FindingState",
    "Forecast",
    "Gap",
    "Gauges",
    "Happened",
    "Happenings",
    "Item",
    "JobHealth",
    "Json",
    "Ledger",
    "LedgerEntry",
    "LedgerMonth",
    "Mark",
    "Milestone",
    "Outcome",
    "Outgoing",
    "Output",
    "Patience",
    "Pending",
    "Points",
    "Progress",
    "Rate",
    "Recommendation",
    "Regime",
    "Reply",
    "RunEdit",
    "RunFilters",
    "RunInfo",
    "RunPage",
    "RunQuery",
    "RunSnapshot",
    "RunStatus",
    "SavedView",
    "Saving",
    "SeriesInfo",
    "Severity",
    "Silence",
    "Stop",
    "StopState",
    "TokenInfo",
    "alert_id",
    "alert_key",
    "best_checkpoint",
    "cell",
    "check_channel_name",
    "courses",
    "folded",
    "headline",
    "inert",
    "most_telling",
    "whole",
]
