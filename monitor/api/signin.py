"""`/signin`: exchanges an OpenID Connect sign-in for one of our tokens. Needs no token: the caller has none yet."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from monitor.api.bodies import json_response
from monitor.api.identity import LASTS_MS
from monitor.api.problems import Refused, documented
from monitor.api.services import Served
from monitor.domain import Caller

router = APIRouter(tags=["access"], default_response_class=Response)

_Text = Annotated[str, Field(min_length=1, max_length=4000)]


class ProviderModel(BaseModel):
    """Where a browser signs in."""

    name: str
    authorize: str
    client_id: str
    scope: str


class SignInModel(BaseModel):
    """The provider that the server trusts; null for none."""

    provider: ProviderModel | None


class SignInRequest(BaseModel):
    """What a browser brings back from the provider, and what it was sent there with."""

    model_config = ConfigDict(extra="forbid")

    code: _Text
    verifier: _Text
    nonce: _Text
    redirect_uri: _Text


class SignedInModel(BaseModel):
    """A new token, which cannot be read again."""

    token: str


@router.get("/signin", responses={200: {"model": SignInModel}, **documented(502)})
def get_provider(served: Served) -> Response:
    """The OpenID Connect provider that people sign in with."""
    return json_response({"provider": None if served.provider is None else served.provider.page()})


@router.post(
    "/signin", status_code=201, responses={201: {"model": SignedInModel}, **documented(401, 403, 404, 422, 502)}
)
def sign_in(served: Served, request: Request, given: SignInRequest) -> Response:
    """Exchange the provider's code for a token of this server, valid for a working day."""
    if served.provider is None:
        raise Refused(404, "no-provider", "the server has no OpenID Connect provider; set oidc")
    found = served.provider.identity(given.code, given.verifier, given.nonce, given.redirect_uri)
    address = request.client.host if request.client else ""
    by = Caller(name=found.name, access=found.access, project=found.project, address=address)
    now_ms = served.clock()
    _, token = served.store.create_token(
        f"{found.name} (signed in)",
        found.access,
        project=found.project,
        expires_ms=now_ms + LASTS_MS,
        now_ms=now_ms,
        by=by,
    )
    served.keys.forget()
    return json_response({"token": token}, 201)
