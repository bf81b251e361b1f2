"""`monitor wait`, `explain`, `attention` and `ledger`: what programs, agents and people ask about runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import typer

from monitor.cli.options import JSON, PROJECT, RUN, SERVER
from monitor.cli.reader import open_api, refuse_project
from monitor.domain import AlertState
from monitor.domain.economics import amount
from monitor.domain.formats import NOTHING, number
from monitor.errors import RunNotFound
from monitor.screen import emit, err, escape, out, table_of

if TYPE_CHECKING:
    from monitor.domain import AlertInfo, LedgerMonth, Outcome
    from monitor.reader.api import Api
ENDED, FAILED, LOST, TIME_UP = 1, 3, 4, 124
"""Exit statuses of `wait`: the run ended without the event, failed, was lost; or the time was up."""
_MONTHS: Final = 12
_DAY_MS: Final = 86_400_000


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (wait, explain, attention, ledger):
        app.command(rich_help_panel="Watch")(command)


def wait(
    runs: list[str] = typer.Argument(
        ..., metavar="RUN…", help="Ids, first digits of ids, or names.", show_default=False
    ),
    until: list[str] = typer.Option(
        ["finish"], "--for", help="finish, stop, alert or verdict=NAME; repeat it to wait for any of several."
    ),
    every: bool = typer.Option(False, "--all", help="Wait for all runs, not just the first."),
    timeout: float = typer.Option(None, "--timeout", min=0, help="Seconds to wait, at most; default: no limit."),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Wait until something happens in a run. Exit status: 0 it happened, 1 the run ended without it,
    3 the run failed, 4 it was lost, 124 timeout."""  # noqa: D205, D209  # one paragraph in --help
    with open_api(server) as api:
        found = api.wait(*runs, until=until, timeout_s=timeout, every=every)
        done = bool(found) and (not every or len(found) == len({_id(api, run) for run in runs}))
    if json:
        emit({"timeout": not done, "outcomes": [each.to_dict() for each in found]}, "", True)
    else:
        for each in found:
            out.print(_said(each), soft_wrap=True)
        if not done:
            err.print("the time is up")
    sys.exit(_status(found) if done else TIME_UP)


def _id(api: Api, ref: str) -> str:
    """The run's id; for a run that has not started yet, the reference as given."""
    try:
        return api.run(ref).id
    except RunNotFound:
        return ref


def _said(found: Outcome) -> str:
    name = escape(f"{found.project}/{found.name}")
    what = f"{found.status} without it" if found.what is None else f"[bold]{escape(found.what)}[/]; {found.status}"
    return f"{name} [dim]{escape(found.run_id[:8])}[/]: {what}, {escape(found.verdict)}. {escape(found.why)}"


def _status(found: Sequence[Outcome]) -> int:
    """The exit status; for several runs, the worst."""

    def of(one: Outcome) -> int:
        if one.what is not None:
            return 0
        return {"failed": FAILED, "lost": LOST}.get(one.status, ENDED)

    return max(map(of, found))


def explain(run: str = RUN, server: str = SERVER, json: bool = JSON) -> None:
    """Explain a run briefly: verdict, evidence, best step, differences from the best run, what to try next."""
    with open_api(server) as api:
        found = api.explain(run)
    if json:
        emit(dict(found), "", True)
    else:
        out.print(escape(str(found["text"]), lines=True), soft_wrap=True)


def attention(
    limit: int = typer.Option(10, min=1, max=1000, help="Number of runs to print, at most."),
    project: str = PROJECT,
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """List open runs that need a person, ranked by severity, remaining cost and novelty."""
    from monitor.wire import jsonable

    with open_api(server) as api:
        refuse_project(api, project)
        found = api.attention(limit, project=project)
    if json:
        emit(jsonable(found.to_dict()), "", True)
        return
    saved = amount(found.saved_hours, found.saved_gpu_hours or None, found.saved_cost or None, found.currency)
    out.print(f"{found.running:,} running, {found.stalled:,} stalled, {found.lost:,} lost, {found.finished_today:,} "
              f"ended today; stops saved {escape(saved)} this month")  # fmt: skip
    if not found.items:
        out.print("No open run needs you.")
    for item in found.items:
        run = item.run
        out.print(f"\n[bold]{escape(f'{run.project}/{run.name}')}[/] [dim]{escape(run.id[:8])}[/] {escape(item.kind)}, "
                  f"score {number(item.score, 3)}")  # fmt: skip
        out.print(f"  {escape(item.sentence)}", soft_wrap=True)
        if item.alert is not None:
            out.print(f"  {_answer(item.alert)}", soft_wrap=True)
        if item.saving.amount:
            out.print(f"  A stop now saves {escape(item.saving.amount)}: monitor runs stop {run.id[:8]}")
    if found.total > len(found.items):
        out.print(f"\n[dim]{len(found.items)} of {found.total:,} runs; --limit shows more[/]")


def _answer(alert: AlertInfo) -> str:
    """The state of the alert, or how to acknowledge it."""
    if alert.acked_by is not None:
        note = f": {alert.acked_note}" if alert.acked_note else ""
        return f"[dim]Alert {alert.id[:8]}, acknowledged by {escape(alert.acked_by + note)}[/]"
    if alert.state is not AlertState.FIRING:
        return f"[dim]Alert {alert.id[:8]}, {alert.state}[/]"
    return f"Alert {alert.id[:8]} fires: monitor alerts ack {alert.id[:8]}"


def ledger(
    project: str = PROJECT,
    months: int = typer.Option(_MONTHS, min=1, max=1200, help="Number of months to go back, approximately."),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Print what stops saved and lost, by project and month, next to stopping with patience 10 on the same runs."""
    import time

    with open_api(server) as api:
        refuse_project(api, project)
        since = int(time.time() * 1000) - months * 31 * _DAY_MS
        found = api.ledger(project, since_ms=max(0, since))
    columns = ("stops", "saved", "regrets", "lost", "patience 10 saves", "but misses")
    table = table_of("month", "project", *columns, right=columns)
    for month in found.months:
        table.add_row(*_row(month, found.currency))
    emit(found.to_dict(), table if found.months else "No run was stopped.", json)


def _row(month: LedgerMonth, currency: str) -> list[str]:
    saved = amount(month.saved_hours, month.saved_gpu_hours or None, month.saved_cost or None, currency)
    unknown = f" ({month.unplanned} without a plan)" if month.unplanned else ""
    lost = amount(month.lost_hours, None, month.lost_cost or None, currency) if month.regrets else NOTHING
    patience = amount(month.patience_hours, None, month.patience_cost or None, currency)
    return [
        month.month, escape(month.project), number(month.stops), escape(saved + unknown), number(month.regrets),
        escape(lost), escape(f"{patience} by {month.patience_stops}" if month.patience_stops else NOTHING),
        number(month.patience_missed),
    ]  # fmt: skip
