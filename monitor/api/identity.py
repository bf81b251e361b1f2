"""Who somebody is, according to an OpenID Connect provider, and which role that gives them.

The server talks to the provider itself: it holds the client secret, exchanges the browser's code for an ID token, and
verifies it. Whoever is accepted gets one of our tokens, with a role, for a working day.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
import jwt
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from monitor.api.problems import Refused
from monitor.domain import Access, inert
from monitor.errors import Forbidden, SettingsError

LASTS_MS: Final = 12 * 3_600_000
"""How long the token of somebody who signed in is valid: a working day."""
AT_ONCE: Final = 4
"""Maximum number of concurrent sign-ins, since anybody may start one."""
_FRESH_S: Final = 3600.0
"""Seconds for which the provider's document and keys are cached."""
_AGAIN_S: Final = 10.0
"""Minimum seconds between two fetches for an unknown key."""
_WAIT_S: Final = 10.0
_MOST: Final = 2**20
"""Maximum size of a provider's response, bytes."""
_ALGORITHMS: Final = (*(f"{kind}{size}" for kind in ("RS", "PS", "ES") for size in (256, 384, 512)), "EdDSA")
"""Accepted signature algorithms: asymmetric ones only, whose key the provider alone has."""

_log = logging.getLogger(__name__)


class Oidc(BaseModel):
    """The `oidc` table of the settings; see `docs/security.md`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    issuer: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    scope: str = "openid email profile"
    claim: str = "groups"
    roles: dict[str, str] = Field(min_length=1)

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Oidc:
        """Parse the table."""
        try:
            found = cls.model_validate(dict(given))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise SettingsError(f"oidc.{place}", str(first["msg"]).lower(), "see docs/security.md") from None
        _check_address("oidc.issuer", found.issuer)
        for value, role in found.roles.items():
            name, colon, project = role.partition(":")
            if name not in set(Access) or (colon and not project.strip()):
                fix = f"write {', '.join(Access)}, or one with a project, such as editor:vision"
                raise SettingsError(f"oidc.roles.{value}", f"{role!r} is not a role", fix)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody who signed in.

    Attributes:
        name: their email address, user name or subject id at the provider.
        project: the only project they may access; None for all.
    """

    name: str
    access: Access
    project: str | None


