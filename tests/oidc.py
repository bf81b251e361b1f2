"""A small OpenID Connect provider over HTTP: discovery, keys, the authorization code flow with PKCE."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "dash board", "s3cret/&:"


@dataclass
class Oidc:
    """The provider, and who signs in with it next.

    Attributes:
        claims: of whoever opens its page.
        forge: makes another ID token from the claims; None for the right one.
        asked: the token requests that it refused, by why.
    """

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    forge: Callable[[Oidc, dict[str, Any]], str] | None = None
    refused: list[str] = field(default_factory=list)
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        self.keys = {f"key {secrets.token_hex(4)}": rsa.generate_private_key(public_exponent=65537, key_size=2048)}

    def settings(self, roles: dict[str, str], **more: object) -> dict[str, object]:
        """What the server is told of it."""
        return {"issuer": self.url, "client_id": CLIENT, "client_secret": SECRET, "roles": roles, **more}

    def code(self, **asked: str) -> str:
        """A code for a browser that asked so, as its page gives it."""
        made = secrets.token_urlsafe(8)
        self.codes[made] = asked
        return made

    def signed(self, claims: dict[str, Any]) -> str:
        """An ID token."""
        ((name, key),) = self.keys.items()
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": name})

    def id_token(self, asked: dict[str, str]) -> str:
        """The ID token for whoever asked so."""
        now = int(time.time())
        claims: dict[str, Any] = {"iss": self.url, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300}
        claims |= {"nonce": asked["nonce"], **self.claims}
        return self.forge(self, claims) if self.forge else self.signed(claims)


@contextmanager
def provider() -> Iterator[Oidc]:
    """A provider that runs."""
    made = Oidc()
    made.rotate()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place, query = urlsplit(self.path).path, urlsplit(self.path).query
            if place == "/.well-known/openid-configuration":
                ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
                self.answer(200, {"issuer": made.url, **{name: f"{made.url}/{end}" for name, end in ends.items()}})
            elif place == "/keys":
                found = [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(k.public_key())) for k in made.keys.values()]
                self.answer(200, {"keys": [{**key, "kid": name} for key, name in zip(found, made.keys, strict=True)]})
            else:
                asked = {name: values[0] for name, values in parse_qs(query).items()}
                back = urlencode({"code": made.code(**asked), "state": asked["state"]})
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?{back}")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(text).items()}
            asked = made.codes.pop(form.get("code", ""), None)
            problem = _problem(asked, form, self.headers.get("Authorization", ""))
            if problem or asked is None:
                made.refused.append(problem)
                self.answer(400, {"error": "invalid_grant"})
            else:
                self.answer(200, {"id_token": made.id_token(asked), "access_token": "x", "token_type": "Bearer"})

        def answer(self, status: int, data: object) -> None:
            body = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def _problem(asked: dict[str, str] | None, form: dict[str, str], authorization: str) -> str:
    """Why a code is not exchanged; "" where it is."""
    if asked is None:
        return "code"
    user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    if {user, password} != {"dash%20board", "s3cret%2F%26%3A"}:
        return "client"
    digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
    if asked.get("code_challenge") != digest or form["redirect_uri"] != asked["redirect_uri"]:
        return "verifier"
    return ""
