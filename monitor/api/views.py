"""`/api/v1/views/…`: saved views of the dashboard."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from monitor.api.bodies import json_response
from monitor.api.models import ViewModel, ViewRequest, ViewsModel
from monitor.api.problems import documented
from monitor.api.security import Editor, Viewer
from monitor.api.services import Served, in_turn
from monitor.domain import SavedView

router = APIRouter(tags=["views"], default_response_class=Response, responses=documented(422))

_Page = Annotated[str, Path(max_length=32, description="The page, such as `runs`.")]


@router.get("/views/{page}", responses={200: {"model": ViewsModel}})
def list_views(served: Served, caller: Viewer, page: _Page) -> Response:
    """The saved views of a page, by name: those of the token's project, or those saved with tokens for all projects."""
    return json_response({"views": [view.to_dict() for view in served.store.views(page, within=caller.project)]})


@router.put("/views/{page}/{name:name}", responses={200: {"model": ViewModel}})
async def put_view(served: Served, caller: Editor, page: _Page, name: str, wanted: ViewRequest) -> Response:
    """Save a view, replacing any of the same name."""
    view = SavedView(page=page, name=name, query=wanted.query, saved_ms=served.clock())
    saved = await in_turn(served, lambda: served.store.save_view(view, by=caller, within=caller.project))
    return json_response(saved.to_dict())


@router.delete("/views/{page}/{name:name}", responses={200: {"model": ViewsModel}})
async def delete_view(served: Served, caller: Editor, page: _Page, name: str) -> Response:
    """Delete a saved view. Returns those that remain."""

    def forget() -> None:
        served.store.forget_view(page, name, now_ms=served.clock(), by=caller, within=caller.project)

    await in_turn(served, forget)
    return json_response({"views": [view.to_dict() for view in served.store.views(page, within=caller.project)]})
