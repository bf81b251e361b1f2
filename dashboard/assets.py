"""The files that the browser loads: our scripts, Idiomorph, and the script that the installed Plotly brings along."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import plotly
import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

_FOLDER: Final = Path(__file__).parent / "assets"
STYLE_SHEET: Final = _FOLDER / "style.css"
LOGO: Final = _FOLDER / "logo.svg"
PLOTLY: Final = "plotly.min.js"
_OURS: Final = {path.relative_to(_FOLDER).as_posix(): path for path in sorted(_FOLDER.rglob("*.js"))}
_CHARTS: Final = frozenset({"drawing.js", "labels.js", "panel.js", "panels.js", "plot.js", "saving.js"})
"""Those of our scripts that draw charts."""
_SERVED: Final = {**_OURS, PLOTLY: Path(plotly.__file__).parent / "package_data" / PLOTLY}
_FOREVER: Final = "public, max-age=31536000, immutable"


def routes() -> Sequence[Route]:
    """The route of all files."""
    return [Route(f"{_base()}/{{digest}}/{{name:path}}", _answer, methods=["GET"])]


def url(name: str) -> str:
    """Where the browser gets a file from; another content has another address.

    Our scripts import each other by relative addresses, so that all of them share one digest.
    """
    return f"{_base()}/{_digest(name == PLOTLY)}/{name}"


def early(*, charts: bool) -> tuple[tuple[str, ...], str]:
    """The addresses that a page's head asks for at once, rather than when the first component is drawn.

    Args:
        charts: whether Plotly is needed too, which is most of what a page loads.

    Returns:
        Our scripts, which are modules, and Plotly, which is none; "" where it is not needed.
    """
    ours = tuple(url(name) for name in _OURS if charts or name not in _CHARTS)
    return ours, url(PLOTLY) if charts else ""


def module(name: str) -> str:
    """A script for Streamlit's component that stands for a file.

    Streamlit sends a component's script along with every change of its data; so this one is as short as can be, and the
    browser keeps the file that it loads. It has two lines, since Streamlit takes a single one for a path, and names the
    host, since a script that came that way has no address of its own.
    """
    return f'const file = await import(new URL("{url(name)}", location.origin));\nexport default file.default;'


def _base() -> str:
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/assets" if base else "/assets"


@cache
def _digest(plotly_alone: bool) -> str:
    files = [_SERVED[PLOTLY]] if plotly_alone else list(_OURS.values())
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _answer(request: Request) -> Response:
    """A file; a page that an older version of the dashboard made gets today's, and does not keep it."""
    name = request.path_params["name"]
    if name not in _SERVED:
        return PlainTextResponse("There is no such file.", 404)
    current = request.path_params["digest"] == _digest(name == PLOTLY)
    headers = {"Cache-Control": _FOREVER if current else "no-store"}
    return FileResponse(_SERVED[name], media_type="text/javascript", headers=headers)
