"""Files that the browser downloads: a run's points as CSV or Parquet, and the list of runs as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from starlette.background import BackgroundTask
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from dashboard import data, fields, readings, sessions
from dashboard.markup import run_list
from monitor import Api
from monitor.domain import RunQuery, cell
from monitor.domain.media import JSON, SIGNATURES
from monitor.errors import Forbidden, MediaNotFound, MonitorError, RunNotFound, Unauthorized

_TYPES: Final = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
_COLUMNS: Final = ("run_id", "project", "run", "group", "status", "verdict", "action", "last_step", "best_loss",
                   "best_step", "best_goal", "best_goal_step", "created_ms", "finished_ms")  # fmt: skip
_PORTION: Final = 1000
_MEDIA_HEADERS: Final = {
    "Cache-Control": "private, max-age=31536000, immutable",  # an id is given once
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
MOST: Final = 100_000
"""Runs of a list, at most."""
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]+")


def routes() -> Sequence[Route]:
    """The route of all files."""
    return [
        Route(sessions.path("download/runs.csv"), _runs, methods=["GET"]),
        Route(sessions.path("download/{run}/media/{media:int}"), _media, methods=["GET"]),
        Route(sessions.path("download/{run}.{kind}"), _answer, methods=["GET"]),
    ]


def _reader(request: Request) -> Api:
    """A reader with the token of whoever asks, as the pages have it.

    Raises:
        Unauthorized: they are not signed in, or this dashboard shows other machines nothing that needs no token.
    """
    api = readings.reader(sessions.token_of(request.cookies))
    if sessions.exposed() and not api.me().asked:
        raise Unauthorized(str(api.server or "the store of this machine"))
    return api


def _refused(error: MonitorError) -> Response:
    kinds = ((RunNotFound | MediaNotFound, 404), (Unauthorized | Forbidden, 401), (MonitorError, 503))
    return PlainTextResponse(f"{error}\n", next(status for kind, status in kinds if isinstance(error, kind)))


def _runs(request: Request) -> Response:
    """The list of runs as CSV: those that are named, or all that the filters leave."""
    given = request.query_params
    columns = [name for name in given.getlist("cols") if name not in run_list.COLUMNS and fields.usable(name)]
    try:
        text = _written(_reader(request), given, columns)
    except MonitorError as error:
        return _refused(error)
    return Response(text, media_type="text/csv", headers={"Content-Disposition": 'attachment; filename="runs.csv"'})


def _written(api: Api, given: QueryParams, columns: Sequence[str]) -> str:
    wanted = RunQuery(
        project=given.get("project"), status=given.get("status"), verdict=given.get("verdict"), search=given.get("q"),
        query=_one_of(given.getlist("run")), limit=_PORTION, metrics=fields.series_of(columns),
    )  # fmt: skip
    out = io.StringIO()
    sheet = csv.writer(out)
    sheet.writerow([*_COLUMNS, *map(cell, columns)])
    done = 0
    while done < MOST:
        page = data.runs_page(replace(wanted, offset=done), api)
        for run in page.items:
            rec = run.recommendation
            row = (run.id, run.project, run.name, run.group, run.status, run.verdict, rec.action, run.last_step,
                   rec.best_val_loss, rec.best_step, run.goal_best, run.goal_best_step, run.created_ms,
                   run.finished_ms)  # fmt: skip
            more = (fields.value(run, page.metrics.get(run.id, {}), name) for name in columns)
            sheet.writerow([cell(value) if isinstance(value, str) else value for value in (*row, *more)])
        done += len(page.items)
        if len(page.items) < _PORTION:
            break
    return out.getvalue()


def _one_of(run_ids: Sequence[str]) -> str | None:
    """The query for some runs; None for all."""
    return f"id in ({', '.join(map(json.dumps, run_ids))})" if run_ids else None


def _media(request: Request) -> Response:
    """An image of a run, as a page shows it; tables and histograms come as JSON."""
    try:
        content = _reader(request).run(request.path_params["run"]).media_content(request.path_params["media"])
    except MonitorError as error:
        return _refused(error)
    mime = next((name for name, (at, start) in SIGNATURES.items() if content[at:].startswith(start)), JSON)
    return Response(content, media_type=mime, headers=_MEDIA_HEADERS)


def _answer(request: Request) -> Response:
    """Write the file and send it; Starlette calls this on a thread of its own."""
    run_id, kind = request.path_params["run"], request.path_params["kind"]
    if kind not in _TYPES:
        return PlainTextResponse(f"{kind!r} is not a format; ask for .csv or .parquet\n", 404)
    folder = tempfile.TemporaryDirectory(prefix="monitor-download-")
    file = Path(folder.name) / f"points.{kind}"
    try:
        api = _reader(request)
        run = api.run(run_id).info
        api.export([run.id], file, keys=request.query_params.getlist("key") or None)
    except MonitorError as error:
        folder.cleanup()
        return _refused(error)
    name = _ODD.sub("_", run.name)[:80] or run.id
    done = BackgroundTask(folder.cleanup)
    return FileResponse(file, media_type=_TYPES[kind], filename=f"{name}-{run.id[:8]}.{kind}", background=done)
