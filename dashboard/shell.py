"""The HTML that Streamlit serves around every page: our title in it, and a 404 of our own.

Streamlit answers every address that it does not know with its own page, which then says "Page not found" in a dialog
over another page's content, and names the tab "Streamlit" until a script has run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.markup.templates import fill

_TITLES: Final = re.compile(rb"<title>[^<]*</title>")


class Shell:
    """Names the tab, and answers addresses that no page has.

    Args:
        paths: the last part of each page's address.
        base: what all addresses begin with, "" for nothing.
        moved: given the last part of an address and the names of its parameters, where that page is now, or None.
        early: given the last part of an address, what the browser is to fetch while Streamlit begins: the addresses of
            modules, and of a script or "".
    """

    def __init__(
        self,
        app: ASGIApp,
        paths: Collection[str],
        base: str = "",
        moved: Callable[[str, Collection[str]], str | None] = lambda _path, _names: None,
        early: Callable[[str], tuple[Sequence[str], str]] = lambda _path: ((), ""),
    ) -> None:
        self._app = app
        self._base = f"/{base.strip('/')}".rstrip("/")
        self._moved, self._early = moved, early
        self._known = frozenset(f"{self._base}/{path}".rstrip("/") for path in paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and look at the answer where it is HTML."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        there = self._now(scope["path"], scope["query_string"].decode("latin-1"))
        if there is not None:
            await RedirectResponse(there, 307)(scope, receive, send)
            return
        headers = scope["headers"]
        if any(name == b"accept" and b"text/html" in value for name, value in headers):
            plain = [(name, value) for name, value in headers if name != b"accept-encoding"]  # to read what is answered
            scope = {**scope, "headers": plain}
        await self._app(scope, receive, _Html(self, scope, receive, send))

    def _now(self, path: str, query: str) -> str | None:
        """Where the page of an old link is now; None for any other address."""
        if path.rstrip("/") != self._base and not path.startswith(f"{self._base}/"):
            return None
        name = path[len(self._base) :].strip("/")
        now = self._moved(name, [key for key, _ in parse_qsl(query, keep_blank_values=True)])
        return None if now is None else f"{self._base}/{now}{'?' if query else ''}{query}"

    def of(self, path: str, page: bytes) -> HTMLResponse:
        """What is answered in place of Streamlit's page."""
        if path.rstrip("/") in self._known:
            name = path[len(self._base) :].strip("/")
            modules, script = self._early(name)
            up = ".." if path.endswith("/") else "."
            ours = fill("shell", "head", name=name, up=up, modules=modules, script=script)
            return HTMLResponse(_TITLES.sub(lambda _: str(ours).encode(), page, count=1))
        return HTMLResponse(str(fill("shell", "not_found", path=path[:200], home=f"{self._base}/")), 404)


class _Html:
    """Sends an answer as it is, unless it is HTML: that is gathered first."""

    def __init__(self, shell: Shell, scope: Scope, receive: Receive, send: Send) -> None:
        self._shell, self._scope, self._receive, self._send = shell, scope, receive, send
        self._start: Message | None = None
        self._parts: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = {name.lower(): value for name, value in message.get("headers", ())}
            html = headers.get(b"content-type", b"").startswith(b"text/html") and b"content-encoding" not in headers
            if html and message["status"] == 200:
                self._start = message
                return
        if self._start is None:
            await self._send(message)
            return
        self._parts.append(message.get("body", b""))
        if message.get("more_body"):
            return
        answer = self._shell.of(self._scope["path"], b"".join(self._parts))
        kept = [(n, v) for n, v in self._start.get("headers", ()) if n.lower() == b"cache-control"]
        answer.raw_headers.extend(kept)
        self._start = None
        await answer(self._scope, self._receive, self._send)
