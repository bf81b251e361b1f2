"""Who is signed in: the browser holds the name of a session in a cookie, this process the token that belongs to it.

The dashboard has no token of its own. What a page shows and does is asked for with the token of whoever looks at it, so
that the server decides. Where the server asks for no token, nobody signs in. A session ends after `LASTS_S`, with
"Sign out", and when this process ends.
"""

from __future__ import annotations

import functools
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar
from urllib.parse import parse_qs, quote

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from monitor import Api
from monitor.errors import MonitorError, Unauthorized
from monitor.settings import load

T = TypeVar("T")

COOKIE: Final = "monitor_session"
LASTS_S: Final = 12 * 3600
"""Seconds that a session lasts: a working day."""
MOST: Final = 10_000
"""Sessions at once, and sign-ins that are under way."""
_FORM: Final = 4096
"""Bytes of a form, at most."""
_PLACE: Final = re.compile(r"[a-z_]{0,40}(\?[\w=&%.~+-]{0,2000})?")
"""A page of the dashboard, and nothing that leads away from it."""


class Lasting(Generic[T]):
    """Values under names that nobody can guess; beyond `MOST` of them the oldest one goes for a new one.

    Args:
        lasts_s: seconds that each is kept.
    """

    def __init__(self, lasts_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lasts_s, self._clock = lasts_s, clock
        self._values: dict[str, tuple[T, float]] = {}
        self._lock = threading.Lock()

    def begin(self, value: T) -> str:
        """Keep a value; its name."""
        name = secrets.token_urlsafe(32)
        with self._lock:
            self._values[name] = (value, self._clock() + self._lasts_s)
            while len(self._values) > MOST:
                del self._values[next(iter(self._values))]
        return name

    def get(self, name: str | None) -> T | None:
        """The value of a name; None for no name, and for one that is over."""
        with self._lock:
            value, until_s = self._values.get(name or "", (None, 0.0))
            if self._clock() < until_s:
                return value
            self._values.pop(name or "", None)
            return None

    def end(self, name: str | None) -> T | None:
        """Forget a value; what it was, as `get` says it."""
        found = self.get(name)
        with self._lock:
            there = self._values.pop(name or "", None) is not None
        return found if there else None  # of two that end it at once, one gets it


SESSIONS: Final[Lasting[str]] = Lasting(LASTS_S)
"""The token of each session by its name."""


def token() -> str | None:
    """The token of whoever looks at the page; None where nobody is signed in."""
    return token_of(st.context.cookies)


def token_of(cookies: Mapping[str, str]) -> str | None:
    """The token of whoever sent these cookies; None where nobody is signed in."""
    return SESSIONS.get(cookies.get(COOKIE))


def reader(given: str | None) -> Api:
    """A reader that has this token and no other, whatever the settings say."""
    return Api(settings=load().model_copy(update={"token": given}))


def routes() -> Sequence[Route]:
    """Where the forms of the pages go."""
    return [Route(path("signin"), _sign_in, methods=["POST"]), Route(path("signout"), _sign_out, methods=["POST"])]


@functools.cache
def exposed() -> bool:
    """True where other machines can reach this dashboard: it then shows only what a server asks a token for."""
    return not load().loopback


def path(name: str) -> str:
    """The path of a page, or of a route, of the dashboard."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/{name}" if base else f"/{name}"


def inside(place: str) -> str:
    """A page of the dashboard with its query; the list of runs for anything else.

    >>> inside("run?id=abc"), inside("https://evil.example"), inside("//evil.example"), inside("javascript:x")
    ('run?id=abc', '', '', '')
    """
    return place if _PLACE.fullmatch(place) else ""


async def _sign_in(request: Request) -> Response:
    """Begin a session where the server knows the token."""
    form = await _form(request)
    given, place = form.get("token", "").strip(), inside(form.get("place", ""))
    why = await run_in_threadpool(_refused, given)
    if why:
        return refused(why, place)
    return begun(request, given, place)


def begun(request: Request, given: str, place: str) -> Response:
    """Begin a session with this token, and show a page of the dashboard."""
    answer = RedirectResponse(path(place), 303)
    name = SESSIONS.begin(given)
    answer.set_cookie(COOKIE, name, LASTS_S, path=path(""), secure=over_tls(request), httponly=True, samesite="strict")
    return answer


def over_tls(request: Request) -> bool:
    """Whether the browser speaks to us, or to the proxy before us, over TLS."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))


def refused(why: str, place: str) -> Response:
    """Show the page that signs in again, and why it failed."""
    back = f"&place={quote(place)}" if place else ""
    return RedirectResponse(f"{path('')}?refused={why}{back}", 303)


async def _sign_out(request: Request) -> Response:
    SESSIONS.end(request.cookies.get(COOKIE))
    answer = RedirectResponse(path(""), 303)
    answer.delete_cookie(COOKIE, path=path(""), httponly=True, samesite="strict")
    return answer


def _refused(given: str) -> str:
    """Why nobody is signed in with this token; "" where somebody is."""
    try:
        with reader(given) as api:
            open_to_all = not api.me().asked
        if open_to_all and exposed():
            return "open"
    except Unauthorized:
        return "token"
    except MonitorError:
        return "server"
    return "" if given else "token"


async def _form(request: Request) -> dict[str, str]:
    """What a form of ours sent; empty for anything larger."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _FORM:
            return {}
    return {name: values[0] for name, values in parse_qs(body.decode("latin-1"), max_num_fields=10).items()}
