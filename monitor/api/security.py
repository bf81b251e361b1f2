"""What the OpenAPI document says of the token, and what no parameter may be. The door asks for the token itself."""

from __future__ import annotations

from typing import Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer

MAX_PARAMETER: Final = 4000
"""Characters of a parameter, at most, where its route does not say less: as long as a query over the runs may be."""

described = HTTPBearer(auto_error=False, description="The token that the server was started with.")
"""For the document alone."""


async def check_parameters(request: Request) -> None:
    """Refuse parameters that no database could hold or that are too long to be meant.

    A coroutine, though it waits for nothing: FastAPI hands a plain function to a thread, which costs more.

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
