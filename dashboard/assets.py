"""Static files for the browser: our scripts, Idiomorph, and the script of the installed Plotly."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import plotly
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from dashboard import sessions

_FOLDER: Final = Path(__file__).parent / "assets"
STYLE_SHEET: Final = _FOLDER / "style.css"
LOGO: Final = _FOLDER / "logo.svg"
PLOTLY: Final = "plotly.min.js"
_OURS: Final = {path.relative_to(_FOLDER).as_posix(): path for path in sorted(_FOLDER.rglob("*.js"))}
_CHARTS: Final = frozenset({"arrays.js", "drawing.js", "labels.js", "panel.js", "panels.js", "plot.js", "saving.js"})
"""Those of our scripts that draw charts."""
_SERVED: Final = {**_OURS, PLOTLY: Path(plotly.__file__).parent / "package_data" / PLOTLY}
_LEVEL: Final = 6
"""Of compression: 9 takes longer and saves nothing to speak of."""
_FOREVER: Final = "public, max-age=31536000, immutable"


def routes() -> Sequence[Route]:
    """The route of all files."""
    return [Route(sessions.path("assets/{digest}/{name:path}"), _answer, methods=["GET"])]


def url(name: str) -> str:
    """The URL of a file. It contains a digest, so new content has a new URL.

    Our scripts import each other by relative URLs, so they share one digest.
    """
    return sessions.path(f"assets/{_digest(name == PLOTLY)}/{name}")


def early(*, charts: bool) -> tuple[tuple[str, ...], str]:
    """URLs of what a page's head asks for, rather than the first component that is drawn.

    Args:
        charts: whether the page needs Plotly too, which is most of its download.

    Returns:
        Our scripts (modules), and Plotly (a script that runs as soon as it is there); "" if it is not needed.
    """
    ours = tuple(url(name) for name in _OURS if charts or name not in _CHARTS)
    return ours, url(PLOTLY) if charts else ""


def module(name: str) -> str:
    """A stub script for a Streamlit component that loads a file.

    Streamlit sends a component's script with every change of its data, so this one is minimal and the browser caches
    the file that it loads. It has two lines, because Streamlit takes a single line for a path, and it names the host,
    because a script that came this way has no URL of its own.
    """
    return f'const file = await import(new URL("{url(name)}", location.origin));\nexport default file.default;'


@cache
def compress() -> bytes:
    """Plotly's script, compressed once rather than for every reader."""
    return gzip.compress(_SERVED[PLOTLY].read_bytes(), _LEVEL)


@cache
def _digest(plotly_alone: bool) -> str:
    files = [_SERVED[PLOTLY]] if plotly_alone else list(_OURS.values())
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _answer(request: Request) -> Response:
    """Serve a file. A page of an older dashboard version gets the current file, uncached."""
    name = request.path_params["name"]
    if name not in _SERVED:
        return PlainTextResponse("There is no such file.", 404)
    current = request.path_params["digest"] == _digest(name == PLOTLY)
    headers = {"Cache-Control": _FOREVER if current else "no-store"}
    if name == PLOTLY and "gzip" in request.headers.get("accept-encoding", ""):
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Response(compress(), media_type="text/javascript", headers=headers)
    return FileResponse(_SERVED[name], media_type="text/javascript", headers=headers)
