"""Signing in with a real OpenID Connect provider: whose ID token holds, and what it gives."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from monitor._resources import ROOT
from monitor.api import create_api, identity
from monitor.api.door import OPEN
from monitor.api.identity import LASTS_MS
from monitor.api.problems import Refused
from monitor.domain import Access
from monitor.errors import SettingsError
from monitor.ingest.engines import Engines
from monitor.mlflow_store.app import is_ours
from monitor.settings import Settings
from monitor.store import Store
from tests.oidc import Oidc, provider

from .conftest import Clock, served
from .test_roles import token_of

VERIFIER, NONCE, BACK = "v" * 43, "n" * 43, "http://dashboard/signin/callback"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ROLES = {"root": "admin", "vision": "editor:vision", "ml": "viewer"}
Forge = Callable[[Oidc, dict[str, Any]], str]


@dataclass
class House:
    http: httpx.Client
    store: Store
    clock: Clock
    oidc: Oidc

    def sign_in(self, **given: str) -> httpx.Response:
        code = self.oidc.code(nonce=NONCE, redirect_uri=BACK, code_challenge=CHALLENGE)
        asked = {"code": code, "verifier": VERIFIER, "nonce": NONCE, "redirect_uri": BACK, **given}
        return self.http.post("/signin", json=asked)

    def me(self, token: str) -> httpx.Response:
        return self.http.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def house(sqlite_url: str, tmp_path: Path) -> Iterator[House]:
    clock = Clock()
    with provider() as oidc, Store.open(sqlite_url) as store:
        settings = Settings(dir=tmp_path, oidc=oidc.settings(ROLES))
        with (
            served(create_api(store, Engines(), settings, clock=clock)) as address,
            httpx.Client(base_url=address) as http,
        ):
            yield House(http, store, clock, oidc)


def test_a_server_with_a_provider_asks_for_a_token_though_none_was_ever_made(house: House) -> None:
    assert house.http.get("/api/v1/runs").status_code == 401
    found = house.http.get("/signin").json()["provider"]
    assert found == {
        "name": "127.0.0.1",
        "authorize": f"{house.oidc.url}/authorize",
        "client_id": "dash board",
        "scope": "openid email profile",
    }


@pytest.mark.parametrize(
    ("groups", "role", "project"),
    [
        (["ml"], "viewer", None),
        (["ml", "vision"], "editor", "vision"),  # the first line that fits decides
        (["vision", "root"], "admin", None),
        ("ml", "viewer", None),
    ],
)
def test_the_groups_give_a_role_and_a_project_for_a_working_day(
    house: House, groups: object, role: str, project: str | None
) -> None:
    house.oidc.claims = {"email": "ada@example.org", "groups": groups}
    answer = house.sign_in()
    assert answer.status_code == 201
    token = answer.json()["token"]
    me = house.me(token).json()
    assert (me["name"], me["role"], me["project"]) == ("ada@example.org (signed in)", role, project)
    house.clock.now_ms += LASTS_MS - 1
    assert house.me(token).status_code == 200
    house.clock.now_ms += 1
    assert house.me(token).status_code == 401
    (entry,) = house.store.audit()[1]
    assert (entry.who, entry.action) == ("ada@example.org", "token.create")


@pytest.mark.parametrize("verified", [True, False, "false"])
def test_an_address_that_somebody_merely_claims_is_not_their_name(house: House, verified: object) -> None:
    house.oidc.claims = {"sub": "17", "email": "root@example.org", "email_verified": verified, "groups": ["ml"]}
    assert house.sign_in().status_code == 201
    (entry,) = house.store.audit()[1]
    assert entry.who == ("root@example.org" if verified is True else "17")


@pytest.mark.parametrize("claims", [{}, {"groups": []}, {"groups": ["guests"]}, {"groups": {"ml": 1}}, {"groups": 7}])
def test_whoever_has_no_role_here_is_not_let_in(house: House, claims: dict[str, Any]) -> None:
    house.oidc.claims = claims
    answer = house.sign_in()
    assert answer.status_code == 403
    assert "oidc.roles" in answer.json()["detail"]
    assert house.store.tokens() == ()


def unsigned(oidc: Oidc, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", algorithm="none")


def signed_with_the_public_key(oidc: Oidc, claims: dict[str, Any]) -> str:
    """The public key, which anybody may read, taken for a shared secret."""
    ((name, key),) = oidc.keys.items()
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": name}, claims)
    )
    mac = base64.urlsafe_b64encode(hmac.digest(pem, head + b"." + body, "sha256")).rstrip(b"=")
    return b".".join((head, body, mac)).decode()


def signed_by_another(oidc: Oidc, claims: dict[str, Any]) -> str:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, other, algorithm="RS256", headers={"kid": next(iter(oidc.keys))})


def of_an_unlisted_key(oidc: Oidc, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, next(iter(oidc.keys.values())), algorithm="RS256", headers={"kid": "another"})


def changed(**more: object) -> Forge:
    def forge(oidc: Oidc, claims: dict[str, Any]) -> str:
        return oidc.signed({k: v for k, v in {**claims, **more}.items() if v is not None})

    return forge


FORGED: dict[str, Forge] = {
    "unsigned": unsigned,
    "public key as secret": signed_with_the_public_key,
    "another key": signed_by_another,
    "unlisted key": of_an_unlisted_key,
    "for another program": changed(aud="another"),
    "for several, given to another": changed(aud=["dash board", "another"], azp="another"),
    "of another issuer": changed(iss="https://evil.example"),
    "over": changed(exp=1),
    "never over": changed(exp=None),
    "not yet": changed(nbf=4_000_000_000),
    "of another sign-in": changed(nonce="another"),
    "of no sign-in": changed(nonce=None),
    "of nobody": changed(sub=None),
    "nonsense": lambda *_: "a.b.c",
    "no token": lambda *_: "",
}


@pytest.mark.parametrize("name", FORGED)
def test_an_id_token_that_does_not_hold_lets_nobody_in(
    house: House, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_AGAIN_S", 0.0)
    house.oidc.claims = {"groups": ["root"]}
    house.oidc.forge = FORGED[name]
    answer = house.sign_in()
    assert answer.status_code == 401
    assert house.store.tokens() == ()
    house.oidc.forge = None
    assert house.sign_in().status_code == 201  # and the same, right, does


def test_a_code_counts_once_and_only_with_what_the_browser_was_sent_with(house: House) -> None:
    house.oidc.claims = {"groups": ["root"]}
    assert house.sign_in(code="guessed").status_code == 401
    assert house.sign_in(verifier="another").status_code == 401
    assert house.sign_in(redirect_uri="http://evil.example/").status_code == 401
    assert house.sign_in(nonce="another").status_code == 401
    assert house.oidc.refused == ["code", "verifier", "verifier"]


def test_a_provider_that_signs_with_a_new_key_is_asked_for_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_AGAIN_S", 0.0)
    house.oidc.claims = {"groups": ["ml"]}
    assert house.sign_in().status_code == 201
    house.oidc.rotate()
    assert house.sign_in().status_code == 201


def test_a_provider_that_is_down_is_said_to_be(sqlite_url: str, tmp_path: Path) -> None:
    with provider() as oidc:
        settings = Settings(dir=tmp_path, oidc=oidc.settings(ROLES))
    with (
        Store.open(sqlite_url) as store,
        served(create_api(store, Engines(), settings)) as address,
        httpx.Client(base_url=address) as http,
    ):
        assert http.get("/signin").status_code == 502
        answer = http.post("/signin", json={"code": "c", "verifier": "v", "nonce": "n", "redirect_uri": "r"})
        assert answer.status_code == 502
        token = token_of(store, Access.LOGGER)  # training goes on
        assert http.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_provider_that_hangs_keeps_a_few_threads_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_WAIT_S", 120.0)
    with ThreadPoolExecutor(20) as pool:
        with silent_provider() as found:
            asked = [pool.submit(found.page) for _ in range(20)]
            first = list(itertools.islice(as_completed(asked, 60), 20 - identity.AT_ONCE))
            assert {status_of(each) for each in first} == {429}  # while the others wait
        others = [status_of(each) for each in asked if each not in first]
    assert others == [502] * identity.AT_ONCE


def test_a_provider_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_WAIT_S", 0.1)
    with silent_provider() as found, pytest.raises(Refused) as given_up:
        found.page()
    assert given_up.value.status_code == 502


@contextmanager
def silent_provider() -> Iterator[identity.Provider]:
    """A provider that takes connections and says nothing until it hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        yield identity.Provider(identity.Oidc(issuer=issuer, client_id="c", roles=ROLES))


