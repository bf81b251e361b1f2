"""`/api/v1/runs…`: the run list, and everything known about a run except its curves; `/api/v1/deleted`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import Response

from monitor import insight
from monitor.api.bodies import json_response
from monitor.api.models import (
    DeletedModel,
    EditRequest,
    OutlineModel,
    ProjectsModel,
    RunIdModel,
    RunModel,
    RunParameters,
    RunsModel,
    SnapshotModel,
    StopModel,
    StopRequest,
    Who,
)
from monitor.api.problems import Refused, documented
from monitor.api.security import Editor, Viewer
from monitor.api.services import Served, Services, id_of, in_turn
from monitor.domain import Caller, Checkpoint, Diagnosis, Finding, Output, RunEdit, RunInfo, SeriesInfo, Stop
from monitor.domain.media import JSON, SIGNATURES, Media
from monitor.errors import RunNotFound
from monitor.store.retention import Policy
from monitor.wire import jsonable

router = APIRouter(tags=["runs"], default_response_class=Response, responses=documented(404, 422))

OUTLINES: Final = 500
"""Maximum number of runs per request."""
_Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
_OUTLINE: Final = ("run", "series", "findings", "checkpoints")


@router.get("/runs", responses={200: {"model": RunsModel}})
def list_runs(served: Served, caller: Viewer, wanted: Annotated[RunParameters, Query()]) -> Response:
    """One page of runs, with the number that match the filters."""
    page = served.store.runs(wanted.wanted(), within=caller.project)
    return json_response(
        {
            "total": page.total,
            "order": page.order,
            "runs": [run.to_dict() for run in page.items],
            "sparklines": jsonable(page.sparklines),
            "sorted_by": jsonable(page.sorted_by),
            "metrics": {
                run_id: {key: jsonable(found.to_dict()) for key, found in some.items()}
                for run_id, some in page.metrics.items()
            },
        }
    )


@router.get("/runs/{ref:name}/snapshot", responses={200: {"model": SnapshotModel}})
def get_snapshot(served: Served, caller: Viewer, ref: str) -> Response:
    """Everything that the run page shows except points and events, read at one moment."""
    return json_response(insight.snapshot(served.store, served.settings, ref, within=caller.project).to_dict())


class OutlinesModel(BaseModel):
    """Several runs."""

    outlines: list[OutlineModel] = Field(description="Those that are here, in no order.")


@router.get("/outlines", responses={200: {"model": OutlinesModel}})
def get_outlines(
    served: Served, caller: Viewer, run: Annotated[list[_Id], Query(min_length=1, max_length=OUTLINES)]
) -> Response:
    """Runs by their full ids, with their series, findings and checkpoints; a run that is not here is left out."""
    found = served.store.outlines(run, within=caller.project)
    data = [seen.to_dict() for seen in found.values()]
    return json_response({"outlines": [{name: whole[name] for name in _OUTLINE} for whole in data]})


@router.get("/runs/{ref:name}/series", responses={200: {"model": list[SeriesInfo]}})
def get_series(served: Served, caller: Viewer, ref: str) -> Response:
    """The run's series with their counts, last values and extremes."""
    return json_response([series.to_dict() for series in served.store.series(id_of(served, caller, ref))])


@router.get("/runs/{ref:name}/findings", responses={200: {"model": list[Finding]}})
def get_findings(served: Served, caller: Viewer, ref: str) -> Response:
    """What the rules found, firing and resolved."""
    return json_response([finding.to_dict() for finding in served.store.findings(id_of(served, caller, ref))])


@router.get("/runs/{ref:name}/diagnosis", responses={200: {"model": Diagnosis}})
def get_diagnosis(served: Served, caller: Viewer, ref: str) -> Response:
    """The full diagnosis, as printed by `monitor diagnose --json`."""
    return json_response(served.store.diagnosis(id_of(served, caller, ref)).to_dict())


@router.get("/runs/{ref:name}/checkpoints", responses={200: {"model": list[Checkpoint]}})
def get_checkpoints(served: Served, caller: Viewer, ref: str) -> Response:
    """The files that the loop saved."""
    return json_response([checkpoint.to_dict() for checkpoint in served.store.checkpoints(id_of(served, caller, ref))])


