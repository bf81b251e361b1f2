"""`monitor alerts`: alerts and what to do about them, silences and channels."""

from __future__ import annotations

import getpass
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from monitor.cli.options import JSON, SERVER
from monitor.cli.reader import open_api, refuse_project
from monitor.domain import AlertState, Severity, headline
from monitor.domain.formats import ago as moment
from monitor.domain.formats import clock, duration, seconds
from monitor.screen import COLOURS, ago, emit, escape, fail, out, refuse_typo, table_of

if TYPE_CHECKING:
    from monitor.domain import AlertInfo, Silence

_GLOB = frozenset("*?[")
_BY = typer.Option(None, "--by", help="Who you are; default: your user name.")
_ALERT = typer.Argument(..., metavar="ALERT", help="Id of the alert or its first digits.", show_default=False)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="List, acknowledge, mark and silence alerts.")
    group.command("test")(try_out)
    for command in (ls, ack, mark, silence, unsilence, silences, channels, dead, retry):
        group.command(command.__name__)(command)
    app.add_typer(group, name="alerts", rich_help_panel="Watch")


def ls(
    state: str = typer.Option(
        None, help="Only alerts in this state: pending, firing, acknowledged, silenced, resolved."
    ),
    project: str = typer.Option(None, help="Only alerts of this project."),
    rule: str = typer.Option(None, help="Only alerts of this rule, or of this kind, such as lost."),
    severity: str = typer.Option(None, help="Only alerts of this severity: critical, warning, info."),
    run: str = typer.Option(None, help="Only alerts of this run: id, its first digits, or name."),
    search: str = typer.Option(None, help="Only alerts that contain this text."),
    every: bool = typer.Option(False, "--all", help="Include resolved alerts."),
    limit: int = typer.Option(20, min=1, max=1000, help="Number of alerts to print, at most."),
    cursor: str = typer.Option(None, help="The cursor printed below the previous page."),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """List alerts, most recently changed first. Resolved ones appear only with --all or --state."""
    refuse_typo("state", state, [str(each) for each in AlertState], complete=True)
    refuse_typo("severity", severity, [str(each) for each in Severity], complete=True)
    _refuse_typos(rule, None)
    with open_api(server) as api:
        refuse_project(api, project)
        page = api.alerts(
            state, open=not (every or state), project=project, rule=rule, severity=severity, run=run, search=search,
            limit=limit, cursor=cursor,
        )  # fmt: skip
    shown = list(page.items)
    if json:
        rows = [info.to_dict() for info in shown]
        emit({"alerts": rows, "cursor": page.cursor, "counts": dict(page.counts)}, "", True)
        return
    if shown:
        out.print(_table(shown))
    counts = ", ".join(f"{n:,} {name}" for name, n in page.counts.items() if n)
    none = "" if shown else f"none is {state}; " if state and counts else "none is open; " if counts else ""
    out.print(f"[dim]{none}{counts or 'no alerts'}[/]")
    if page.cursor is not None:
        out.print(f"[dim]more: --cursor {escape(page.cursor)}[/]")


def _table(alerts: list[AlertInfo]) -> Table:
    whole = ("alert", "state", "fired", "times")
    table = table_of(*whole, "what", right=("times",), whole=whole)
    for info in alerts:
        answered = f" by {escape(info.acked_by)}" if info.acked_by else ""
        if answered and info.state != "acknowledged":
            answered = f", acknowledged{answered}"
        note = f"\n[dim]{escape(info.acked_note)}[/]" if info.acked_note else ""
        table.add_row(
            info.id[:8],
            f"[{COLOURS[info.severity]}]{info.state}[/]{answered}",
            ago(info.fired_ms or info.changed_ms),
            f"{info.count:,}",
            f"{escape(headline(info))}{note}",
        )
    return table


def ack(
    alert: str = _ALERT,
    note: str = typer.Option("", "--note", help="What is being done about it."),
    by: str = _BY,
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Acknowledge an alert: you are taking care of it, so reminders stop."""
    with open_api(server) as api:
        found = api.acknowledge(alert, _who(by), note)
    # Somebody else acknowledged it first.
    said = f"; {found.acked_note}" if found.acked_note not in (None, note) else ""
    emit(found.to_dict(), f"acknowledged by {escape(found.acked_by)}: {escape(headline(found) + said)}", json)


def mark(
    alert: str = _ALERT,
    verdict: str = typer.Argument(
        ..., metavar="helpful|false-alarm|none", help="Whether it helped; none removes the mark.", show_default=False
    ),
    by: str = _BY,
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Mark an alert as helpful or as a false alarm. `monitor rules backtest` shows the counts by rule."""
    from monitor.domain import MARKS

    known = {each.replace(" ", "-"): each for each in MARKS}
    if verdict not in (*known, "none"):
        fail(f"{verdict!r} is not a mark; use {', '.join((*known, 'none'))}")
    with open_api(server) as api:
        found = api.mark(alert, known.get(verdict), _who(by))
    said = f"marked as {found.mark}" if found.mark else "not marked"
    emit(found.to_dict(), f"{escape(said)}: {escape(headline(found))}", json)


def silence(
    project: str = typer.Option(None, help="Glob of the project, such as vision-*."),
    run: str = typer.Option(None, help="Glob of the run's name or id."),
    rule: str = typer.Option(None, help="Glob of the rule."),
    severity: str = typer.Option(None, help="Glob of the severity."),
    tag: str = typer.Option(None, help="Glob of a tag, as NAME=VALUE."),
    for_: str = typer.Option(None, "--for", help="Duration, such as 30m, 2h or 3d."),
    until: datetime = typer.Option(None, help="End, in local time.", formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d"]),
    reason: str = typer.Option(..., help="Reason, shown to others."),
    by: str = _BY,
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Silence alerts that match all given globs, until a given time."""
    given = {"project": project, "run": run, "rule": rule, "severity": severity, "tag": tag}
    matcher = {name: glob for name, glob in given.items() if glob is not None}
    if (for_ is None) == (until is None):
        fail("give either --for, such as --for 2h, or --until")
    for_s = None if for_ is None else _seconds(for_)
    _refuse_typos(rule, severity)
    with open_api(server) as api:
        made = api.silence(matcher, reason=reason, by=_who(by), until=until, for_s=for_s)
    emit(made.to_dict(), f"silenced until {_local(made.until_ms)}: {escape(_matched(made))} [dim]({made.id})[/]", json)


def _refuse_typos(rule: str | None, severity: str | None) -> None:
    """Refuse a rule or a severity that is almost one that there is: nothing would match it. Globs are left alone."""
    if rule is not None and not _GLOB.intersection(rule):
        from monitor.rules import RULE_NAMES

        refuse_typo("rule", rule, [*RULE_NAMES, "threshold", "lost", "stalled", "failed", "alert", "finished"])
    if severity is not None and not _GLOB.intersection(severity):
        refuse_typo("severity", severity, [str(each) for each in Severity])


def unsilence(
    silence: str = typer.Argument(..., metavar="SILENCE", help="Id of the silence.", show_default=False),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """End a silence now."""
    with open_api(server) as api:
        found = api.unsilence(silence)
    emit(found.to_dict(), f"ended: {escape(_matched(found))}", json)


def silences(
    every: bool = typer.Option(False, "--all", help="Include silences that have ended."),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """List silences."""
    with open_api(server) as api:
        found = api.silences(over=every)
    table = table_of("silence", "matches", "until", "by", "reason")
    for each in found:
        end = f"ended {ago(each.ended_ms)}" if each.ended_ms else _local(each.until_ms)
        table.add_row(each.id, escape(_matched(each)), end, escape(each.by), escape(each.reason))
    emit({"silences": [each.to_dict() for each in found]}, table if found else "No silence is in force.", json)


def channels(server: str = SERVER, json: bool = JSON) -> None:
    """List the channels that alerts are sent to, without their secrets."""
    with open_api(server) as api:
        found = api.channels()
    if json:
        emit({"channels": [dict(each) for each in found]}, "", True)
        return
    for each in found:
        settings = each["settings"] if isinstance(each["settings"], dict) else {}
        said = ", ".join(f"{name} = {value}" for name, value in settings.items())
        problem = f" [red]{escape(each['problem'])}[/]" if each["problem"] else ""
        out.print(f"{escape(each['name'])} [dim]{escape(said)}[/]{problem}")
    if not found:
        out.print("No channel is configured; see MONITOR_ALERT_URLS and the table channels in docs/alerts.md.")


def try_out(
    channel: str = typer.Argument(
        ..., metavar="CHANNEL", help="Name of the channel; see `monitor alerts channels`.", show_default=False
    ),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Send a test message to a channel."""
    with open_api(server) as api:
        api.test_channel(channel)
    emit({"channel": channel, "sent": True}, f"{escape(channel)} took the message", json)


def dead(
    limit: int = typer.Option(50, min=1, max=10_000, help="Number of messages to print, at most."),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """List undelivered messages, with the channel's last error."""
    with open_api(server) as api:
        found = api.dead_letters(limit)
    if json:
        emit({"messages": [each.to_dict() for each in found]}, "", True)
        return
    for each in found:
        name = each.name or "a channel that is no longer configured"
        out.print(f"{each.id} {escape(each.title)}")
        out.print(f"  [dim]{ago(each.created_ms)}, {escape(name)}, {each.attempts:,} tries: {escape(each.error)}[/]")
    if not found:
        out.print("No message was given up.")


def retry(
    message: str = typer.Argument(None, metavar="[MESSAGE]", help="Id of a message; default: all."),
    channel: str = typer.Option(None, help="Only messages to this channel."),
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Send undelivered messages again; the server delivers them."""
    with open_api(server) as api:
        count = api.retry(message, channel)
    if not count and message is not None:
        fail(f"no message {message!r} was given up; `monitor alerts dead` lists them")
    emit({"retried": count}, f"{count:,} to be sent again" if count else "No message was given up.", json)


def _who(by: str | None) -> str:
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        fail("who are you? give --by NAME")


def _seconds(text: str) -> float:
    return seconds(text) or fail(f"--for {text!r} is not a length of time; write 30m, 2h or 3d")


def _matched(silence: Silence) -> str:
    return ", ".join(f"{name}={glob}" for name, glob in silence.matcher.items())


def _local(ms: int) -> str:
    zone = datetime.now().astimezone().tzinfo or UTC
    left = ms - time.time_ns() // 1_000_000
    return f"{clock(ms, zone)[:16]} ({duration(left) + ' left' if left > 0 else moment(ms, ms - left)})"
