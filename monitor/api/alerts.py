"""`/api/v1/alerts`, `/silences`, `/deliveries` and `/channels`: what needs attention, and who is notified how."""

from __future__ import annotations

import glob
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from monitor.alerts import Book
from monitor.api.bodies import json_response
from monitor.api.models import AlertsModel, DeliveriesModel, SilencesModel, Who
from monitor.api.problems import documented
from monitor.api.security import Admin, Editor, Viewer
from monitor.api.services import Served, id_of
from monitor.domain import AlertInfo, AlertQuery, AlertState, Caller, DeadLetter, Delivery, Severity, Silence
from monitor.errors import Forbidden, WireError

router = APIRouter(tags=["alerts"], default_response_class=Response, responses=documented(404, 422))

Text = Annotated[str, StringConstraints(max_length=250, pattern=r"^[^\x00]*$")]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=r"^[^\x00]*$")]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=250, pattern=r"^[^\x00]*$")]


class AlertParameters(BaseModel):
    """Query parameters of the alert list."""

    state: AlertState | None = None
    open: bool = Field(False, description="Only those that are not resolved.")
    project: Text | None = None
    rule: Text | None = None
    severity: Severity | None = None
    run: Text | None = Field(None, description="A run's id, a unique start of it, or its name.")
    search: Text | None = Field(None, description="Part of the title, of the text, or of the run's name.")
    limit: int = Field(50, ge=1, le=1000)
    cursor: Text | None = Field(None, description="Where the page before ended.")


class Answer(BaseModel):
    """Who acknowledges an alert, and their note."""

    model_config = ConfigDict(extra="forbid")

    by: Who
    note: Note = ""


class Marking(BaseModel):
    """A person's verdict on an alert; null removes it."""

    model_config = ConfigDict(extra="forbid")

    mark: Literal["helpful", "false alarm"] | None
    by: Who


class Silencing(BaseModel):
    """A new silence. Its end is a time or a duration."""

    model_config = ConfigDict(extra="forbid")

    project: Glob | None = None
    run: Glob | None = None
    rule: Glob | None = None
    severity: Annotated[str, StringConstraints(max_length=16)] | None = None
    tag: Glob | None = Field(None, description="Matches `name=value` of one of the run's tags.")
    reason: Note
    by: Who
    until_ms: int | None = Field(None, ge=0, le=2**53, description="Milliseconds since the epoch.")
    for_s: float | None = Field(None, gt=0, le=10**9, description="Seconds from now, in place of `until_ms`.")


class Retrying(BaseModel):
    """Which dead letters to send again; all of them by default."""

    model_config = ConfigDict(extra="forbid")

    message: Text | None = Field(None, description="The id of one message.")
    channel: Text | None = Field(None, description="The name of one channel.")


@router.get("/alerts", responses={200: {"model": AlertsModel}})
def list_alerts(served: Served, caller: Viewer, wanted: Annotated[AlertParameters, Query()]) -> Response:
    """One page of alerts, most recently changed first, with the number in each state."""
    run = None if wanted.run is None else id_of(served, caller, wanted.run)
    query = AlertQuery(**{**wanted.model_dump(), "run": run})
    page = served.store.alert_page(query, served.clock(), within=caller.project)
    rows = [info.to_dict() for info in page.items]
    return json_response({"alerts": rows, "cursor": page.cursor, "counts": dict(page.counts)})


@router.get("/alerts/marks")
def get_marks(served: Served, caller: Viewer, project: Annotated[Text | None, Query()] = None) -> Response:
    """For each rule, how many alerts were marked as helpful and how many as false alarms."""
    if project is not None and caller.project not in (None, project):
        return json_response({"marks": {}})
    return json_response({"marks": served.store.alert_marks(project or caller.project)})


@router.get("/alerts/{alert_id}", responses={200: {"model": AlertInfo}})
def get_alert(served: Served, caller: Viewer, alert_id: Text) -> Response:
    """One alert, by its id or a unique prefix of it."""
    return json_response(served.store.alert(alert_id, served.clock(), within=caller.project).to_dict())


@router.post("/alerts/{alert_id}/acknowledge", responses={200: {"model": AlertInfo}})
def acknowledge(served: Served, caller: Editor, alert_id: Text, answer: Answer) -> Response:
    """Acknowledge a firing alert. It is not repeated any more."""
    found = served.store.acknowledge(
        alert_id, answer.by, answer.note, now_ms=served.clock(), by=caller, within=caller.project
    )
    return json_response(found.to_dict())


@router.post("/alerts/{alert_id}/mark", responses={200: {"model": AlertInfo}})
def mark(served: Served, caller: Editor, alert_id: Text, marking: Marking) -> Response:
    """Mark an alert as helpful or as a false alarm."""
    found = served.store.mark_alert(
        alert_id, marking.mark, marking.by, now_ms=served.clock(), by=caller, within=caller.project
    )
    return json_response(found.to_dict())


