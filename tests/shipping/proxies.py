"""A reverse proxy on a port of its own, which passes on, refuses or falsifies what a test tells it to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

Answer = tuple[int, str, bytes]
"""Status, media type, body; a body that ends with `CUT` breaks off there."""
CUT = b"<cut>"
HTML_413 = b"<html><head><title>413 Request Entity Too Large</title></head><body><h1>nginx</h1></body></html>"


class Proxy:
    """Passes requests on to a server.

    Args:
        server: the server's address.
        most: bytes of a body that are passed on; a longer one is answered with 413 as nginx does, and not read.
        meddle: what to answer instead of the server, given the path and the body; None: pass it on.
        retry_after: the header that goes with what `meddle` answers.

    Attributes:
        times: when each request came, by `time.monotonic`.
        sizes: bytes of each body that came, in order.
        authorizations: the header of each request.
    """

    def __init__(
        self,
        server: str,
        most: int = 1 << 60,
        meddle: Callable[[str, bytes], Answer | None] = lambda *_: None,
        retry_after: str | None = None,
    ) -> None:
        self.times: list[float] = []
        self.sizes: list[int] = []
        self.authorizations: list[str | None] = []
        self.refused = 0
        client, outer = httpx.Client(base_url=server), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._pass()

            def do_POST(self) -> None:
                self._pass()

            def _pass(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                outer.sizes.append(size)
                outer.times.append(time.monotonic())
                outer.authorizations.append(self.headers.get("Authorization"))
                if size > most:
                    outer.refused += 1
                    self.close_connection = True
                    # and says so, or the client would send the next request into a closed connection
                    self._answer(413, "text/html", HTML_413)
                    left = size
                    while left > 0:  # as nginx lingers, so that the answer is read
                        left -= len(self.rfile.read(min(left, 1 << 16))) or left
                    return
                body = self.rfile.read(size)
                found, after = meddle(self.path, body), retry_after
                if found is None:
                    after = None
                    headers = {k: v for k, v in self.headers.items() if k.lower() in ("content-type", "authorization")}
                    answer = client.request(self.command, self.path, content=body, headers=headers)
                    found = answer.status_code, answer.headers.get("Content-Type", ""), answer.content
                self._answer(*found, after)

            def _answer(self, status: int, kind: str, body: bytes, after: str | None = None) -> None:
                self.send_response(status)
                if after is not None:
                    self.send_header("Retry-After", after)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.close_connection = self.close_connection or body.endswith(CUT)
                body = body.removesuffix(CUT)
                if self.close_connection:
                    self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._client = client
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._client.close()
