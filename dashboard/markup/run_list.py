"""HTML of the run list: counts, table, and actions on ticked runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from markupsafe import Markup

from dashboard import fields, skill
from dashboard.data import Overview
from dashboard.markup import pieces
from dashboard.markup.templates import fill
from monitor.domain import RunInfo, RunPage, SavedView, inert, repeats
from monitor.domain.formats import NOTHING, ago, clock, deletion, duration, number, plain, step

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
    """A column of the table: its title, what a click on it sorts by, the classes of its cells, its hover text.

    One with a name, by which the address names it, can be moved.
    """

    title: str
    sorts: str = ""
    css: str = ""
    help: str = ""
    name: str = ""

    def next(self, order: str) -> str:
        """The order after a click: again turns it round; what is new or large comes first, and names from A to Z."""
        if order == f"-{self.sorts}":
            return self.sorts
        down = order == self.sorts or self.sorts in ("created", "last_step", "goal")
        return f"-{self.sorts}" if down else self.sorts


_PICK: Final = Column("")
_RUN: Final = Column("Run", "name", "lm-name")
COLUMNS: Final = {
    "status": Column("Status", "status"),
    "verdict": Column("Verdict", "verdict"),
    "do": Column("Do", "action"),
    "loss": Column("Loss"),
    "last_step": Column("Last step", "last_step", "lm-num"),
    "best": Column("Best loss", "val.best", "lm-num"),
    "best_step": Column("at step", "", "lm-num lm-minor"),
    "goal": Column(
        "Goal", "goal", "lm-num", "Best value of what the run is for; ↑ higher is better, ↓ lower is better."
    ),
    "skill": Column("Skill", "", "lm-num", f"Of the best loss. {skill.MEANING}."),  # the store knows none
    "gap": Column("Gap", "gap", "lm-num", "Generalisation gap: the validation loss minus the training loss."),
    "half_life": Column(
        "Half-life", "half_life", "lm-num", "Steps in which what is left of the loss's way down is halved."
    ),
    "train_last": Column("Train, last", "train.last", "lm-num"),
    "val_last": Column("Validation, last", "val.last", "lm-num"),
    "started": Column("Started", "created", "lm-num"),
    "took": Column("Took", "", "lm-num lm-minor"),
    "tags": Column("Tags", "", "lm-tags"),
    "project": Column("Project", "project"),
    "group": Column("Group", "group"),
}
"""Columns that every run has, by how the address names them; others are named as fields of a query."""
USUAL: Final = (
    "status", "verdict", "do", "loss", "last_step", "best", "best_step", "goal", "skill", "started", "took",
)  # fmt: skip
"""The columns where the reader has chosen none."""
SORTED_BY: Final = frozenset(["name", *(column.sorts for column in COLUMNS.values() if column.sorts)])
"""What the list can be sorted by without a query."""


def title_of(column: str) -> str:
    """A column's title in the choice of columns.

    >>> title_of("best"), title_of('metric."val/acc".max'), title_of("config.lr")
    ('Best loss', 'val/acc max', 'config lr')
    """
    if column in COLUMNS:
        return {"best_step": "Step of the best loss"}.get(column, COLUMNS[column].title)
    first, *_ = fields.parts(column) or ("",)
    if column == fields.SETTING:
        return fields.label(column).capitalize()
    return inert(fields.label(column) if first == "metric" else f"{first} {fields.label(column)}")


def overview(seen: Overview | None, kept: Markup, problem: Markup) -> Markup:
    """The head of the page: counts, how long runs are kept, and what is wrong."""
    return fill(_LIST, "overview", seen=seen, kept=kept, problem=problem)


def keeping_line(keep_days: float | None, thin_days: float | None) -> Markup:
    """How long a project's runs are kept and when they are downsampled, where the settings say anything of it.

    >>> print(keeping_line(30.0, None))
    <span class="lm-dim" data-testid="keeping">Ended runs are deleted after 30 days</span>
    """
    said = [
        f"{what} after {days:g} {'day' if days == 1 else 'days'}"
        for what, days in (("downsampled", thin_days), ("deleted", keep_days))
        if days is not None
    ]
    return fill(_LIST, "keeping", said=" and ".join(said)) if said else _NOTHING


def bar(
    picked: Sequence[str], total: int, *, most: int, problem: str = "", said: str = "", undo: bool = False,
    lacks: str = "", columns: Sequence[str] = (),
) -> Markup:  # fmt: skip
    """What can be done with the runs that are ticked, and what was done last.

    Args:
        most: runs that can be ticked at once.
        problem: why the last request was not done, or not for all.
        undo: whether it can be taken back.
        lacks: which role the reader lacks to change runs; "" for none.
        columns: what an export has of the ticked runs.
    """
    query = [("run", run_id) for run_id in picked]
    export = urlencode([*query, *(("cols", column) for column in columns)])
    return fill(
        _LIST, "bar", picked=query, total=total, most=most, problem=problem, said=said, undo=undo, lacks=lacks,
        export=export,
    )  # fmt: skip


def runs_table(
    page: RunPage, picked: Sequence[str], now_ms: int, *, chosen: Sequence[str] = USUAL, stale: bool = False
) -> Markup:
    """The runs of one page.

    Args:
        page: the runs with their sparklines; the column that they are sorted by is marked.
        chosen: the columns, by their names in `COLUMNS` or as fields of a query.
        stale: True where the server did not answer and this is what was read last.
    """
    if not page.items:
        return pieces.quiet("No run matches these filters.", testid="no-match")
    by = page.order.removeprefix("-")
    usual = tuple(chosen) == USUAL
    shown = [name for name in chosen if not usual or _has(page, name)]
    columns = [_PICK, _RUN, *(_column(name) for name in shown)]
    rows = [
        (run, [fill(_LIST, "tick", run=run, ticked=run.id in picked), fill(_LIST, "name", run=run),
               *(_cell(page, run, name, now_ms) for name in shown)])
        for run in page.items
    ]  # fmt: skip
    way = "falling" if page.order != by else "rising"
    marked = next((c.sorts for c in columns if c.sorts and ".".join(fields.parts(c.sorts)) == by), by)
    known = by in SORTED_BY or any(column.sorts == marked for column in columns)
    if page.sorted_by and not known:
        at = max(2, len(columns) - 2)
        columns.insert(at, Column(by, "", "lm-num"))
        for run, cells in rows:
            cells.insert(at, _sorted_value(by, page.sorted_by.get(run.id), now_ms))
    note = "" if known else f"Sorted by {by}, {way}, as the query says."
    every = " ".join(run.id for run in page.items)
    order = ("-" if page.order != by else "") + marked
    return fill(_LIST, "table", columns=columns, rows=rows, order=order, note=note, stale=stale, every=every)


def _has(page: RunPage, column: str) -> bool:
    """Whether an optional column has any content."""
    if column == "skill":
        return any(skill.comparable(run) for run in page.items)
    return column != "goal" or page.order.lstrip("-") == "goal" or any(r.goal_best is not None for r in page.items)


def _column(name: str) -> Column:
    if name in COLUMNS:
        return replace(COLUMNS[name], name=name)
    return Column(inert(fields.label(name)), name, "lm-num" if not name.startswith("tags.") else "", name=name)


def moved(columns: Sequence[str], name: str, onto: str) -> list[str]:
    """The columns after one was dropped onto another, whose place it takes.

    >>> moved(["a", "b", "c"], "a", "c"), moved(["a", "b", "c"], "c", "a"), moved(["a"], "x", "a")
    (['b', 'c', 'a'], ['c', 'a', 'b'], ['a'])
    """
    if name not in columns or onto not in columns:
        return list(columns)
    rest = [each for each in columns if each != name]
    rest.insert(list(columns).index(onto), name)
    return rest


def _cell(page: RunPage, run: RunInfo, column: str, now_ms: int) -> pieces.Cell:
    """A run's cell in a column; a field of a query that the run has no value for is a dash."""
    if column == "loss":
        spark = page.sparklines.get(run.id, {})
        return pieces.sparkline(spark.get("train", ()), spark.get("val", ()))
    if column in _CELLS:
        return _CELLS[column](run)
    if column == "started":
        return pieces.hover(ago(run.created_ms, now_ms), f"{clock(run.created_ms)} UTC")
    if column == "took":
        return duration(run.took_ms(now_ms))
    found = fields.value(run, page.metrics.get(run.id, {}), column)
    if found is None:
        return pieces.dim(NOTHING)
    return number(found) if isinstance(found, float) else pieces.shown(found, limit=40)