@router.get("/silences", responses={200: {"model": SilencesModel}})
def list_silences(served: Served, caller: Viewer, over: bool = False) -> Response:
    """Active silences; with `over`, expired ones as well."""
    found = served.store.silences(None if over else served.clock())
    own = _only(caller)
    rows = [silence.to_dict() for silence in found if own in (None, silence.project)]
    return json_response({"silences": rows})


@router.post("/silences", responses={200: {"model": Silence}})
def silence(served: Served, caller: Editor, wanted: Silencing) -> Response:
    """Mute matching alerts until a given time."""
    now = served.clock()
    if (wanted.until_ms is None) == (wanted.for_s is None):
        raise WireError("until_ms", "give either until_ms or for_s")
    until = wanted.until_ms if wanted.for_s is None else now + int(1000 * wanted.for_s)
    fields = wanted.model_dump(exclude={"until_ms", "for_s"})
    if caller.project is not None:
        if wanted.project not in (None, caller.project, _only(caller)):
            raise Forbidden(f"token {caller.name!r} silences project {caller.project!r} alone")
        fields["project"] = _only(caller)
    made = served.store.silence(Silence(id="", created_ms=now, until_ms=until or 0, **fields), by=caller)
    return json_response(made.to_dict())


@router.delete("/silences/{silence_id}", responses={200: {"model": Silence}})
def unsilence(served: Served, caller: Editor, silence_id: Text) -> Response:
    """End a silence now."""
    found = served.store.unsilence(silence_id, now_ms=served.clock(), by=caller, within=caller.project)
    return json_response(found.to_dict())


@router.get("/deliveries", responses={200: {"model": DeliveriesModel}})
def list_deliveries(
    served: Served,
    caller: Viewer,
    run: Annotated[str | None, Query(max_length=250)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> Response:
    """Alert messages, newest first, with their delivery status."""
    run_id = None if run is None else id_of(served, caller, run)
    rows = served.store.alerts(run_id, limit, within=caller.project)
    return json_response({"deliveries": [_delivery(row) for row in rows]})


@router.get("/deliveries/dead", responses={200: {"model": list[DeadLetter]}})
def list_dead(served: Served, caller: Viewer, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> Response:
    """Dead letters: messages that a channel never accepted, newest first."""
    names = {entry["key"]: str(entry["name"]) for entry in _channels(served, caller)}
    found = served.store.dead_letters(limit, within=caller.project)
    return json_response([replace(row, name=names.get(row.channel, "")).to_dict() for row in found])


@router.post("/deliveries/retry")
def retry(served: Served, caller: Editor, wanted: Retrying) -> Response:
    """Retry dead letters."""
    _everywhere(caller)
    key = None if wanted.channel is None else _book(served).key_of(wanted.channel)
    retried = served.store.retry_deliveries(wanted.message, key, now_ms=served.clock(), by=caller)
    return json_response({"retried": retried})


@router.get("/channels")
def list_channels(served: Served, caller: Viewer) -> Response:
    """The channels that alerts are sent to, without their secrets."""
    return json_response({"channels": _channels(served, caller)})


@router.put("/channels/{name}")
def put_channel(served: Served, caller: Admin, name: str, table: dict[str, object]) -> Response:
    """Add or replace a channel. Its URL and secret are stored encrypted and never shown again."""
    _everywhere(caller)
    return json_response(_book(served).add(name, table, now_ms=served.clock(), by=caller).to_dict())


@router.delete("/channels/{name}")
def delete_channel(served: Served, caller: Admin, name: str) -> Response:
    """Remove a channel that was added through the API."""
    _everywhere(caller)
    _book(served).remove(name, now_ms=served.clock(), by=caller)
    return json_response({"name": name})


@router.post("/channels/{name:path}/test", responses=documented(502))
def test_channel(served: Served, caller: Editor, name: str) -> Response:
    """Send a test message to a channel."""
    _everywhere(caller)
    _book(served).test(name, now_ms=served.clock(), by=caller)
    return json_response({"name": name})


def _book(served: Served) -> Book:
    return Book(served.store, served.settings)


def _channels(served: Served, caller: Caller) -> list[dict[str, object]]:
    found = _book(served).all()
    if caller.project is not None:  # settings of other projects are not theirs to read
        found = tuple(entry for entry in found if entry.wants(caller.project))
    return [entry.to_dict() for entry in found]


def _only(caller: Caller) -> str | None:
    """A glob that matches only the caller's project; None for callers of all projects."""
    return None if caller.project is None else glob.escape(caller.project)


def _everywhere(caller: Caller) -> None:
    """Refuse callers that are limited to one project."""
    if caller.project is not None:
        raise Forbidden(f"token {caller.name!r} is of project {caller.project!r}; channels serve every project")


def _delivery(row: Delivery) -> dict[str, object]:
    return {
        "id": row.id,
        "alert": row.alert.to_dict(),
        "attempts": row.attempts,
        "next_ms": row.next_ms,
        "delivered_ms": row.delivered_ms,
        "error": row.error,
    }
