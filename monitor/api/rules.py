"""`/api/v1/rules`: the rules in effect, for all projects or for one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from monitor.api.bodies import json_response
from monitor.api.models import RulesModel
from monitor.api.problems import documented
from monitor.api.security import Viewer
from monitor.api.services import Served
from monitor.domain import Caller
from monitor.domain.rules_version import RulesVersion
from monitor.errors import Forbidden

router = APIRouter(tags=["rules"], default_response_class=Response, responses=documented(422))


@router.get("/rules", responses={200: {"model": RulesModel}})
def get_rules(served: Served, caller: Viewer, project: Annotated[str | None, Query(max_length=250)] = None) -> Response:
    """Differences from the default rules in this server's settings; a project may have its own."""
    of = _project(caller, project)
    config = (served.engine.default if of is None else served.engine.of(of)).config
    overrides = {name: dict(given) for name, given in config.overrides.items()}
    return json_response({"project": of, "hash": config.hash, "overrides": overrides})


@router.get("/rules/history", responses={200: {"model": dict[str, list[RulesVersion]]}})
def get_history(
    served: Served,
    caller: Viewer,
    project: Annotated[str | None, Query(max_length=250)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Versions of the rules that servers of this store have started with, newest first."""
    found = served.store.rules_history(_project(caller, project), limit=limit)
    return json_response({"versions": [each.to_dict() for each in found]})


def _project(caller: Caller, project: str | None) -> str | None:
    """The requested project, which must be the caller's own if the token is limited to one."""
    if caller.project is not None and project not in (None, caller.project):
        raise Forbidden(f"token {caller.name!r} reaches project {caller.project!r} alone, not {project!r}")
    return project if project is not None else caller.project