def _goal(run: RunInfo) -> pieces.Cell:
    """The goal's best value with its direction and its step; its name is in the hover text."""
    reading = run.reading or {}
    if run.goal_best is None:
        return number(None)
    best = fill(_LIST, "goal", best=run.goal_best, at=run.goal_best_step, rises=reading.get("rises") is not False)
    return pieces.hover(best, str(reading.get("goal") or "goal"))


_CELLS: Final[Mapping[str, Callable[[RunInfo], pieces.Cell]]] = {
    "status": lambda run: pieces.status(run.status),
    "verdict": lambda run: pieces.hover(pieces.verdict(run), run.headline),
    "do": lambda run: pieces.action(run.recommendation, live=not run.status.over),
    "last_step": lambda run: step(run.last_step),
    "best": lambda run: number(run.recommendation.best_val_loss),
    "best_step": lambda run: step(run.recommendation.best_step),
    "goal": _goal,
    "skill": pieces.score,
    "gap": lambda run: number(run.gap, 3),
    "half_life": lambda run: number(run.half_life, 3),
    "tags": lambda run: fill(_LIST, "tags", tags=sorted(run.tags.items())[:TAGS], more=len(run.tags) - TAGS),
    "project": lambda run: run.project,
    "group": lambda run: run.group or pieces.dim(NOTHING),
}
TAGS: Final = 4
"""Tags of a run that the list shows."""


