"""What is kept, and where: `monitor runs rm|restore|export`, `monitor gc`, `monitor db copy`; they open the store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from monitor import settings as settings_
from monitor.screen import emit, err, escape, number

if TYPE_CHECKING:
    from monitor.store import Store
    from monitor.store.copy import Progress as Copied

_RUNS = typer.Argument(..., metavar="RUN…", help="Ids, first digits of ids, or names.", show_default=False)
_URL = typer.Option(None, "--url", help="SQLAlchemy URL of the database; default: the one in the settings.")
_JSON = typer.Option(False, "--json", help="Print as JSON.")
_DAY_MS = 86_400_000


def register(runs: typer.Typer, db: typer.Typer, app: typer.Typer) -> None:
    """Add the commands of this file to the groups they belong to."""
    runs.command("rm")(rm)
    runs.command("restore")(restore)
    runs.command("export")(export)
    db.command("copy")(copy)
    app.command(rich_help_panel="Look after")(gc)


def rm(runs: list[str] = _RUNS, url: str = _URL, json: bool = _JSON) -> None:
    """Delete runs: they leave every list at once, and for good when `monitor gc` comes by after its delay."""
    with _store(url) as store:
        ids = [store.run(ref).id for ref in runs]
        for run_id in ids:
            store.delete(run_id, now_ms=_now())
    emit({"deleted": ids}, f"deleted {len(ids)}; `monitor runs restore ID` brings one back until `monitor gc`", json)


def restore(
    runs: list[str] = typer.Argument(..., metavar="ID…", help="Whole ids of deleted runs.", show_default=False),
    url: str = _URL,
    json: bool = _JSON,
) -> None:
    """Bring deleted runs back."""
    with _store(url) as store:
        for run_id in runs:
            store.restore(run_id, now_ms=_now())
    emit({"restored": runs}, f"restored {len(runs)}", json)


def export(
    runs: list[str] = _RUNS,
    to: Path = typer.Option(..., "--to", help="File to write; its ending says the format: .csv or .parquet."),
    key: list[str] = typer.Option(None, "--key", help="Series to write, may be repeated; default all."),
    url: str = _URL,
    json: bool = _JSON,
) -> None:
    """Write the points of runs to a CSV or Parquet file."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress

    from monitor.store.export import export_points

    with _store(url) as store, Progress(BarColumn(30), MofNCompleteColumn(), console=err) as progress:
        task = progress.add_task("", total=len(runs))
        points = export_points(
            store, runs, to, keys=key or None, progress=lambda done, _: progress.update(task, completed=done)
        )
    emit({"file": str(to), "points": points}, f"wrote {number(points)} points to {escape(str(to))}", json)


def gc(
    older_than: float = typer.Option(None, "--older-than", min=0, help="Delete runs that ended this many days ago."),
    downsample: float = typer.Option(
        None, "--downsample", min=0, help="Thin the curves of runs that ended this many days ago; cannot be undone."
    ),
    points: int = typer.Option(4000, min=500, help="With --downsample: about how many points a series keeps."),
    project: str = typer.Option(None, help="With --older-than and --downsample: only runs of this project."),
    keep_deleted: float = typer.Option(7.0, min=0, help="Days that a deleted run can still be restored."),
    url: str = _URL,
    json: bool = _JSON,
) -> None:
    """Remove deleted runs for good; when asked, delete old runs first, or thin their curves."""
    now_ms = _now()
    deleted: list[str] = []
    purged: list[str] = []
    thinned: list[dict[str, object]] = []
    with _store(url) as store:
        while older_than is not None and (
            found := store.retire(before_ms=now_ms - int(older_than * _DAY_MS), now_ms=now_ms, project=project)
        ):
            deleted += found
        while found := store.purge(before_ms=now_ms - int(keep_deleted * _DAY_MS) + 1):
            purged += found
        if downsample is not None:
            before_ms = now_ms - int(downsample * _DAY_MS) + 1
            for run_id, kept, left_out in store.thin(
                before_ms=before_ms, points=points, now_ms=now_ms, project=project
            ):
                thinned.append({"run_id": run_id, "kept": kept, "of": kept + left_out})
                err.print(f"thinned {run_id}: {kept:,} of {kept + left_out:,} points kept")
    done = f"deleted {number(len(deleted))} runs, removed {number(len(purged))} for good"
    if downsample is not None:
        done += f", thinned {number(len(thinned))}"
    emit({"deleted": deleted, "purged": purged, "thinned": thinned}, done, json)


def copy(
    source: str = typer.Argument(..., metavar="SRC", help="URL of the database to copy.", show_default=False),
    destination: str = typer.Argument(..., metavar="DST", help="URL of the database to fill.", show_default=False),
    json: bool = _JSON,
) -> None:
    """Copy every run into another database, SQLite or PostgreSQL; resumable, verified by counts and checksums."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from monitor.store.copy import copy as copy_runs

    bars = (TextColumn("runs"), BarColumn(30), MofNCompleteColumn())
    with Progress(*bars, console=err) as progress:
        task = progress.add_task("", total=None)

        def report(state: Copied) -> None:
            progress.update(task, total=state.total, completed=state.done)

        end = copy_runs(source, destination, progress=report)
    data = {"runs": end.total, "verified": end.done, "copied": end.copied, "rows": end.rows}
    emit(data, f"{number(end.done)} of {number(end.total)} runs verified, {number(end.copied)} copied now", json)


def _store(url: str | None) -> Store:
    from monitor.store import Store

    return Store.open(url or settings_.load().store_url, create=False)


def _now() -> int:
    return time.time_ns() // 1_000_000
