"""The role that each route needs, its entry in the OpenAPI document, and checks of all parameters.

The door authenticates the caller. Every route below `/api/v1` has one parameter of the type `Viewer`, `Logger`,
`Editor` or `Admin`: it refuses callers of a weaker role, and hands the others to the route, which passes
`caller.project` on to the store as `within`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.routing import BaseRoute

from monitor.api.door import caller_of
from monitor.domain import Access, Caller
from monitor.errors import Forbidden

MAX_PARAMETER: Final = 4000
"""Maximum characters of a parameter, unless its route sets a lower limit: the maximum length of a run query."""

ROLE: Final = "x-monitor-role"
"""Key of the OpenAPI document that names the role of an operation."""

described = HTTPBearer(auto_error=False, description="A token of the server; `x-monitor-role` says of which role.")
"""Only for the OpenAPI document."""


class Needs:
    """A dependency that admits callers with a role or a stronger one."""

    def __init__(self, access: Access) -> None:
        self.access = access

    async def __call__(self, request: Request) -> Caller:
        """The caller."""
        caller = caller_of(request.scope)
        if not caller.access.covers(self.access):
            problem = f"{request.method} {request.url.path} needs the role {self.access}"
            raise Forbidden(f"{problem}, and token {caller.name!r} has {caller.access}; ask for another token")
        return caller


Viewer = Annotated[Caller, Depends(Needs(Access.VIEWER))]
Logger = Annotated[Caller, Depends(Needs(Access.LOGGER))]
Editor = Annotated[Caller, Depends(Needs(Access.EDITOR))]
Admin = Annotated[Caller, Depends(Needs(Access.ADMIN))]


def declare_roles(routes: Iterable[BaseRoute]) -> None:
    """Add the role of each route to the OpenAPI document.

    Raises:
        AssertionError: a route declares no role, or several.
    """
    for route in routes:
        if isinstance(route, APIRoute):
            needed = [str(found.access) for found in _needs(route.dependant)]
            assert len(needed) == 1, f"{route.path} declares {needed or 'no role'}; give it one of Viewer … Admin"
            route.openapi_extra = {**(route.openapi_extra or {}), ROLE: needed[0]}


def _needs(dependant: Dependant) -> list[Needs]:
    return [each.call for each in dependant.dependencies if isinstance(each.call, Needs)]


async def check_parameters(request: Request) -> None:
    """Refuse parameters that a database cannot store or that are too long.

    A coroutine although it awaits nothing: FastAPI runs a plain function on a thread, which costs more.

    Raises:
        RequestValidationError: a parameter is longer than `MAX_PARAMETER`, or holds the character NUL, which PostgreSQL
            cannot store; it is named.
    """
    given = [("query", name, value) for name, value in request.query_params.multi_items()]
    given += [("path", name, str(value)) for name, value in request.path_params.items()]
    for place, name, value in given:
        if "\0" in value:
            raise RequestValidationError([{"type": "nul", "loc": (place, name), "msg": "holds the character NUL"}])
        if len(value) > MAX_PARAMETER:
            problem = f"has {len(value)} characters, at most {MAX_PARAMETER} are taken"
            raise RequestValidationError([{"type": "too_long", "loc": (place, name[:100]), "msg": problem}])
