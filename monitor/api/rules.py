"""`/api/v1/rules`: the rules in effect, for all projects or for one, and the changes that are saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from monitor.api.bodies import json_response
from monitor.api.problems import documented
from monitor.api.security import Editor, Viewer
from monitor.api.services import Served, Services, in_turn
from monitor.domain import Access, Caller
from monitor.domain.rules_version import RulesVersion, SavedRule
from monitor.errors import Forbidden
from monitor.ingest.saved_rules import concerning, rules_of, save_rule

router = APIRouter(tags=["rules"], default_response_class=Response, responses=documented(422))


class RulesModel(BaseModel):
    """The rules in effect: differences from the defaults, by rule, and a hash of everything."""

    project: str | None
    hash: str
    overrides: dict[str, dict[str, object]]
    saved: list[SavedRule] = Field(description="What is saved for the project and for all, over the settings file.")


class RuleRequest(BaseModel):
    """Settings of a rule to save in place of those saved before."""

    model_config = ConfigDict(extra="forbid")

    settings: dict[str, bool | int | float | str | None] = Field(
        min_length=1, max_length=100, description="As in the rule's table in `monitor.toml`."
    )
    basis: str | None = Field(
        None, max_length=64, description="Hash of the rules that you saw; if they are others by now, nothing is saved."
    )


@router.get("/rules", responses={200: {"model": RulesModel}})
def get_rules(served: Served, caller: Viewer, project: Annotated[str | None, Query(max_length=250)] = None) -> Response:
    """Differences from the default rules: of this server's settings, and of what is saved; a project may have its own.

    Another server follows a saved change after two seconds.
    """
    served.engines.look()
    return _answer(served, _project(caller, project))


@router.put("/rules/{rule:name}", responses={200: {"model": RulesModel}})
async def put_rule(
    served: Served,
    caller: Editor,
    rule: str,
    wanted: RuleRequest,
    project: Annotated[str | None, Query(max_length=250)] = None,
) -> Response:
    """Save settings of a rule for a project, or, as an admin, for all. They apply at once, over the settings file."""
    return await _save(served, caller, rule, wanted.settings, project, wanted.basis)


@router.delete("/rules/{rule:name}", responses={200: {"model": RulesModel}})
async def delete_rule(
    served: Served, caller: Editor, rule: str, project: Annotated[str | None, Query(max_length=250)] = None
) -> Response:
    """Forget the saved settings of a rule, so that those of the settings file apply again."""
    return await _save(served, caller, rule, {}, project, None)


@router.get("/rules/history", responses={200: {"model": dict[str, list[RulesVersion]]}})
def get_history(
    served: Served,
    caller: Viewer,
    project: Annotated[str | None, Query(max_length=250)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Versions of the rules, newest first: each start of a server with other rules, and each saved change."""
    found = served.store.rules_history(_project(caller, project), limit=limit)
    return json_response({"versions": [each.to_dict() for each in found]})


def _project(caller: Caller, project: str | None) -> str | None:
    """The requested project, which must be the caller's own if the token is limited to one."""
    if caller.project is not None and project not in (None, caller.project):
        raise Forbidden(f"token {caller.name!r} reaches project {caller.project!r} alone, not {project!r}")
    return project if project is not None else caller.project


async def _save(
    served: Services, caller: Caller, rule: str, settings: Mapping[str, object], project: str | None, basis: str | None
) -> Response:
    of, engines = _project(caller, project), served.engines
    if of is None and not caller.access.covers(Access.ADMIN):
        problem = f"rules of all projects need the role {Access.ADMIN}, and token {caller.name!r} has {caller.access}"
        raise Forbidden(f"{problem}; name a project, or ask for another token")

    def write() -> None:
        save_rule(served.store, engines, rule, settings, project=of, basis=basis, by=caller, now_ms=served.clock())

    await in_turn(served, write)
    return _answer(served, of)


def _answer(served: Services, project: str | None) -> Response:
    config = rules_of(served.engines, project)
    overrides = {name: dict(given) for name, given in config.overrides.items()}
    saved = [each.to_dict() for each in concerning(served.engines, project)]
    return json_response({"project": project, "hash": config.hash, "overrides": overrides, "saved": saved})
