"""`monitor watch`: growing files and folders as live runs, or the runs of the store, in the terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json import dumps
from typing import TYPE_CHECKING, Final

import typer
from rich.live import Live
from rich.table import Table

from monitor import settings as settings_
from monitor.cli.curves import EPOCH, GOAL, PATTERN, STEP, TRAIN, VAL
from monitor.domain import Action, RunInfo, RunStatus
from monitor.domain.formats import number
from monitor.roles import Role, Said
from monitor.screen import ACTIONS, STATUSES, escape, out, sparkline

if TYPE_CHECKING:
    from monitor.importers import ImportedRun
    from monitor.importers.watching import Watch, Watched
    from monitor.reader.api import Api
    from monitor.settings import Settings

_STEP_S: Final = 0.5  # seconds between looks at files
_LIST_S: Final = 2.0  # seconds between requests to the store or the server
_REDRAW_S: Final = 5.0
"""Seconds between redraws when nothing has changed, because the screen shows times."""
_CURVE: Final = 24  # characters of a sparkline


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel="Watch")(watch)


def watch(
    path: list[str] = typer.Argument(
        None,
        metavar="PATH",
        help="Files and folders of running trainings; default: show the runs of the store or the server.",
        show_default=False,
    ),
    project: str = typer.Option(None, help="Project of the runs; default: named by the source, else `watched`."),
    train: str = TRAIN,
    val: str = VAL,
    goal: str = GOAL,
    step: str = STEP,
    epoch: str = EPOCH,
    pattern: str = PATTERN,
    server: str = typer.Option(None, help="Server to store in; default MONITOR_SERVER_URL, else the embedded store."),
    once: bool = typer.Option(False, "--once", help="Check once, print one line per run, and exit."),
    json: bool = typer.Option(False, "--json", help="Print as JSON: one line whenever something has changed."),
) -> None:
    """Follow running trainings without changing their code.

    Follows every format that `monitor import` reads as it grows: TensorBoard folders, trainer_state.json, CSV, JSONL,
    text logs. Each becomes a live run with a verdict, alerts and a dashboard page. When restarted, it continues where
    it stopped.
    """
    from monitor.cli.rule_files import said_for

    loaded = settings_.load(server_url=server)
    if path:
        said = said_for({"train": train, "val": val, "goal": goal, "step": step, "epoch": epoch})
        _follow(path, loaded, project, pattern, said, once=once, json=json)
    else:
        _list(loaded, once=once, json=json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run as shown in the terminal."""

    name: str
    status: str
    step: float | None
    share: float | None
    curve: Sequence[float]
    train: float | None
    val: float | None
    verdict: str
    action: Action
    reason: str
    problem: str = ""

    def to_dict(self) -> dict[str, object]:
        """The row as JSON data, without its curve."""
        from monitor.wire import jsonable

        names = ("name", "status", "step", "share", "train", "val", "verdict", "action", "reason", "problem")
        return {name: jsonable(getattr(self, name)) for name in names}


def _follow(
    paths: Sequence[str],
    settings: Settings,
    project: str | None,
    pattern: str | None,
    said: Said,
    *,
    once: bool,
    json: bool,
) -> None:
    from monitor.importers.watching import Watch
    from monitor.reader.api import Api
    from monitor.shipping.sinks import Destination

    sink = Destination(settings, settings.server_url)()
    where = settings.server_url or settings.store_url
    found = Watch(paths, settings.dir / "watch", where, sink.send, project=project, pattern=pattern, said=said)
    try:
        with Api(settings=settings) as api:
            known: dict[str, RunInfo] = {}
            _show(lambda: _step(found, api, known), _STEP_S, "no training found there yet", once=once, json=json)
    finally:
        sink.close()


def _step(found: Watch, api: Api, known: dict[str, RunInfo]) -> list[Row] | None:
    """Check once; the rows if anything has changed."""
    if not found.step(time.time()):
        return None
    return [row for each in found.watched for row in _rows(each, api, known)]


def _rows(each: Watched, api: Api, known: dict[str, RunInfo]) -> Iterator[Row]:
    from monitor.errors import MonitorError

    for follower in each.followers.values():
        run, sent = follower.run, follower.sent
        if run is None or sent is None:
            continue
        with contextlib.suppress(MonitorError):  # then keep showing the last known state
            known[sent.run_id] = api.run(sent.run_id).info
        info, mapped = known.get(sent.run_id), run.mapped()
        train, val = (_values(run, mapped.get(role)) for role in (Role.TRAIN, Role.VAL))
        yield Row(
            name=run.name,
            status="deleted" if follower.deleted else str(info.status) if info else "running",
            step=sent.last,
            share=_share(sent.last, run.config),
            curve=train or val,
            train=train[-1] if train else None,
            val=val[-1] if val else None,
            verdict=info.verdict if info else "",
            action=follower.recommendation.action,
            reason=follower.recommendation.reason,
            problem=each.problem,
        )
    if each.problem and all(follower.sent is None for follower in each.followers.values()):
        yield Row(name=each.source.shown, status="waiting", step=None, share=None, curve=(), train=None, val=None,
                  verdict="", action=Action.CONTINUE, reason="", problem=each.problem)  # fmt: skip


