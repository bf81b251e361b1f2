"""The list of runs: counts, the attention strip and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from dashboard import skill, words
from dashboard.data import Overview
from dashboard.markup import pieces
from dashboard.markup.templates import fill
from monitor.domain import RunInfo, RunPage, RunStatus
from monitor.domain.formats import ago, clock, duration, number, plain, step

EXAMPLE: Final = """\
import monitor

with monitor.init(project="my-project", config={"lr": 3e-4}) as run:
    for step, batch in enumerate(batches):
        run.log({"train/loss": train(batch)}, step=step)
        if step % 100 == 0:
            run.log({"val/loss": validate()}, step=step)
        if run.should_stop():
            break
"""
"""A whole integration, as the empty page shows it."""
_LIST: Final = "run_list"
_NOTHING: Final = Markup("")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its title, what a click on it sorts by, the classes of its cells, its hover text."""

    title: str
    sorts: str = ""
    css: str = ""
    help: str = ""

    def next(self, order: str) -> str:
        """The order after a click: again turns it round; what is new or large comes first, and names from A to Z."""
        if order == f"-{self.sorts}":
            return self.sorts
        down = order == self.sorts or self.sorts in ("created", "last_step", "goal")
        return f"-{self.sorts}" if down else self.sorts


_COLUMNS: Final = (
    Column(""),
    Column("Run", "name", "lm-name"),
    Column("Status", "status"),
    Column("Verdict", "verdict"),
    Column("Do", "action"),
    Column("Loss"),
    Column("Last step", "last_step", "lm-num"),
    Column("Best loss", "val.best", "lm-num"),
    Column("at step", "", "lm-num lm-minor"),
    Column("Goal", "goal", "lm-num", "Best value of what the run is for; ↑ higher is better, ↓ lower is better."),
    Column("Skill", "", "lm-num", f"Of the best loss. {skill.MEANING}."),  # the store knows none, so none sorts by it
    Column("Started", "created", "lm-num"),
    Column("Took", "", "lm-num lm-minor"),
)
SORTED_BY: Final = frozenset(column.sorts for column in _COLUMNS if column.sorts)
"""What the list can be sorted by."""


def overview(seen: Overview | None, kept: Markup, problem: Markup, now_ms: int) -> Markup:
    """The head of the page: counts, how long runs are kept, what is wrong, and the runs that need a person."""
    strip = attention_strip(seen.needy, now_ms) if seen is not None and not problem else _NOTHING
    return fill(_LIST, "overview", seen=seen, kept=kept, problem=problem, strip=strip)


def counts_line(seen: Overview) -> Markup:
    """How many runs are live and how many need a person."""
    return fill(_LIST, "counts", seen=seen)


def keeping_line(keep_days: float | None, thin_days: float | None) -> Markup:
    """How long a project's runs are kept and when they are thinned, where the settings say anything of it.

    >>> print(keeping_line(30.0, None))
    <span class="lm-dim" data-testid="keeping">Ended runs are deleted after 30 days</span>
    """
    said = [
        f"{what} after {days:g} {'day' if days == 1 else 'days'}"
        for what, days in (("thinned", thin_days), ("deleted", keep_days))
        if days is not None
    ]
    return fill(_LIST, "keeping", said=" and ".join(said)) if said else _NOTHING


def attention_strip(needy: Sequence[RunInfo], now_ms: int, *, limit: int = 6) -> Markup:
    """A card for each run that needs a person now; at most `limit`, the rest as a count."""
    if not needy:
        return _NOTHING
    cards = [_card(run, now_ms) for run in needy[:limit]]
    return fill(_LIST, "strip", cards=cards, more=max(0, len(needy) - limit))


