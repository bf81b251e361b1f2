"""`POST /api/v1/batches`: the route that ingests points."""

from __future__ import annotations

import json
from typing import Final

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from monitor import wire
from monitor.api.bodies import json_response
from monitor.api.intake import media_type
from monitor.api.problems import documented
from monitor.api.requests import RUN
from monitor.api.security import Logger
from monitor.api.services import Served, in_turn
from monitor.domain import Reply
from monitor.errors import WireError
from monitor.ingest import ingest

router = APIRouter(tags=["batches"])

MAX_VALUES: Final = 1_500_000
"""Maximum number of JSON values in a batch."""
_BEFORE_VALUES: Final = (b"{", b"[", b",", b":")
_SHORT: Final = 16 * 1024
"""Bodies up to this size (bytes) are decoded in the event loop."""
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            wire.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}},
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["run_id", "writer", "first", "count"],
                    "properties": {
                        "run_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
                        "writer": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
                        "first": {"type": "integer", "minimum": 0},
                        "count": {"type": "integer", "minimum": 0},
                        "points": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["key", "step", "value", "time_ms"],
                                "properties": {
                                    "key": {"type": "string", "maxLength": wire.MAX_KEY},
                                    "step": {"type": "integer"},
                                    "value": {
                                        "anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]
                                    },
                                    "time_ms": {"type": "integer", "minimum": 0},
                                    "epoch": {"type": "number"},
                                },
                            },
                        },
                        "events": {"type": "array", "items": {"type": "object"}},
                    },
                }
            },
        },
    }
}


@router.post(
    "/batches",
    response_class=Response,
    responses={200: {"model": Reply}, **documented(404, 409, 422)},
    openapi_extra=_BODY,
)
async def post_batch(request: Request, served: Served, caller: Logger) -> Response:
    """Store a batch of one writer's records, evaluate the rules, and return the recommendation.

    Invalid records are set aside, counted and reported; the rest is stored. A batch that was stored before is
    acknowledged as a duplicate.
    """
    kind = media_type(dict(request.scope["headers"]))
    body = await request.body()
    if len(body) <= _SHORT:
        batch = decode(body, kind)  # faster than waking a thread
    else:  # decoded outside the write queue, so that a long JSON body does not delay other batches
        batch = await anyio.to_thread.run_sync(decode, body, kind, limiter=served.decoders)

    request.scope[RUN] = batch.run_id

    def commit() -> Reply:
        return ingest(served.store, served.engines, batch, now_ms=served.clock(), within=caller.project)

    reply = await in_turn(served, lambda: served.metrics.ingest(batch, commit, served.clock))
    return json_response(reply.to_dict())


def decode(body: bytes, kind: str) -> wire.Batch:
    """Decode a batch, packed or JSON."""
    if kind == wire.MEDIA_TYPE:
        return wire.decode_batch(body)
    values = sum(map(body.count, _BEFORE_VALUES))
    if values > MAX_VALUES:  # each takes about 70 bytes once parsed
        raise WireError("body", f"holds about {values} values, at most {MAX_VALUES} are taken; send smaller batches")
    try:
        data = json.loads(body)
    except RecursionError:
        raise WireError("body", "is nested too deeply") from None
    except ValueError as error:
        raise WireError("body", f"is not JSON: {error}") from None
    return wire.batch_from_json(data)
