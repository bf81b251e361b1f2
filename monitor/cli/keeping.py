"""`monitor runs rm|deleted|restore|export`, `monitor projects`, `monitor gc`, `monitor db copy`: stored data."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from monitor import settings as settings_
from monitor.cli.database import own_database
from monitor.cli.options import JSON, SERVER, URL
from monitor.cli.reader import open_api
from monitor.domain.formats import deletion, number
from monitor.screen import ago, emit, err, escape, out, progress, refuse_typo, table_of

if TYPE_CHECKING:
    from monitor.store.copy import Progress as Copied

_RUNS = typer.Argument(..., metavar="RUN…", help="Ids, first digits of ids, or names.", show_default=False)


def register(runs: typer.Typer, db: typer.Typer, app: typer.Typer) -> None:
    """Add the commands of this file to their groups."""
    runs.command("rm")(rm)
    runs.command("deleted")(deleted)
    runs.command("restore")(restore)
    runs.command("export")(export)
    db.command("copy")(copy)
    app.command(rich_help_panel="Manage")(gc)
    app.command(rich_help_panel="Watch")(projects)


def rm(runs: list[str] = _RUNS, url: str = URL, server: str = SERVER, json: bool = JSON) -> None:
    """Delete runs. They are hidden immediately and purged by `monitor gc` after the retention period."""
    with open_api(server, url) as api:
        ids = [api.run(ref).id for ref in runs]
        for run_id in ids:
            api.delete(run_id)
        days = api.purge_days()
    emit({"deleted": ids}, f"deleted {len(ids)}; `monitor runs restore ID` restores one within {days:g} days", json)


def restore(runs: list[str] = _RUNS, url: str = URL, server: str = SERVER, json: bool = JSON) -> None:
    """Restore deleted runs; `monitor runs deleted` lists them."""
    with open_api(server, url) as api:
        found = [api.restore(ref) for ref in runs]
    lines = [f"restored {escape(f'{run.project}/{run.name}')} [dim]{escape(run.id)}[/]" for run in found]
    emit({"restored": [run.id for run in found]}, "\n".join(lines), json)


def deleted(url: str = URL, server: str = SERVER, json: bool = JSON) -> None:
    """List deleted runs that can still be restored, and for how long."""
    with open_api(server, url) as api:
        days, found = api.purge_days(), api.deleted()
    table = table_of("run", "name", "started", "deleted", "kept for")
    for run, at in found:
        name = escape(f"{run.project}/{run.name}")
        table.add_row(escape(run.id[:8]), name, ago(run.created_ms), *deletion(at, days, _now()))
    data = {"keep_days": days, "deleted": [{**run.to_dict(), "deleted_ms": at} for run, at in found]}
    emit(data, table if found else "No deleted run can be restored.", json)


def export(
    runs: list[str] = _RUNS,
    to: Path = typer.Option(..., "--to", help="File to write: .csv or .parquet."),
    key: list[str] = typer.Option(None, "--key", help="Series to write; repeat it for several. Default: all."),
    url: str = URL,
    server: str = SERVER,
    json: bool = JSON,
) -> None:
    """Write the points of runs to a CSV or Parquet file."""
    from rich.progress import BarColumn, MofNCompleteColumn

    with open_api(server, url) as api, progress(BarColumn(30), MofNCompleteColumn()) as bar:
        task = bar.add_task("", total=len(runs))
        points = api.export(runs, to, keys=key or None, progress=lambda done, _: bar.update(task, completed=done))
    emit({"file": str(to), "points": points}, f"wrote {number(points)} points to {escape(str(to))}", json)


def gc(
    older_than: float = typer.Option(
        None, "--older-than", min=0, help="Delete runs that ended at least this many days ago."
    ),
    downsample: float = typer.Option(
        None,
        "--downsample",
        min=0,
        help="Downsample curves of runs that ended at least this many days ago; cannot be undone.",
    ),
    points: int = typer.Option(None, min=500, help="Approximate number of points that a downsampled series keeps."),
    project: str = typer.Option(None, help="Delete and downsample only runs of this project."),
    keep_deleted: float = typer.Option(None, min=0, help="Days for which a deleted run can be restored."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what would be done, and change nothing."),
    url: str = URL,
    json: bool = JSON,
) -> None:
    """Apply retention: downsample and delete old runs, purge deleted ones."""
    from monitor.store import Store
    from monitor.store.retention import EVERY_OTHER, Policy, keep

    policy = Policy.of(settings_.load())
    policy = Policy(
        keep_days=policy.keep_days if older_than is None else {EVERY_OTHER: older_than},
        thin_days=policy.thin_days if downsample is None else {EVERY_OTHER: downsample},
        thin_points=policy.thin_points if points is None else points,
        purge_days=policy.purge_days if keep_deleted is None else keep_deleted,
    )

    def say(run_id: str, kept: int, left_out: int) -> None:
        if not dry_run:
            err.print(f"downsampled {escape(run_id)}: {kept:,} of {kept + left_out:,} points kept")

    with Store.open(own_database(url, "monitor gc"), create=False) as store:
        refuse_typo("project", project, [name for name, _ in store.projects()])
        done = keep(store, policy, _now(), project=project, dry_run=dry_run, thinned=say)
    thinned: list[dict[str, object]] = [
        {"run_id": run_id} if dry_run else {"run_id": run_id, "kept": kept, "of": kept + left_out}
        for run_id, kept, left_out in done.thinned
    ]
    counts = (number(len(found)) for found in (done.deleted, done.purged, done.thinned))
    words = "would delete {}, purge {}, downsample {}" if dry_run else "deleted {}, purged {}, downsampled {}"
    text = f"runs: {words.format(*counts)}"
    if done.tokens:
        text += f"; {number(done.tokens)} ended tokens {'would be removed' if dry_run else 'removed'}"
    lists = {"deleted": list(done.deleted), "purged": list(done.purged), "thinned": thinned}
    emit({"dry_run": dry_run, **lists, "tokens": done.tokens}, text, json)


def projects(url: str = URL, server: str = SERVER, json: bool = JSON) -> None:
    """List projects, how long their runs are kept, and how many runs are due for deletion."""
    data: list[dict[str, object]] = []
    with open_api(server, url) as api:
        found, kept, purge_days, local = api.projects(), api.keeping(), api.purge_days(), api.server is None
    due = _due([name for name, _ in found], url) if local and found else {}
    columns = ["runs", "kept for", "downsampled after", *(["to delete", "to downsample"] if local else [])]
    table = table_of("project", *columns, right=columns)
    for name, runs in found:
        keep_days, thin_days = kept.get(name, (None, None))
        data.append({"name": name, "runs": runs, "keep_days": keep_days, "thin_days": thin_days, **due.get(name, {})})
        days = (
            "ever" if keep_days is None else f"{keep_days:g} days",
            "never" if thin_days is None else f"{thin_days:g} days",
        )
        table.add_row(escape(name), number(runs), *days, *(number(count) for count in due.get(name, {}).values()))
    if json:
        emit({"projects": data, "purge_days": purge_days}, "", True)
    elif data:
        out.print(table)
        out.print(f"A deleted run can be restored for {purge_days:g} days.", style="dim")
    else:
        out.print("No projects yet.")


def _due(names: Sequence[str], url: str | None) -> dict[str, dict[str, int]]:
    """For each project, how many runs `gc` would delete and downsample now. Only known for a local database."""
    from monitor.store import Store
    from monitor.store.retention import Policy, keep

    loaded = settings_.load()
    with Store.open(url or loaded.store_url, create=False) as store:
        rounds = {name: keep(store, Policy.of(loaded), _now(), project=name, dry_run=True) for name in names}
    return {name: {"to_delete": len(due.deleted), "to_thin": len(due.thinned)} for name, due in rounds.items()}


def copy(
    source: str = typer.Argument(..., metavar="SRC", help="URL of the database to copy.", show_default=False),
    destination: str = typer.Argument(..., metavar="DST", help="URL of the database to fill.", show_default=False),
    json: bool = JSON,
) -> None:
    """Copy all runs to another database, SQLite or PostgreSQL. Resumable; verified by counts and checksums."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    from monitor.store.copy import copy as copy_runs

    with progress(TextColumn("runs"), BarColumn(30), MofNCompleteColumn()) as bar:
        task = bar.add_task("", total=None)

        def report(state: Copied) -> None:
            bar.update(task, total=state.total, completed=state.done)

        end = copy_runs(source, destination, progress=report)
    data = {"runs": end.total, "verified": end.done, "copied": end.copied, "rows": end.rows}
    emit(data, f"{number(end.done)} of {number(end.total)} runs verified, {number(end.copied)} copied now", json)


def _now() -> int:
    return time.time_ns() // 1_000_000