def _card(run: RunInfo, now_ms: int) -> tuple[RunInfo, str, Markup, bool]:
    """A run, why it needs a person, the chip that says so, and whether it is urgent."""
    if run.status is RunStatus.RUNNING:
        why, sign = run.recommendation.reason or run.headline, pieces.chip(run.verdict)
    else:
        since = ago(run.heartbeat_ms if run.status is RunStatus.LOST else run.last_point_ms, now_ms)
        what = "Last heartbeat" if run.status is RunStatus.LOST else "Still beating; last point"
        why, sign = f"{what} {since}, at step {step(run.last_step)}.", pieces.status(run.status)
    return run, why, sign, run.status is RunStatus.LOST or words.severity_of(run.verdict) == "critical"


def compare_bar(picked: Sequence[str]) -> Markup:
    """What can be done with the runs that are ticked."""
    return fill(_LIST, "compare_bar", picked=[("run", run_id) for run_id in picked]) if picked else _NOTHING


def runs_table(page: RunPage, picked: Sequence[str], now_ms: int, *, stale: bool = False) -> Markup:
    """The runs of one page.

    Args:
        page: the runs with their sparklines; the column that they are sorted by is marked.
        picked: ids of the ticked runs.
        now_ms: milliseconds since the epoch.
        stale: True where the server did not answer and this is what was read last.
    """
    if not page.items:
        return fill(_LIST, "no_match")
    scored = any(skill.comparable(run) for run in page.items)
    aimed = any(run.goal_best is not None for run in page.items) or page.order.removeprefix("-") == "goal"
    left_out = {title for title, shown in (("Skill", scored), ("Goal", aimed)) if not shown}
    columns = [column for column in _COLUMNS if column.title not in left_out]
    rows = [(run, _cells(run, page.sparklines.get(run.id, {}), run.id in picked, now_ms)) for run in page.items]
    by = page.order.removeprefix("-")
    way = "falling" if page.order != by else "rising"
    note = "" if by in SORTED_BY else f"Sorted by {by}, {way}, as the query says."
    if page.sorted_by and by not in SORTED_BY:
        columns.insert(-2, Column(by, "", "lm-num"))
        for run, cells in rows:
            cells.setdefault(by, _sorted_value(by, page.sorted_by.get(run.id), now_ms))
    return fill(_LIST, "table", columns=columns, rows=rows, order=page.order, note=note, stale=stale)


def _cells(run: RunInfo, spark: Mapping[str, Sequence[float]], ticked: bool, now_ms: int) -> dict[str, pieces.Cell]:
    """A run's cells by the titles of their columns."""
    rec = run.recommendation
    return {
        "": fill(_LIST, "tick", run=run, ticked=ticked),
        "Run": fill(_LIST, "name", run=run),
        "Status": pieces.status(run.status),
        "Verdict": pieces.hover(pieces.verdict(run), run.headline),
        "Do": pieces.action(rec, live=not run.status.over),
        "Loss": pieces.sparkline(spark.get("train", ()), spark.get("val", ())),
        "Last step": step(run.last_step),
        "Best loss": number(rec.best_val_loss),
        "at step": step(rec.best_step),
        "Goal": _goal(run),
        "Skill": pieces.score(run),
        "Started": pieces.hover(ago(run.created_ms, now_ms), f"{clock(run.created_ms)} UTC"),
        "Took": duration(run.took_ms(now_ms)),
    }


def _goal(run: RunInfo) -> pieces.Cell:
    """The goal's best value with its direction and its step; its name is in the hover text."""
    reading = run.reading or {}
    if run.goal_best is None:
        return number(None)
    best = fill(_LIST, "goal", best=run.goal_best, at=run.goal_best_step, rises=reading.get("rises") is not False)
    return pieces.hover(best, str(reading.get("goal") or "goal"))


def _sorted_value(field: str, value: str | int | float | None, now_ms: int) -> str:
    """The value that a run is sorted by, as a cell."""
    if field in ("heartbeat", "finished", "last_point") and isinstance(value, int):
        return ago(value, now_ms)
    return plain(value)


def matches(total: int) -> Markup:
    """How many runs the filters leave."""
    return fill(_LIST, "matches", total=total)


def welcome() -> Markup:
    """What a newcomer sees above a whole integration."""
    return fill(_LIST, "welcome")
