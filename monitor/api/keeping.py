"""`/api/v1/deleted`, and deleting a run: removing runs from the lists, and restoring them."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from monitor.api.bodies import json_response
from monitor.api.models import DeletedModel, RunIdModel
from monitor.api.problems import documented
from monitor.api.security import Editor, Viewer
from monitor.api.services import Served
from monitor.domain import RunInfo
from monitor.errors import RunNotFound

router = APIRouter(tags=["runs"], default_response_class=Response, responses=documented(404, 422))


@router.delete("/runs/{run_id}", responses={200: {"model": RunIdModel}})
def delete_run(served: Served, caller: Editor, run_id: str) -> Response:
    """Delete a run, by its full id. It disappears from all lists, and can be restored until it is purged."""
    run = served.store.run(run_id, within=caller.project)
    if run.id != run_id:  # a prefix or a name may refer to another run by now
        raise RunNotFound(run_id)
    served.store.delete(run.id, now_ms=served.clock(), by=caller)
    return json_response({"run_id": run.id})


@router.get("/deleted", responses={200: {"model": DeletedModel}})
def list_deleted(served: Served, caller: Viewer) -> Response:
    """Deleted runs that can be restored, latest first, and for how many days each is kept."""
    rows = [{**run.to_dict(), "deleted_ms": at} for run, at in served.store.deleted(within=caller.project)]
    return json_response({"keep_days": served.settings.purge_days, "deleted": rows})


@router.post("/deleted/{ref:name}/restore", responses={200: {"model": RunInfo}})
def restore_run(served: Served, caller: Editor, ref: str) -> Response:
    """Restore a deleted run, by its id, a unique prefix of it, or its name."""
    run = served.store.restore(ref, now_ms=served.clock(), by=caller, within=caller.project)
    return json_response(run.to_dict())
