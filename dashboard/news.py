"""How an open page learns that something has changed.

The browser polls a small route for a mark (`assets/news.js`). The page's script runs only if the mark differs from that
of the page, or if the page is old. A hidden page does not poll. Marks are read once for all pages (`readings.mark`), so
an open page costs next to nothing while nothing changes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import ParamSpec

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dashboard import component, readings, sessions

P = ParamSpec("P")


def routes() -> Sequence[Route]:
    """The route that the browser polls."""
    return [Route(sessions.path("news"), _answer, methods=["GET"])]


def refreshed(body: Callable[P, str | None], *, every_s: float, run: str = "") -> Callable[P, None]:
    """A part of a page that is redrawn after a change.

    Args:
        body: draws the part; it may return the mark of what it has drawn.
        every_s: polling interval of the browser in seconds.
        run: id or name of the run that the part shows; "" if any change concerns it.
    """

    @st.fragment
    @functools.wraps(body)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        before = "" if run else readings.mark(sessions.token())
        drawn_of = body(*args, **kwargs)
        mark = "" if readings.late() else drawn_of or before  # "" differs from any mark, so the browser asks again
        data = {"url": sessions.path("news"), "run": run, "mark": mark, "every": every_s, "fresh": readings.FRESH_S}
        component.show("news", data, key=f"news {body.__name__.strip('_')}", tells=("mark",))

    return drawn


def awaited() -> None:
    """Rerun the page once the server is back; for pages that do not refresh."""
    refreshed(_again, every_s=2.0)()


def _again() -> None:
    if not readings.away():
        st.rerun()


async def _answer(request: Request) -> Response:
    """The current mark for the caller's token."""
    token = sessions.token_of(request.cookies)
    run = request.query_params.get("run", "")[:250]
    found = readings.known_mark(token, run)
    if found is None:
        found = await run_in_threadpool(readings.mark, token, run)
    return PlainTextResponse(found, headers={"Cache-Control": "no-store"})
