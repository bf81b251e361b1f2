"""`/api/v1/me`, `/api/v1/tokens` and `/api/v1/audit`: the caller, all tokens, and the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from monitor.api.bodies import json_response
from monitor.api.problems import documented
from monitor.api.security import Admin, Viewer
from monitor.api.services import Served
from monitor.domain import Access, AuditEntry, TokenInfo
from monitor.errors import Forbidden

router = APIRouter(tags=["access"], default_response_class=Response, responses=documented(404, 422))


class CallerModel(BaseModel):
    """What a token may do."""

    name: str
    role: Access
    project: str | None = Field(description="The only project that it reaches; null: all.")
    asked: bool = Field(description="Whether the server asks for a token; if not, everybody may do everything.")


class TokenRequest(BaseModel):
    """A token to create."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=250, description="What people call it, such as `trainbox-3`.")
    role: Access
    project: str | None = Field(None, min_length=1, max_length=250, description="The only project that it reaches.")
    expires_ms: int | None = Field(None, ge=0, lt=2**62, description="Milliseconds since the epoch; null: never.")


class TokensModel(BaseModel):
    """Tokens without their secrets."""

    tokens: list[TokenInfo]


class NewTokenModel(BaseModel):
    """A new token with its secret, which is shown only once."""

    model_config = ConfigDict(extra="allow")

    token: str
    id: str


class AuditModel(BaseModel):
    """A page of the audit log."""

    total: int
    entries: list[AuditEntry]


@router.get("/me", responses={200: {"model": CallerModel}})
def get_me(caller: Viewer) -> Response:
    """What the token of this request may do, and whether the server requires one."""
    return json_response(caller.to_dict())


@router.get("/tokens", responses={200: {"model": TokensModel}})
def list_tokens(served: Served, caller: Admin) -> Response:
    """All tokens without their secrets, newest first; an admin of one project sees those of that project."""
    served.keys.note()  # so that the list includes the latest uses
    found = served.store.tokens(within=caller.project)
    return json_response({"tokens": [token.to_dict() for token in found]})


@router.post("/tokens", status_code=201, responses={201: {"model": NewTokenModel}})
def create_token(served: Served, caller: Admin, wanted: TokenRequest) -> Response:
    """Create a token. It is shown in this response only. An admin of a project creates tokens for that project."""
    project = wanted.project if wanted.project is not None else caller.project
    if caller.project not in (None, project):
        raise Forbidden(f"token {caller.name!r} manages project {caller.project!r} alone, not {project!r}")
    made, token = served.store.create_token(
        wanted.name, wanted.role, project=project, expires_ms=wanted.expires_ms, now_ms=served.clock(), by=caller
    )
    served.keys.forget()
    return json_response({"token": token, **made.to_dict()}, 201)


@router.delete("/tokens/{ref}", responses={200: {"model": TokenInfo}})
def revoke_token(served: Served, caller: Admin, ref: str) -> Response:
    """Revoke a token, by its id or by a name that no other valid token has."""
    found = served.store.revoke_token(ref, now_ms=served.clock(), by=caller, within=caller.project)
    served.keys.forget(found.id)
    return json_response(found.to_dict())


@router.get("/audit", responses={200: {"model": AuditModel}})
def get_audit(
    served: Served,
    caller: Admin,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:
    """The audit log: who changed what, newest first."""
    total, entries = served.store.audit(limit=limit, offset=offset, within=caller.project)
    return json_response({"total": total, "entries": [entry.to_dict() for entry in entries]})
