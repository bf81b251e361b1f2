"""The files that the browser loads: our scripts, Idiomorph, and the script that the installed Plotly brings along."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Final

import plotly
import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

_FOLDER: Final = Path(__file__).parent / "assets"
STYLE_SHEET: Final = _FOLDER / "style.css"
LOGO: Final = _FOLDER / "logo.svg"
_PLOTLY: Final = "plotly.min.js"
_SERVED: Final = {
    "live.js": _FOLDER / "live.js",
    "panels.js": _FOLDER / "panels.js",
    "plot.js": _FOLDER / "plot.js",
    "vendor/idiomorph-0.8.0.esm.js": _FOLDER / "vendor" / "idiomorph-0.8.0.esm.js",
    _PLOTLY: Path(plotly.__file__).parent / "package_data" / _PLOTLY,
}
_FOREVER: Final = "public, max-age=31536000, immutable"
"""An address holds the digest of its file, or its version: another file has another address."""


def routes() -> Sequence[Route]:
    """A route for each file."""
    return [Route(_path(name), partial(_answer, file), methods=["GET"]) for name, file in _SERVED.items()]


def url(name: str) -> str:
    """Where the browser gets a file from."""
    return f"{_path(name)}?v={_digest(name)}"


def module(name: str) -> str:
    """A script for Streamlit's component that stands for a file.

    Streamlit sends a component's script along with every change of its data; so this one is as short as can be, and the
    browser keeps the file that it loads. It has two lines, since Streamlit takes a single one for a path, and names the
    host, since a script that came that way has no address of its own.
    """
    return f'const file = await import(new URL("{url(name)}", location.origin));\nexport default file.default;'


def _path(name: str) -> str:
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/assets/{name}" if base else f"/assets/{name}"


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(_SERVED[name].read_bytes()).hexdigest()[:16]


def _answer(file: Path, request: Request) -> Response:  # noqa: ARG001  # Starlette hands the request over
    return FileResponse(file, media_type="text/javascript", headers={"Cache-Control": _FOREVER})