def _values(run: ImportedRun, key: str | None) -> list[float]:
    return [] if key is None else list(map(float, run.points.value[run.points.key == run.keys.index(key)]))


def _share(step: float | None, config: object) -> float | None:
    """The finished share of the training, if its configuration says how long it is."""
    if step is None or not isinstance(config, Mapping):
        return None
    for name in ("max_steps", "steps", "total_steps", "epochs"):
        total = config.get(name)
        if isinstance(total, int | float) and total > 0 and step <= total:
            return step / total
    return None


def _list(settings: Settings, *, once: bool, json: bool) -> None:
    from monitor.reader.api import Api

    with Api(settings=settings) as api:
        last: list[list[Row]] = []

        def look() -> list[Row] | None:
            page = api.runs_page(limit=20, sparkline=_CURVE)
            rows = [_of_store(run, page.sparklines.get(run.id, {})) for run in page.items]
            if last and last[0] == rows:
                return None
            last[:] = [rows]
            return rows

        none = "no run yet; `monitor run -- python train.py` or `monitor.init(...)` starts one"
        _show(look, _LIST_S, none, once=once, json=json)


def _of_store(run: RunInfo, curves: Mapping[str, Sequence[float]]) -> Row:
    rec, train, val = run.recommendation, curves.get("train", ()), curves.get("val", ())
    return Row(
        name=f"{run.project}/{run.name}", status=str(run.status), step=run.last_step,
        share=_share(run.last_step, run.config), curve=train or val,
        train=train[-1] if train else None, val=val[-1] if val else None,
        verdict=run.verdict, action=rec.action, reason=rec.reason,
    )  # fmt: skip


def _show(look: Callable[[], list[Row] | None], every_s: float, none: str, *, once: bool, json: bool) -> None:
    """Show rows whenever they change: as a table updated in place, or as lines if there is no terminal."""
    if json:
        _stream(look, every_s, once=once)
        return
    rows: list[Row] = []
    said: dict[str, str] = {}
    with _screen(live=out.is_terminal and not once) as draw:
        drawn = 0.0
        while True:
            found = look()
            rows = rows if found is None else found
            if draw is None:
                _print(rows, said)
                if not rows and not once and "" not in said:
                    said[""] = "nothing yet"
                    out.print(f"{none}; waiting")
            elif found is not None or time.monotonic() - drawn > _REDRAW_S:
                drawn = time.monotonic()
                draw(rows)
            if once:
                if not rows:
                    out.print(none)
                return
            time.sleep(every_s)


def _stream(look: Callable[[], list[Row] | None], every_s: float, *, once: bool) -> None:
    """Print rows whenever they change, as a line of JSON."""
    while True:
        found = look()
        if found is not None or once:
            sys.stdout.write(dumps({"runs": [row.to_dict() for row in found or ()]}, allow_nan=False) + "\n")
            sys.stdout.flush()
        if once:
            return
        time.sleep(every_s)


@contextmanager
def _screen(*, live: bool) -> Iterator[Callable[[list[Row]], None] | None]:
    if not live:
        yield None
        return
    with Live(console=out, auto_refresh=False, transient=False) as screen:
        yield lambda rows: screen.update(_table(rows), refresh=True)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, expand=True)
    for column in ("run", "status", "curve", "step", "train", "val", "verdict"):
        right = column in ("step", "train", "val")
        table.add_column(column, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    table.add_column("", ratio=1, overflow="fold")
    for row in rows:
        table.add_row(
            escape(row.name[-32:]), f"[{_colour(row.status)}]{row.status}[/]", sparkline(row.curve, _CURVE), _at(row),
            number(row.train), number(row.val), escape(row.verdict), _advice(row),
        )  # fmt: skip
    if not rows:
        table.add_row("[dim]nothing yet[/]", *[""] * 7)
    table.caption = f"[dim]{time.strftime('%H:%M:%S')}; Ctrl-C ends the watch, not the trainings[/]"
    return table


def _at(row: Row) -> str:
    share = "" if row.share is None else f" [dim]{row.share:.0%}[/]"
    return f"{number(row.step)}{share}"


def _advice(row: Row) -> str:
    if row.problem:
        return f"[yellow]{escape(row.problem)}[/]"
    if row.action is Action.CONTINUE and row.status in (RunStatus.FINISHED, RunStatus.STOPPED, RunStatus.FAILED):
        return escape(row.reason)  # a run that has ended does not continue
    return f"[{ACTIONS[row.action]}]{row.action}[/] {escape(row.reason)}"


def _colour(status: str) -> str:
    return next((colour for known, colour in STATUSES.items() if known == status), "default")


def _print(rows: Sequence[Row], said: dict[str, str]) -> None:
    """Print a line for each run that has changed or is waited for."""
    for row in rows:
        if row.step is None and row.problem:
            if said.get(row.name) != row.problem:
                said[row.name] = row.problem
                out.print(f"{row.status}  {_advice(row)}", soft_wrap=True)
            continue
        share = "" if row.share is None else f" ({row.share:.0%})"
        text = (
            f"{escape(row.name)}  {row.status}  step {number(row.step)}{share}  train {number(row.train)}"
            f"  val {number(row.val)}  {escape(row.verdict)}  {_advice(row)}"
        )
        if said.get(row.name) != text:
            said[row.name] = text
            out.print(text, soft_wrap=True)
