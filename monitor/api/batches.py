"""`POST /api/v1/batches`: where points come in."""

from __future__ import annotations

import json
from typing import Final

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from monitor import wire
from monitor.api.bodies import json_response, media_type, read_body
from monitor.api.problems import Refused, documented
from monitor.api.services import Served
from monitor.domain import Reply
from monitor.errors import WireError
from monitor.ingest import ingest

router = APIRouter(tags=["batches"])

_SHORT: Final = 16 * 1024
"""Bytes of a body that is read at once."""
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
    responses={200: {"model": Reply}, **documented(401, 404, 409, 413, 415, 422, 503)},
    openapi_extra=_BODY,
)
async def post_batch(request: Request, served: Served) -> Response:
    """Store a batch of one writer's records, judge it, and answer with the recommendation.

    What of its records cannot be used is set aside, counted and told of; the rest is stored. A batch that was stored
    before is answered as a duplicate.
    """
    kind = media_type(request)
    if kind not in (wire.MEDIA_TYPE, "application/json"):
        raise Refused(
            415, "media-type", f"got {kind or 'no Content-Type'}, takes {wire.MEDIA_TYPE} or application/json"
        )
    body = await read_body(request)
    if len(body) <= _SHORT:
        batch = decode(body, kind)  # sooner done than a thread is woken
    else:  # reading it needs no writer's turn, so that a long JSON body does not keep the others waiting
        batch = await anyio.to_thread.run_sync(decode, body, kind)

    def commit() -> Reply:
        return ingest(served.store, served.engine, batch, now_ms=served.clock())

    reply = await anyio.to_thread.run_sync(commit, limiter=served.writers)
    return json_response(reply.to_dict())


def decode(body: bytes, kind: str) -> wire.Batch:
    """Read either spelling of a batch.

    Raises:
        WireError: it does not follow the format; `field` names the place.
    """
    if kind == wire.MEDIA_TYPE:
        return wire.decode_batch(body)
    try:
        data = json.loads(body)
    except RecursionError:
        raise WireError("body", "is nested too deeply") from None
    except ValueError as error:
        raise WireError("body", f"is not JSON: {error}") from None
    return wire.batch_from_json(data)