class Provider:
    """An OpenID Connect provider.

    Args:
        settings: our client id there, and which claims give which role.
    """

    def __init__(self, settings: Oidc) -> None:
        self._settings = settings
        self._document: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, list[Mapping[str, Any]]] = (0.0, [])
        self._free = threading.Semaphore(AT_ONCE)

    def page(self) -> dict[str, str]:
        """The address where a browser signs in, and the parameters it sends.

        Raises:
            Refused: the provider does not respond, or its response is invalid.
        """
        settings = self._settings
        if not self._fresh():
            with self._turn():
                self._described()
        address = str(self._described()["authorization_endpoint"])
        name = urlsplit(settings.issuer).hostname or settings.issuer
        return {"name": name, "authorize": address, "client_id": settings.client_id, "scope": settings.scope}

    def identity(self, code: str, verifier: str, nonce: str, redirect_uri: str) -> Identity:
        """Who has signed in.

        Args:
            code: the authorization code that the provider gave the browser.
            verifier: the PKCE verifier; the browser's request held its hash.
            nonce: sent with the request; the ID token must contain it.
            redirect_uri: where the browser was sent back to.

        Raises:
            Refused: the provider rejects the code, or its ID token is invalid.
            Forbidden: the ID token is valid, but its claims give no role.
        """
        with self._turn():
            claims = self._verified(self._token(code, verifier, redirect_uri))
        if not nonce or claims.get("nonce") != nonce:
            raise _refused("the ID token is not of this sign-in")
        return self._role(claims)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Call the provider on one of a few threads: it may be slow, and anybody can trigger the call."""
        if not self._free.acquire(blocking=False):
            raise Refused(429, "too-many-sign-ins", f"{AT_ONCE} sign-ins are under way; try again")
        try:
            yield
        finally:
            self._free.release()

    def _role(self, claims: Mapping[str, Any]) -> Identity:
        # The audit log shows this name, so an address that somebody merely claims is not used.
        claimed = claims.get("email_verified") in (False, "false", "False")
        names = ("preferred_username", "sub") if claimed else ("email", "preferred_username", "sub")
        found = next((claims[n] for n in names if isinstance(claims.get(n), str)), "")
        name = inert(found).strip()[:200] or "somebody"
        given = values_of(claims, self._settings.claim)
        for value, role in self._settings.roles.items():
            if value == "*" or value in given:
                access, _, project = role.partition(":")
                return Identity(name=name, access=Access(access), project=project or None)
        claim = self._settings.claim
        raise Forbidden(f"{name} may not sign in: no value of the claim {claim!r} is in the setting oidc.roles")

    def _fresh(self) -> bool:
        return self._document is not None and time.monotonic() - self._document[0] < _FRESH_S

    def _described(self) -> Mapping[str, Any]:
        known = self._document
        if known is not None and self._fresh():
            return known[1]
        issuer = self._settings.issuer
        found = self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if str(found.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
            raise _failed(f"{issuer} describes itself as another issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            try:
                _check_address(name, str(found.get(name, "")))
            except SettingsError as error:
                raise _failed(f"{issuer}: {error}") from None
        self._document = (time.monotonic(), found)
        return found

    def _token(self, code: str, verifier: str, redirect_uri: str) -> str:
        settings, document = self._settings, self._described()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        form |= {"code_verifier": verifier, "client_id": settings.client_id}
        methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        auth: tuple[str, str] | None = None
        if settings.client_secret is not None:
            secret = settings.client_secret.get_secret_value()
            if "client_secret_basic" in methods:
                auth = (quote(settings.client_id, safe=""), quote(secret, safe=""))
            else:
                form["client_secret"] = secret
        found = self._ask("POST", str(document["token_endpoint"]), data=form, auth=auth)
        token = found.get("id_token")
        if not isinstance(token, str):
            raise _refused("the provider gave no ID token; is openid among the setting oidc.scope?")
        return token

    def _verified(self, token: str) -> Mapping[str, Any]:
        """The claims of an ID token, verified: signature, issuer, audience, time."""
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid"))
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(_ALGORITHMS),
                audience=self._settings.client_id,
                issuer=str(self._described()["issuer"]),
                leeway=60,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise _refused(f"the ID token does not hold: {error}") from None
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise _refused("the ID token was given to another program")
        return claims

    def _key(self, name: object) -> Any:
        """The provider's key with this id."""
        for last in (False, True):
            age_s = time.monotonic() - self._keys[0] if self._keys[1] else _FRESH_S
            if age_s >= (_AGAIN_S if last else _FRESH_S):
                found = self._ask("GET", str(self._described()["jwks_uri"])).get("keys")
                keys: list[Mapping[str, Any]] = (
                    [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
                )
                self._keys = (time.monotonic(), keys)
            fitting = [
                k for k in self._keys[1] if k.get("use", "sig") == "sig" and (name is None or k.get("kid") == name)
            ]
            if len(fitting) == 1:
                return jwt.PyJWK.from_dict(dict(fitting[0])).key
        raise _refused("the ID token is signed with a key that the provider does not list")

    def _ask(self, method: str, url: str, **more: Any) -> Mapping[str, Any]:
        body = b""
        try:
            with httpx.Client(timeout=_WAIT_S) as client, client.stream(method, url, **more) as answer:
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > _MOST:
                        raise _failed(f"{url} answers with more than {_MOST} bytes")
            found = json.loads(body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _failed(f"{url} does not answer: {type(error).__name__}") from None
        except (ValueError, RecursionError):
            raise _failed(f"{url} answers {answer.status_code}, and no JSON") from None
        if answer.status_code in (400, 401) and method == "POST":
            reason = str(found.get("error", "") if isinstance(found, dict) else "")[:100]
            raise _refused(f"the provider refused the code: {inert(reason)}")
        if not answer.is_success or not isinstance(found, dict):
            raise _failed(f"{url} answers {answer.status_code}")
        return found


def values_of(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    """The values of a claim, which is a string or a list. A dot descends into a claim, unless one has that exact name.

    >>> sorted(values_of({"realm_access": {"roles": ["ml", 3]}}, "realm_access.roles"))
    ['ml']
    >>> values_of({"email": "ada@example.org", "email_verified": False}, "email")
    frozenset()
    """
    if name == "email" and claims.get("email_verified") is not True:
        return frozenset()  # an unverified address proves nothing
    found: object = claims
    for part in [name] if name in claims else name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return frozenset({found})
    return frozenset(each for each in found if isinstance(each, str)) if isinstance(found, list) else frozenset()


def _check_address(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    loopback = host in ("localhost", "127.0.0.1", "::1")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and loopback)):
        raise SettingsError(name, f"{url[:200]!r} is not an address with https", "write https://…")


def _refused(detail: str) -> Refused:
    _log.warning("a sign-in was refused: %s", detail)
    return Refused(401, "sign-in-refused", detail)


def _failed(detail: str) -> Refused:
    _log.warning("the OpenID provider cannot be used: %s", detail)
    return Refused(502, "provider", detail)
