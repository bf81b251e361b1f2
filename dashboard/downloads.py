"""Files that the browser downloads: a run's points as CSV or Parquet."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import streamlit as st
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from dashboard import data
from monitor.errors import MonitorError, RunNotFound

_TYPES: Final = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]+")


def routes() -> Sequence[Route]:
    """The route of all files."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return [Route(f"{'/' + base if base else ''}/download/{{run}}.{{kind}}", _answer, methods=["GET"])]


def _answer(request: Request) -> Response:
    """Write the file and send it; Starlette calls this on a thread of its own."""
    run_id, kind = request.path_params["run"], request.path_params["kind"]
    if kind not in _TYPES:
        return PlainTextResponse(f"{kind!r} is not a format; ask for .csv or .parquet\n", 404)
    folder = tempfile.TemporaryDirectory(prefix="monitor-download-")
    file = Path(folder.name) / f"points.{kind}"
    try:
        run = data.api().run(run_id).info
        data.api().export([run.id], file, keys=request.query_params.getlist("key") or None)
    except MonitorError as error:
        folder.cleanup()
        return PlainTextResponse(f"{error}\n", 404 if isinstance(error, RunNotFound) else 503)
    name = _ODD.sub("_", run.name)[:80] or run.id
    done = BackgroundTask(folder.cleanup)
    return FileResponse(file, media_type=_TYPES[kind], filename=f"{name}-{run.id[:8]}.{kind}", background=done)
