"""Signing in, tokens and the audit log as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final

from markupsafe import Markup

from dashboard.markup import pieces
from dashboard.markup.templates import fill
from monitor.domain import AuditEntry, TokenInfo
from monitor.domain.formats import NOTHING, ago, clock, number
from monitor.domain.rules_version import RULES_SET

_PAGE: Final = "access"


def tokens(found: Sequence[TokenInfo], now_ms: int, zone: tzinfo) -> Markup:
    """A row a token, the newest first."""
    rows = [_token(token, now_ms, zone) for token in found]
    return pieces.table(("Name", "Role", "Project", "Created", "Last used", "Expires", "State", ""), rows)


def audit(entries: Sequence[AuditEntry], now_ms: int, zone: tzinfo) -> Markup:
    """A row a change, the newest first."""
    rows = [
        (
            pieces.hover(ago(entry.time_ms, now_ms), clock(entry.time_ms, zone)),
            entry.who,
            entry.action,
            pieces.run_link(entry.target, entry.target[:8])
            if entry.action.startswith("run.")
            else pieces.code(entry.target[:16]),
            entry.detail if entry.action != RULES_SET else pieces.link("rules", (), "what changed"),
            entry.address or "the server's machine",
        )
        for entry in entries
    ]
    return pieces.table(("When", "Who", "What", "Of", "Detail", "From"), rows)


def retention(kept: Mapping[str, tuple[float | None, float | None]], purge_days: float) -> Markup:
    """How long the runs of each project are kept."""
    rows = [(name, _days(keep, "forever"), _days(thin, "never")) for name, (keep, thin) in sorted(kept.items())]
    table = pieces.table(("Project", "Runs are kept", "Curves are downsampled"), rows)
    return table + pieces.quiet(f"A deleted run can be restored for {purge_days:g} days.")


def costs(currency: str, prices: Mapping[str, Mapping[str, float]]) -> Markup:
    """What an hour of each card costs, by project; what a stop saves is counted in it."""
    rows = [
        (name, "the machine" if card == "*" else card, f"{number(price)} {currency}")
        for name, own in sorted(prices.items())
        for card, price in sorted(own.items())
    ]
    if not rows:
        return pieces.quiet("No prices are set, so savings are told in hours. Set cost_per_hour in monitor.toml.")
    return pieces.table(("Project", "Card", "An hour costs"), rows, numeric=(2,))


def health(info: Mapping[str, object]) -> Markup:
    """How the server and its jobs are."""
    jobs = info.get("jobs")
    found = {str(name): job for name, job in jobs.items()} if isinstance(jobs, Mapping) else {}
    rows = []
    for name, job in sorted(found.items()):
        failing = isinstance(job, Mapping) and bool(job.get("failing"))
        said = pieces.badge("warning", "failing") if failing else pieces.badge("good", "works")
        error = str(job.get("last_error") or "") if isinstance(job, Mapping) else ""
        rows.append((name, said, error if failing else ""))
    about = f"Version {info.get('version', NOTHING)}, store {info.get('store', NOTHING)}."
    return pieces.quiet(about) + (pieces.table(("Job", "State", "Error"), rows) if rows else Markup(""))


def _token(token: TokenInfo, now_ms: int, zone: tzinfo) -> tuple[pieces.Cell, ...]:
    state = token.state(now_ms)
    return (
        token.name,
        str(token.role),
        token.project or "all",
        pieces.hover(ago(token.created_ms, now_ms), clock(token.created_ms, zone)),
        NOTHING if token.used_ms is None else ago(token.used_ms, now_ms),
        "never" if token.expires_ms is None else clock(token.expires_ms, zone),
        pieces.badge("good" if state == "valid" else "none", state),
        fill(_PAGE, "revoke", token=token) if state == "valid" else "",
    )


def _days(days: float | None, otherwise: str) -> str:
    return otherwise if days is None else f"{days:g} days"
