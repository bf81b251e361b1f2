"""Signing in with an OpenID Connect provider: the way of the browser there and back.

It is the authorization code flow with PKCE. The server exchanges the code, as it holds the client's secret, and gives a
token of its own for it, with which a session like any other begins. Streamlit's own `st.login` is not used: what it
puts into the browser is valid for 30 days, in every copy, and nobody can end it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import streamlit as st
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboard.sessions import Lasting, begun, inside, over_tls, path, refused
from monitor.errors import Forbidden, MonitorError, Unauthorized
from monitor.reader.signing import provider, sign_in
from monitor.settings import load

COOKIE: Final = "monitor_signin"
LASTS_S: Final = 600
"""Seconds that somebody may take to sign in at the provider."""
_log = logging.getLogger("dashboard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A sign-in under way.

    Attributes:
        nonce: what the ID token must hold.
        verifier: what the provider has the hash of.
        place: the page to show then.
    """

    nonce: str
    verifier: str
    place: str


UNDER_WAY: Final[Lasting[Begun]] = Lasting(LASTS_S)
"""The sign-ins that browsers have begun, by their state; each can be ended once."""


def routes() -> Sequence[Route]:
    """Where the link of the page leads, and where the provider sends the browser back to."""
    return [Route(path("signin/provider"), _there), Route(path("signin/callback"), _back)]


@st.cache_data(ttl=30, show_spinner=False)
def provider_name() -> str | None:
    """What the provider is called; None where the server has none, or does not say."""
    try:
        found = provider(load())
    except MonitorError as error:
        _log.warning("nobody can sign in with the OpenID provider: %s", error)
        return None
    return None if found is None else found.name


def _there(request: Request) -> Response:
    place = inside(request.query_params.get("place", ""))
    try:
        found = provider(load())
    except MonitorError:
        return refused("server", place)
    if found is None:
        return refused("provider", place)
    made = Begun(nonce=secrets.token_urlsafe(32), verifier=secrets.token_urlsafe(32), place=place)
    state = UNDER_WAY.begin(made)
    digest = hashlib.sha256(made.verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": found.client_id,
        "scope": found.scope,
        "redirect_uri": _here(request),
        "state": state,
        "nonce": made.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    answer = RedirectResponse(f"{found.authorize}{'&' if '?' in found.authorize else '?'}{urlencode(asked)}", 303)
    # Lax, as the way back begins on the provider's page.
    answer.set_cookie(
        COOKIE, state, LASTS_S, path=path("signin"), secure=over_tls(request), httponly=True, samesite="lax"
    )
    return answer


def _back(request: Request) -> Response:
    given = request.query_params
    state = given.get("state", "")
    same_browser = hmac.compare_digest(state.encode(), request.cookies.get(COOKIE, "").encode())
    made = UNDER_WAY.end(state) if state and same_browser else None
    place = "" if made is None else made.place
    if made is None or "code" not in given:
        _log.warning("a sign-in did not succeed: %.100r", given.get("error", "it was not begun in this browser"))
        answer = refused("provider", place)
    else:
        answer = _signed_in(request, made, given["code"])
    answer.delete_cookie(COOKIE, path=path("signin"), httponly=True, samesite="lax")
    return answer


def _signed_in(request: Request, made: Begun, code: str) -> Response:
    try:
        token = sign_in(load(), code=code, verifier=made.verifier, nonce=made.nonce, redirect_uri=_here(request))
    except Forbidden as error:
        _log.warning("%s", error)
        return refused("role", made.place)
    except Unauthorized:
        return refused("provider", made.place)
    except MonitorError as error:
        _log.warning("a sign-in did not succeed: %s", error)
        return refused("server", made.place)
    return begun(request, token, made.place)


def _here(request: Request) -> str:
    """Where the provider sends the browser back to; the door has checked the host."""
    scheme = "https" if over_tls(request) else "http"
    return f"{scheme}://{request.headers.get('host', '')}{path('signin/callback')}"