def status_of(asked: Future[dict[str, str]]) -> int | None:
    refused = asked.exception(60)
    return refused.status_code if isinstance(refused, Refused) else None


def test_a_page_of_another_site_signs_nobody_in(house: House) -> None:
    assert house.http.get("/signin", headers={"Origin": "http://evil.example"}).status_code == 403
    assert house.http.post("/signin", content="code=x", headers={"Content-Type": "text/plain"}).status_code == 415


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"issuer": "http://login.example.org"}, "oidc.issuer"),
        ({"issuer": "file:///etc"}, "oidc.issuer"),
        ({"roles": {}}, "oidc.roles"),
        ({"roles": {"x": "boss"}}, "oidc.roles.x"),
        ({"roles": {"x": "viewer:"}}, "oidc.roles.x"),
        ({"client": "x"}, "oidc.client"),
        ({"client_id": None}, "oidc.client_id"),
    ],
)
def test_settings_that_cannot_be_used_are_told_at_the_start_and_no_secret_with_them(
    changed: dict[str, Any], said: str
) -> None:
    good = {"issuer": "https://login.example.org", "client_id": "c", "client_secret": "hunter2", "roles": ROLES}
    identity.Oidc.of(good)
    with pytest.raises(SettingsError, match=said) as found:
        identity.Oidc.of({name: value for name, value in {**good, **changed}.items() if value is not None})
    assert "hunter2" not in str(found.value)
    assert "hunter2" not in repr(identity.Oidc.of(good))


def test_an_id_token_is_no_token_of_the_api(house: House) -> None:
    house.oidc.claims = {"groups": ["root"]}
    assert house.me(house.oidc.id_token({"nonce": NONCE})).status_code == 401


@pytest.mark.parametrize("path", sorted(OPEN))
def test_what_is_open_is_ours_beside_mlflow_and_behind_a_balancer(path: str) -> None:
    assert is_ours(path)
    assert re.search(rf"acl ours path .*{path}\b", (ROOT / "deploy/haproxy.cfg").read_text(encoding="utf-8"))