@router.get("/runs/{ref:name}/output", responses={200: {"model": list[Output]}})
def get_output(
    served: Served,
    caller: Viewer,
    ref: str,
    search: Annotated[str | None, Query(max_length=250)] = None,
    after: Annotated[int, Query(ge=-1, le=2**31 - 1)] = -1,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Response:
    """Captured output of the training, oldest first: what follows `after`, or the last lines if that is -1."""
    found = served.store.output(id_of(served, caller, ref), search, after, limit)
    return json_response([piece.to_dict() for piece in found])


@router.get("/runs/{ref:name}/media", responses={200: {"model": list[Media]}})
def get_media(
    served: Served, caller: Viewer, ref: str, key: Annotated[str | None, Query(max_length=250)] = None
) -> Response:
    """The images, tables and histograms of a run, by name and step, without their contents."""
    return json_response([each.to_dict() for each in served.store.media(id_of(served, caller, ref), key)])


@router.get(
    "/runs/{ref:name}/media/{media_id}",
    responses={200: {"content": {mime: {} for mime in (JSON, *SIGNATURES)}, "description": "The content."}},
)
def get_media_content(
    served: Served, caller: Viewer, ref: str, media_id: Annotated[int, Path(ge=1, le=2**31 - 1)]
) -> Response:
    """The content of one item: an image file, or a table or histogram as JSON."""
    mime, content = served.store.media_content(id_of(served, caller, ref), media_id)
    return Response(content, media_type=mime, headers={"X-Content-Type-Options": "nosniff"})


@router.get("/runs/{ref:name}/stops", responses={200: {"model": list[Stop]}})
def get_stops(served: Served, caller: Viewer, ref: str) -> Response:
    """The stops of a run, requested or advised, each with its progress."""
    return json_response([stop.to_dict() for stop in served.store.stops(id_of(served, caller, ref))])


@router.post("/runs/{ref:name}/stop", responses={200: {"model": StopModel}, **documented(409)})
async def post_stop(served: Served, caller: Editor, ref: str, wanted: StopRequest) -> Response:
    """Request that the loop stop. It receives the request with the reply to its next batch or heartbeat."""

    def ask(run_id: str) -> Stop:
        return served.store.request_stop(run_id, wanted.who, reason=wanted.reason, now_ms=served.clock(), by=caller)

    return await _stopping(served, caller, ref, ask)


@router.delete("/runs/{ref:name}/stop", responses={200: {"model": StopModel}, **documented(409)})
async def withdraw_stop(served: Served, caller: Editor, ref: str, who: Who = "api") -> Response:
    """Withdraw a stop request that the loop has not received yet."""

    def withdraw(run_id: str) -> Stop:
        return served.store.withdraw_stop(run_id, who, now_ms=served.clock(), by=caller)

    return await _stopping(served, caller, ref, withdraw)


async def _stopping(served: Services, caller: Caller, ref: str, change: Callable[[str], Stop]) -> Response:
    def write() -> dict[str, object]:
        run = meant(served, caller, ref)
        stop = change(run.id)
        return {"run_id": run.id, "stop_requested": stop.who if stop.open else None, "stop": stop.to_dict()}

    return json_response(await in_turn(served, write))


def meant(served: Services, caller: Caller, ref: str) -> RunInfo:
    """Resolve the run that a changing request refers to.

    Raises:
        Refused: the reference is too short to be safe for a change.
    """
    run = served.store.run(ref, within=caller.project)
    if not run.is_meant_by(ref):
        detail = f"{ref!r} is too short to change a run by; give its id, its name, or 8 digits of its id"
        raise Refused(422, "vague-reference", detail)
    return run


@router.patch("/runs/{run_id}", responses={200: {"model": RunInfo}})
async def patch_run(served: Served, caller: Editor, run_id: str, wanted: EditRequest) -> Response:
    """Rename a run or change its note or tags, by its full id."""

    def change() -> RunInfo:
        _exact(served, caller, run_id)
        edit = RunEdit(name=wanted.name, note=wanted.note, tags=wanted.tags)
        served.store.edit(run_id, edit, now_ms=served.clock(), by=caller)
        return served.store.run(run_id)

    return json_response((await in_turn(served, change)).to_dict())


@router.delete("/runs/{run_id}", responses={200: {"model": RunIdModel}})
def delete_run(served: Served, caller: Editor, run_id: str) -> Response:
    """Delete a run, by its full id. It disappears from all lists, and can be restored until it is purged."""
    _exact(served, caller, run_id)
    served.store.delete(run_id, now_ms=served.clock(), by=caller)
    return json_response({"run_id": run_id})


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


def _exact(served: Services, caller: Caller, run_id: str) -> None:
    """Refuse a reference that is not a full id: a prefix or a name may refer to another run by now."""
    if id_of(served, caller, run_id) != run_id:
        raise RunNotFound(run_id)


@router.get("/projects", responses={200: {"model": ProjectsModel}})
def get_projects(served: Served, caller: Viewer) -> Response:
    """All projects with their number of runs, their retention and their prices."""
    policy, currency = Policy.of(served.settings), served.settings.cost_currency
    projects = [
        {
            "name": name,
            "runs": runs,
            "keep_days": policy.kept_for(name),
            "thin_days": policy.thinned_after(name),
            "cost_per_hour": served.settings.prices_of(name),
        }
        for name, runs in served.store.projects(within=caller.project)
    ]
    return json_response({"projects": projects, "purge_days": policy.purge_days, "cost_currency": currency})


@router.get("/runs/{ref:name}", responses={200: {"model": RunModel}})
def get_run(served: Served, caller: Viewer, ref: str) -> Response:
    """A run with its series and checkpoints, by its id, a unique prefix of it, or its name if that is unique."""
    # Last of the routes under /runs, because a name may contain slashes.
    run = served.store.run(ref, within=caller.project)
    return json_response(
        {
            **run.to_dict(),
            "series": [series.to_dict() for series in served.store.series(run.id)],
            "checkpoints": [checkpoint.to_dict() for checkpoint in served.store.checkpoints(run.id)],
        }
    )