def _sorted_value(field: str, value: str | int | float | None, now_ms: int) -> str:
    """The value that a run is sorted by, as a cell."""
    if field in ("heartbeat", "finished", "last_point") and isinstance(value, int):
        return ago(value, now_ms)
    return plain(value)


_MEASURED: Final = ("gap", "half_life")
"""Columns of every run whose mean tells of a group, next to the best loss and the goal."""


def groups_table(
    found: Sequence[fields.RunsOf], page: RunPage, field: str, chosen: Sequence[str], query: str, order: str = ""
) -> Markup:
    """A row for each value of a field, with mean ± standard deviation over its runs.

    Args:
        found: the runs of each value.
        chosen: further fields, of which the numeric ones are shown.
    """
    extra = [name for name in chosen if (name not in COLUMNS or name in _MEASURED) and name != field]
    numeric = [name for name in extra if any(_number(page, run, name) is not None for run in page.items)]
    aimed = any(run.goal_best is not None for run in page.items)
    shown = [("best loss", "val.best"), *([("goal", "goal")] if aimed else [])]
    shown += [(COLUMNS[n].title if n in COLUMNS else inert(fields.label(n)), n) for n in numeric]
    rows: list[tuple[pieces.Cell, ...]] = []
    values: list[tuple[object, ...]] = []
    for group in found:
        spreads = [fields.spread(_number(page, run, name) for run in group.runs) for _, name in shown]
        asked, best = fields.both(query, group.condition(field)), _best_of(group.runs)
        means = [each and each.mean for each in spreads]
        values.append((group.value, len(group.runs), *means, best and best.name, None))
        rows.append((
            pieces.link("runs", [("q", asked)], plain(group.value) if group.value is not None else "no value"),
            f"{len(group.runs):,}", *(_spread(each, len(group.runs)) for each in spreads),
            pieces.run_link(best.id, best.name) if best else pieces.dim(NOTHING),
            pieces.link("compare", [("query", asked)], "Compare"),
        ))  # fmt: skip
    heads = (inert(fields.label(field)), "runs", *(name for name, _ in shown), "best run", "")
    return pieces.table(heads, rows, numeric=range(1, 2 + len(shown)), values=values, order=order)


def _number(page: RunPage, run: RunInfo, name: str) -> fields.Value:
    found = fields.value(run, page.metrics.get(run.id, {}), name)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def _spread(found: fields.Spread | None, runs: int) -> pieces.Cell:
    """Mean ± sd, with how many runs have a value where that is not all."""
    if found is None:
        return pieces.dim(NOTHING)
    return fill(_LIST, "spread", mean=found.mean, sd=found.sd, count=found.count, runs=runs)


def _best_of(runs: Sequence[RunInfo]) -> RunInfo | None:
    """The run with the lowest best loss; that with the best goal where none has a loss, or the losses are not one."""
    scored = [run for run in runs if run.recommendation.best_val_loss is not None]
    aimed = [run for run in runs if run.goal_best is not None]
    for among in (scored, aimed):
        for measure in repeats.measures(among)[:1]:
            return (max if measure.rises else min)(among, key=measure.of)
    return None


def deleted_table(found: Sequence[tuple[RunInfo, int]], days: float, now_ms: int, lacks: str = "") -> Markup:
    """The deleted runs, each with a button that restores it, or with the role that it takes."""
    if not found:
        return pieces.quiet("No deleted run can be restored.")
    rows = [
        (run.name, run.project, *deletion(at, days, now_ms), Markup("") if lacks else fill(_LIST, "restore", run=run))
        for run, at in found
    ]  # fmt: skip
    if lacks:
        every = pieces.quiet(lacks, testid="no-right")
    else:
        every = fill(_LIST, "restore_all", runs=[run.id for run, _ in found]) if len(found) > 1 else Markup("")
    return every + pieces.table(("run", "project", "deleted", "restorable for", ""), rows)


def views(saved: Sequence[SavedView], problem: str, lacks: str = "") -> Markup:
    """The saved views, and a field to save what is shown now."""
    return fill(_LIST, "views", saved=saved, problem=problem, lacks=lacks)
